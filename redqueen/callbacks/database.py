"""The run database and the checkpoints: the loop's storage.

It is told what callbacks are told, but its failures end the run: a run that is not on the disk
must not go on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from redqueen.files import sync_directory, sync_file
from redqueen.population import hall_of_fame, paging
from redqueen.store import RunStore, kept_states, save_checkpoint
from redqueen.types import StepRecord


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a checkpoint holds; nothing that a later step does changes it."""

    step: int
    tensors: Mapping[str, Mapping[str, Tensor]]
    state: Mapping[str, Any]
    files: tuple[Path, ...] = ()
    """What the checkpoint names, and the disk may not have yet."""


class Database:
    """Writes steps and checkpoints into one run's directory.

    Raises:
        InfrastructureError: (all methods) the disk or the database failed.
    """

    def __init__(self, store: RunStore, keep_checkpoints: int) -> None:
        self.store = store
        self.keep_checkpoints = keep_checkpoints

    def write(self, record: StepRecord, checkpoint: Snapshot | None) -> None:
        """Write a step in one transaction, then what the next one depends on."""
        self.store.write_step(record)
        if checkpoint is not None:
            self.save(checkpoint)

    def save(self, checkpoint: Snapshot) -> None:
        """Write a checkpoint, and remove those that are too old, with what only they need."""
        directory = self.store.directory
        for path in checkpoint.files:
            sync_file(path)
        if checkpoint.files:
            sync_directory(checkpoint.files[0].parent)
        save_checkpoint(
            directory,
            checkpoint.step,
            checkpoint.tensors,
            checkpoint.state,
            keep=self.keep_checkpoints,
        )
        if not (checkpoint.state["hall_of_fame"] or checkpoint.state.get("pages")):
            return
        kept = kept_states(directory)
        past = [state.get("hall_of_fame", {}) for state in kept]
        hall_of_fame.prune(directory, past, checkpoint.state["population"]["next_id"])
        paging.prune(directory, [state.get("pages", {}) for state in kept], checkpoint.step)

    def truncate_after(self, step: int) -> None:
        """Forget the steps after a checkpoint, from before a crash."""
        self.store.truncate_after(step)
