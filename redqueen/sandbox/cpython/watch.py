"""Telling a program that waits from a machine that gives it no time."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


class IdleWatch:
    """Counts the seconds in which a request's process slept of its own accord.

    Not those in which it ran or waited for its turn (the kernel counts both), nor those in which
    it was stopped or waited for a disk.
    """

    def __init__(self, server: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`server` is the process whose only child is looked at; `clock` stops with the machine."""
        self._server = Path(f"/proc/{server}/task/{server}/children")
        self._clock = clock
        self._since = clock()
        self._busy = 0.0
        self.seconds = 0.0

    def look(self) -> float:
        """Look at the process, and return the seconds so far."""
        # A process that is gone, or a kernel that does not tell: nothing can be counted.
        with suppress(OSError, ValueError, IndexError):
            states, busy = self._read()
            if "R" in states:  # what it has waited shows when it runs
                return self.seconds
            now = self._clock()
            if states == {"S"} and self._busy:
                self.seconds += max(0.0, now - self._since - (busy - self._busy))
            self._since, self._busy = now, busy
        return self.seconds

    def _read(self) -> tuple[set[str], float]:
        """States of its threads, and the seconds that they ran or waited for their turn."""
        [child] = self._server.read_text().split()
        states, busy = set(), 0.0
        for task in Path(f"/proc/{child}/task").iterdir():
            states.add((task / "stat").read_text().rsplit(")", 1)[1].split()[0])
            ran, waited, _ = (task / "schedstat").read_text().split()
            busy += 1e-9 * (int(ran) + int(waited))
        return states, busy
