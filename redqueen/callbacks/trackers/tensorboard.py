"""TensorBoard: event files in the run's directory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from redqueen.callbacks.trackers.base import Session, TrackerConfig

FOLDER = "tensorboard"


class TensorBoard(TrackerConfig):
    """Event files in `<run>/tensorboard`: `tensorboard --logdir runs` shows all runs."""

    def open(self, directory: Path, config: Mapping[str, Any], step: int) -> "TensorBoardSession":
        """Return a writer. What a killed run had written of later steps is marked as void."""
        return TensorBoardSession(SummaryWriter(str(directory / FOLDER), purge_step=step + 1))


class TensorBoardSession(Session):
    """Writes one scalar for each value."""

    def __init__(self, writer: SummaryWriter) -> None:
        self.writer: Any = writer

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Write the scalars."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def close(self) -> None:
        """Close the file."""
        self.writer.close()
