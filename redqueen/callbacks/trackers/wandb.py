"""Weights & Biases."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import wandb

from redqueen.callbacks.trackers.base import Session, TrackerConfig, identity


class WeightsAndBiases(TrackerConfig):
    """A run of a project; a resumed run goes on as the same one.

    Nothing of the machine is sent: no code, no console, no statistics.
    """

    project: str = "redqueen"
    """The project."""
    entity: str | None = None
    """User or team; none: the account's own."""
    group: str | None = None
    """What runs are grouped by, such as a study."""
    mode: Literal["online", "offline", "disabled"] | None = None
    """`offline` writes files for `wandb sync`; none: as WANDB_MODE says, else online."""

    def open(self, directory: Path, config: Mapping[str, Any], step: int) -> "WandbSession":
        """Return the run, new or taken up."""
        run = wandb.init(
            project=self.project,
            entity=self.entity,
            group=self.group,
            mode=self.mode,
            name=directory.name,
            id=identity(directory),
            dir=str(directory),
            resume="allow",
            config=dict(config),
            settings=wandb.Settings(
                silent=True,
                console="off",
                disable_git=True,
                save_code=False,
                x_disable_meta=True,
                x_disable_stats=True,
            ),
        )
        return WandbSession(run)


class WandbSession(Session):
    """Logs one row a step."""

    def __init__(self, run: Any) -> None:
        self.run = run

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Log a row."""
        self.run.log(dict(values), step=step)

    def close(self) -> None:
        """Send what is left."""
        self.run.finish()
