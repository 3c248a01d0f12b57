"""`now.json` in a run's directory: what the run is doing at this moment, for who watches it.

It holds nothing that the run needs: it may be lost, late or left over from a run that was killed.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

STOPPED = "stopped"
LARGEST = 1e15
"""Of the numbers; nothing that a run says of itself is as large."""


@dataclass(frozen=True, slots=True)
class Now:
    """A phase that goes on; `finished` of `total` texts of it are written (0 of 0: no texts)."""

    step: int
    phase: str
    """`stopped` after the loop has ended."""
    since: float
    """When the phase began, in seconds since 1970, as `at`."""
    at: float
    """When this was written."""
    finished: int = 0
    total: int = 0


def write_now(directory: Path, now: Now) -> None:
    """Put the file in place; unlike what a run needs, it is not flushed to the disk.

    Raises:
        OSError: it could not be written.
    """
    aside = directory / ".now.json.new"
    aside.write_text(json.dumps(asdict(now)), encoding="utf-8")
    os.replace(aside, directory / "now.json")


def read_now(directory: Path) -> Now | None:
    """Return what the file says; None if there is none, or none that can be read."""
    try:
        values = json.loads((directory / "now.json").read_text(encoding="utf-8"))
        now = Now(**values)
        numbers = (now.step, now.since, now.at, now.finished, now.total)
        good = isinstance(now.phase, str) and all(
            isinstance(number, int | float) and abs(number) < LARGEST for number in numbers
        )
        return now if good else None
    except (OSError, ValueError, TypeError, RecursionError):
        return None
