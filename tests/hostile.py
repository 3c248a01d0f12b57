"""Steps of a run in which every text is hostile."""

from dataclasses import replace

from made_up_run import Fabricator

from redqueen.store import RunStore
from redqueen.types import StepRecord, Task

EVIL = "<script>alert('x')</script>\"&]]>\x00\ud800</pre>"
EVIL_NAME = "<script>alert('x')<b>\"&]]>"
"""The same as far as a folder may be called so."""


def hostile_record(store: RunStore) -> StepRecord:
    """A step in which every text that a model or a domain wrote is hostile."""
    record = Fabricator(store.config(), 3).step(4)
    tasks = {
        p.outcome.id: replace(
            p.outcome, kind=EVIL.replace("\ud800", ""), payload={"program": EVIL, EVIL: [[EVIL]]}
        )
        for p in record.proposals
        if isinstance(p.outcome, Task)
    }

    def hostile(proposal):
        text = replace(proposal.completion, text=EVIL)
        if isinstance(proposal.outcome, Task):
            outcome = tasks[proposal.outcome.id]
        else:
            outcome = replace(proposal.outcome, reason=EVIL.replace("\ud800", ""))
        return replace(proposal, completion=text, outcome=outcome)

    return replace(
        record,
        members=(),
        events=(),
        proposals=tuple(map(hostile, record.proposals)),
        rollouts=tuple(
            replace(r, completion=replace(r.completion, text=EVIL), answer=EVIL)
            for r in record.rollouts
        ),
    )
