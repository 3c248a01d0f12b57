"""The run database and the checkpoints: the loop's storage.

It is told what callbacks are told, but its failures end the run: a run that is not on the disk
must not go on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from redqueen.population.hall_of_fame import prune
from redqueen.store import RunStore, kept_states, save_checkpoint
from redqueen.types import StepRecord


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a checkpoint holds; nothing that a later step does changes it."""

    step: int
    tensors: Mapping[str, Mapping[str, Tensor]]
    state: Mapping[str, Any]


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
        save_checkpoint(
            self.store.directory,
            checkpoint.step,
            checkpoint.tensors,
            checkpoint.state,
            keep=self.keep_checkpoints,
        )
        if checkpoint.state["hall_of_fame"]:
            states = [state.get("hall_of_fame", {}) for state in kept_states(self.store.directory)]
            prune(self.store.directory, states, checkpoint.state["population"]["next_id"])

    def truncate_after(self, step: int) -> None:
        """Forget the steps after a checkpoint, from before a crash."""
        self.store.truncate_after(step)
