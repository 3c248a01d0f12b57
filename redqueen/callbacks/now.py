"""Says on disk which phase goes on: `redqueen watch` and `redqueen status` read it."""

import time
from collections.abc import Callable

from redqueen.callbacks.base import Callback, CallbackConfig, RunInfo
from redqueen.store.now import STOPPED, Now, write_now
from redqueen.types import StepRecord

EVERY = 1.0
"""Seconds between two notes of how many texts are finished, at least."""


class NowFile(CallbackConfig):
    """Keeps `now.json` in the run's directory: step, phase, since when, how many texts."""

    def build(self, run: RunInfo) -> "NowWriter":
        """Return the writer for a run."""
        return NowWriter(run)


class NowWriter(Callback):
    """Writes a small file at the start of every phase, and at most every second within one."""

    def __init__(self, run: RunInfo, clock: Callable[[], float] = time.time) -> None:
        self.directory = run.directory
        self.clock = clock
        self.now = Now(run.step, STOPPED, 0.0, 0.0)

    def _write(
        self, step: int, phase: str, since: float, finished: int = 0, total: int = 0
    ) -> None:
        self.now = Now(step, phase, since, self.clock(), finished, total)
        write_now(self.directory, self.now)

    def on_phase(self, step: int, phase: str) -> None:
        """Note the phase."""
        self._write(step, phase, self.clock())

    def on_texts(self, phase: str, finished: int, total: int) -> None:
        """Note how many texts are finished."""
        if self.clock() - self.now.at >= EVERY:
            self._write(self.now.step, self.now.phase, self.now.since, finished, total)

    def on_step(self, record: StepRecord) -> None:
        """Note that the step is done."""
        self._write(record.step, "store", self.clock())

    def on_end(self, finished: bool) -> None:
        """Note that nothing goes on."""
        self._write(self.now.step, STOPPED, self.clock())
