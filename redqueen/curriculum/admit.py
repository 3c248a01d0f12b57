"""Which validated proposals become tasks of the run."""

from collections.abc import Callable, Collection, Sequence

from redqueen.curriculum.archive import Archive
from redqueen.curriculum.held_out import HeldOut
from redqueen.curriculum.near_copies import CopyIndex
from redqueen.screens import is_unsafe
from redqueen.types import Rejection, Task


def admit(
    outcomes: Sequence[Task | Rejection],
    finished: Sequence[bool],
    archive: Archive,
    copies: CopyIndex | None,
    held_out: HeldOut,
    shown: Collection[str] = (),
    can_be_posed: Callable[[Task], bool] = lambda task: True,
) -> list[Task | Rejection]:
    """Return what becomes of each proposal of a step: its task, or a rejection with a reason.

    `outcomes` is what validation says, `finished` whether the text came to its end. A task of a
    held-out suite, should a teacher hit on it, is never trained on. A task whose key students have
    contradicted is disputed. What the archive or this step has already, or teachers were shown
    (`shown`, ids), is a duplicate, or a near copy if `copies` says so (None: nothing is one). What
    cannot be posed, since its prompt fills the base's context, is too long.
    """
    seen = set(shown)
    if copies is not None:
        copies.follow(archive.tasks)
    admitted: list[Task | Rejection] = []
    for outcome, complete in zip(outcomes, finished, strict=True):
        if not complete and not is_unsafe(outcome):
            admitted.append(Rejection("unfinished", malformed=True))
            continue
        if isinstance(outcome, Rejection):
            admitted.append(outcome)
            continue
        reason = None
        if held_out.holds(outcome):
            reason = "held_out"
        elif not can_be_posed(outcome):
            reason = "too_long"
        elif archive.bans(outcome):
            reason = "disputed"
        elif outcome.id in seen or outcome.id in archive:
            reason = "duplicate"
        elif copies is not None and copies.is_copy(outcome):
            reason = "near_copy"
        elif copies is not None:
            copies.add(outcome)
        seen.add(outcome.id)
        admitted.append(Rejection(reason, malformed=False) if reason else outcome)
    return admitted
