"""A node's standing among others, from its run database, for a terminal of 80 columns."""

from collections import Counter
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from redqueen.swarm.reasons import ARRIVED, IMPLAUSIBLE, REASONS, TAKEN

UNPROVEN = "no proven author"
SHOWN = 12
"""Characters of a public key."""


def print_status(
    counts: Mapping[str, Counter[str]], steps: int, published: int, console: Console
) -> None:
    """Print the peers, what came of them, what was taken, and what was refused and why.

    `counts` is what became of each author's messages, over `steps` steps.
    """
    console.print(f"{steps} steps in the swarm, {published} groups sent", highlight=False)
    if not counts:
        console.print("No message has come.", highlight=False)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("peer")
    for name in ("came", "taken", "refused"):
        table.add_column(name, justify="right")
    table.add_column("why")
    totals: Counter[str] = Counter()
    for author, several in sorted(counts.items(), key=lambda item: (not item[0], item[0])):
        refused = Counter({name: n for name, n in several.items() if name in REASONS})
        totals += refused
        why = ", ".join(f"{name} {number}" for name, number in refused.most_common())
        if several[IMPLAUSIBLE]:
            why += f"{'; ' if why else ''}{several[IMPLAUSIBLE]} taken were implausible"
        table.add_row(
            author[:SHOWN] or UNPROVEN,
            f"{several[ARRIVED]:,}" if author else "",
            f"{several[TAKEN]:,}" if author else "",
            f"{refused.total():,}",
            Text(why),
        )
    console.print(table)
    for name, number in totals.most_common():
        console.print(f"  {name} ({number:,}): {REASONS[name]}", style="dim", highlight=False)
