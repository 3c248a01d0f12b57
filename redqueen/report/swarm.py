"""The figure of the other nodes: what came of their messages."""

from collections import Counter

from redqueen.report.figures import Figure, Row, Section, Table, Text
from redqueen.report.queries import RunData

ARRIVED, TAKEN = "arrived", "taken"
SHOWN = 12
"""Characters of a public key."""


def peers(run: RunData) -> list[Section]:
    """What each peer sent, what was taken, and what was refused; nothing without a swarm."""
    if not run.peers:
        return []
    rows = []
    for author, counts in sorted(run.peers.items(), key=lambda item: (not item[0], item[0])):
        others = Counter({k: n for k, n in counts.items() if k not in (ARRIVED, TAKEN)})
        why = ", ".join(f"{name} {number:,}" for name, number in others.most_common())
        came = [f"{counts[name]:,}" if author else "" for name in (ARRIVED, TAKEN)]
        name = author[:SHOWN] or "no proven author"
        rows.append(Row([Text(name), *map(Text, came), Text(why, "", "words")]))
    head = [Text("peer"), Text("came"), Text("taken"), Text("else")]
    caption = "Messages of other nodes by author; docs/swarm.md says what each word means."
    figure = Figure("peers", "Peers", [Table(head, rows)], caption, full=True)
    return [Section("swarm", "Swarm", "Who else taught this population.", [figure])]
