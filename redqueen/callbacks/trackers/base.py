"""What a tracker is, and what it is told: the same names everywhere."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from redqueen.callbacks.base import Callback, CallbackConfig, RunInfo
from redqueen.files import write_text
from redqueen.types import StepRecord

IDENTITY = "tracking.id"
"""The file of a run's directory with the name by which trackers know it again."""


def identity(directory: Path) -> str:
    """Return the name by which trackers know a run again when it is resumed; made once."""
    path = directory / IDENTITY
    if not path.exists():
        write_text(path, uuid4().hex[:12] + "\n")
    return path.read_text(encoding="utf-8").strip()


def step_values(record: StepRecord) -> dict[str, float]:
    """Return what trackers are told of a step: its metrics as the database has them, seconds of
    each phase as `seconds/<phase>`, and ratings as `member/<id>/mu` and `.../sigma`."""
    values = dict(record.metrics)
    values |= {f"seconds/{phase}": seconds for phase, seconds in record.seconds.items()}
    for member in record.members:
        if member.died is None:
            values[f"member/{member.id}/mu"] = member.mu
            values[f"member/{member.id}/sigma"] = member.sigma
    return values


class Session:
    """An open tracker."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Send the values of a step."""
        raise NotImplementedError

    def close(self) -> None:
        """Send what is left."""


class TrackerConfig(CallbackConfig):
    """Base of what a config names as a tracker: its keys, and how it is opened."""

    def open(self, directory: Path, config: Mapping[str, Any], step: int) -> Session:
        """Return a session for the run of `directory`, which has done `step` steps."""
        raise NotImplementedError

    def build(self, run: RunInfo) -> "Tracking":
        """Return the callback that sends every step."""
        return Tracking(self, run)


class Tracking(Callback):
    """Sends every step to a tracker, and what is measured later. One that cannot be opened is left
    alone."""

    def __init__(self, tracker: TrackerConfig, run: RunInfo) -> None:
        self.tracker, self.run = tracker, run
        self.session: Session | None = None

    def on_start(self) -> None:
        """Open the tracker."""
        config = self.run.config.model_dump(mode="json")
        self.session = self.tracker.open(self.run.directory, config, self.run.step)

    def on_step(self, record: StepRecord) -> None:
        """Send the step."""
        if self.session is not None:
            self.session.log(record.step, step_values(record))

    def on_end(self, finished: bool) -> None:
        """Send what is left."""
        if self.session is not None:
            self.session.close()

    def on_evaluation(self, step: int, results: Mapping[str, float]) -> None:
        """Open the tracker anew and send the results."""
        self.on_start()
        if self.session is not None:
            self.session.log(step, results)
            self.session.close()
