"""Trackio: a local database with a dashboard, or a Space of the hub."""

from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import trackio

from redqueen.callbacks.trackers.base import Session, TrackerConfig


class Trackio(TrackerConfig):
    """A run of a project; `trackio show --project redqueen` opens the dashboard."""

    project: str = "redqueen"
    """The project."""
    group: str | None = None
    """What runs are grouped by, such as a study."""
    space_id: str | None = None
    """A Space of the hub to send everything to; none: only the local database."""

    def open(self, directory: Path, config: Mapping[str, Any], step: int) -> "TrackioSession":
        """Return the run, new or taken up."""
        with redirect_stdout(StringIO()):  # it would write into the live display
            run = trackio.init(
                project=self.project,
                name=directory.name,
                group=self.group,
                space_id=self.space_id,
                config=dict(config),
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        return TrackioSession(run)


class TrackioSession(Session):
    """Logs one row a step."""

    def __init__(self, run: Any) -> None:
        self.run = run

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Log a row."""
        self.run.log(dict(values), step=step)

    def close(self) -> None:
        """Send what is left."""
        with redirect_stdout(StringIO()):
            self.run.finish()
