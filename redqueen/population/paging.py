"""Members beyond memory: their adapters and moments lie on disk, and come when they play.

Which members are in memory has no part in what a run computes. A member is a file that is never
changed: what it becomes is another file, and a checkpoint names the files that it is made of. So a
checkpoint costs what has changed since the one before. A founder that never played is in no file:
it is drawn again from the run's seed.
"""

import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from safetensors.torch import load, save
from torch import Tensor

from redqueen.config import Config, PopulationConfig
from redqueen.config.component import component_name
from redqueen.config.rollout import RolloutConfig
from redqueen.errors import ConfigError, InfrastructureError
from redqueen.models.adapters import AdapterStack, Factors

FOLDER = "members"
"""Where a run's directory keeps the files."""
_NAME = re.compile(r"slot-(\d{6,})-step-(\d{6,})\.safetensors")


class Moments(Protocol):
    """The optimizer's state, seen one slot at a time."""

    def slot_state(self, slot: int) -> Mapping[str, Tensor]:
        """Return copies of one slot's state by name."""

    def load_slot(self, slot: int, state: Mapping[str, Tensor]) -> None:
        """Give one slot what `slot_state` returned; zeros where something is missing."""

    def reset_slot(self, slot: int) -> None:
        """Forget one slot's state."""

    def copy_slot(self, source: int, target: int) -> None:
        """Give the target slot the state of the source slot."""


class Page(NamedTuple):
    """A member's file: the step of its name, and its SHA-256."""

    step: int
    digest: str


def most_players(population: PopulationConfig, rollout: RolloutConfig) -> int:
    """Return how many members can meet in one ordinary step."""
    teachers = min(rollout.matches, population.teachers + population.self_play)
    if rollout.students_per_task == "all":
        return teachers + population.students
    return teachers + min(rollout.matches * rollout.students_per_task, population.students)


def prune(directory: Path, states: Sequence[Mapping[str, Any]], step: int) -> None:
    """Delete the files that no checkpoint needs.

    `states` are what `DiskPager.flush` returned for every checkpoint that is kept, the newest one
    of `step`; files of later steps stay.
    """
    needed = {(int(slot), page[0]) for state in states for slot, page in state.items()}
    for path in (directory / FOLDER).glob("slot-*.safetensors"):
        match = _NAME.fullmatch(path.name)
        if match and int(match[2]) <= step and (int(match[1]), int(match[2])) not in needed:
            path.unlink(missing_ok=True)


class DiskPager:
    """Keeps as many members in memory as a stack has rows for, those that played last.

    Args:
        directory: of the run.
        adapters: the stack; all its slots after the `living` have a row for ever.
        living: slots of the members.
        founder: returns the adapter that a slot began with.
        moments: the optimizer's; None: members are only read, and nothing is ever written.
    """

    def __init__(
        self,
        directory: Path,
        adapters: AdapterStack,
        living: int,
        founder: Callable[[int], Mapping[str, Factors]],
        moments: Moments | None = None,
    ) -> None:
        self._directory = directory
        self._adapters = adapters
        self._founder = founder
        self._moments = moments
        self.living = living
        self.rows = adapters.rows - (adapters.slots - living)
        self._pages: dict[int, Page] = {}
        self._changed: set[int] = set()
        """In memory, and perhaps not what their files say."""
        self._unsynced: list[Path] = []
        self._step = 0
        """Of the files that are written before the next checkpoint; later than the last one's."""
        self._seats: dict[int, int] = {slot: slot for slot in range(self.rows)}
        """Row of each slot that is in memory, the one longest unused first."""
        adapters.row_of[self.rows : living] = -1
        adapters.row_of[living:] = torch.arange(self.rows, adapters.rows)
        adapters.pager = self

    # ── adapters ────────────────────────────────────────────────────────────────────────────

    def bring(self, slots: Sequence[int]) -> None:
        """Have all of these slots in memory at the same time; those longest unused leave it.

        Raises:
            ConfigError: they are more than memory is set to hold.
            InfrastructureError: a file is missing or damaged, or cannot be written.
        """
        needed = dict.fromkeys(slot for slot in slots if slot < self.living)
        if len(needed) > self.rows:
            raise ConfigError(
                f"population.slots = {self.rows}, but {len(needed)} members are needed in memory "
                "at once; raise it"
            )
        for slot in needed:
            if slot in self._seats:
                self._seats[slot] = self._seats.pop(slot)
        for slot in needed:
            if slot not in self._seats:
                self._load(slot, self._free_row(needed))
        self._changed |= needed.keys()

    def read(self, slot: int) -> dict[str, Factors]:
        """Return the factors of a slot that is not in memory, which it stays."""
        return self._parts(slot)[0]

    def _free_row(self, needed: Mapping[int, None]) -> int:
        """Return a row that nobody needs, or that nobody has yet."""
        if len(self._seats) < self.rows:
            return min(set(range(self.rows)) - set(self._seats.values()))
        slot = next(slot for slot in self._seats if slot not in needed)
        if slot in self._changed:
            self._write(slot)
            self._changed.remove(slot)
        self._adapters.row_of[slot] = -1
        return self._seats.pop(slot)

    def _load(self, slot: int, row: int) -> None:
        factors, state = self._parts(slot)
        self._seats[slot] = row
        self._adapters.row_of[slot] = row
        self._adapters.set_row(row, factors)
        if self._moments is not None:
            self._moments.load_slot(slot, state)

    # ── moments ─────────────────────────────────────────────────────────────────────────────

    def reset_slot(self, slot: int) -> None:
        """Forget the moments and the step count of one slot."""
        assert self._moments is not None
        self.bring([slot])
        self._moments.reset_slot(slot)

    def copy_slot(self, source: int, target: int) -> None:
        """Give the target slot the moments and the step count of the source slot."""
        assert self._moments is not None
        self.bring([source, target])
        self._moments.copy_slot(source, target)

    # ── files ───────────────────────────────────────────────────────────────────────────────

    def flush(self, step: int) -> dict[str, Any]:
        """Write who has changed; return plain JSON for the checkpoint of `step`: the step and the
        SHA-256 of each slot's file, founders left out.

        Raises:
            InfrastructureError: a file cannot be written.
        """
        self._step = step
        for slot in sorted(self._changed):
            self._write(slot)
        self._changed.clear()
        self._step = step + 1
        return {str(slot): list(page) for slot, page in sorted(self._pages.items())}

    def take_unsynced(self) -> tuple[Path, ...]:
        """Return the files written since the last call, which may not be on the disk yet."""
        files, self._unsynced = self._unsynced, []
        return tuple(dict.fromkeys(files))

    def restore(self, state: Mapping[str, Any], step: int) -> None:
        """Take up what `flush` returned for `step`; nobody is in memory then."""
        self._pages = {int(slot): Page(*page) for slot, page in state.items()}
        self._step = step + 1
        self._seats.clear()
        self._changed.clear()
        self._adapters.row_of[: self.living] = -1

    def _path(self, slot: int, step: int) -> Path:
        return self._directory / FOLDER / f"slot-{slot:06d}-step-{step:06d}.safetensors"

    def _parts(self, slot: int) -> tuple[dict[str, Factors], dict[str, Tensor]]:
        """Return a slot's factors and moments from its file; a founder's without one."""
        page = self._pages.get(slot)
        if page is None:
            return dict(self._founder(slot)), {}
        path = self._path(slot, page.step)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InfrastructureError(
                f"cannot read {path}, a member of the run: {error.strerror or error}; put the file "
                "back, then resume"
            ) from None
        if hashlib.sha256(content).hexdigest() != page.digest:
            raise InfrastructureError(
                f"{path} is not the file that was written; put it back, then resume"
            )
        tensors = load(content)
        names = self._adapters.layers
        factors = {n: Factors(tensors.pop(f"{n}.A"), tensors.pop(f"{n}.B")) for n in names}
        return factors, tensors

    def _write(self, slot: int) -> None:
        if self._moments is None:
            return
        tensors = dict(self._moments.slot_state(slot))
        for name, (a, b) in self._adapters.get(slot).items():
            tensors |= {f"{name}.A": a, f"{name}.B": b}
        content = save({name: tensor.cpu() for name, tensor in tensors.items()})
        digest = hashlib.sha256(content).hexdigest()
        if slot in self._pages and self._pages[slot].digest == digest:
            return
        path = self._path(slot, self._step)
        aside = path.with_name(f".{path.name}.new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside.write_bytes(content)
            os.replace(aside, path)
        except OSError as error:
            raise InfrastructureError(
                f"could not write {path}: {error}; the last checkpoint is intact"
            ) from error
        self._pages[slot] = Page(self._step, digest)
        self._unsynced.append(path)


def make_pager(
    config: Config,
    directory: Path,
    adapters: AdapterStack,
    living: int,
    moments: Moments | None = None,
) -> DiskPager | None:
    """Return what keeps members on disk, as `population.slots` says; None: all are in memory."""
    if not config.population.slots:
        return None
    seed, noise = config.seed, config.policy.init_noise
    return DiskPager(
        directory, adapters, living, lambda slot: adapters.founder(slot, seed, noise), moments
    )


def check_paged(config: Config) -> None:
    """Check that all who meet in a step fit into memory together.

    Raises:
        ConfigError: they do not.
    """
    people, evolution = config.population, config.evolution
    members = people.teachers + people.students + people.self_play
    if not 0 < people.slots < members:
        return
    needs = {
        "the probe of evolution.fitness": evolution.enabled and evolution.fitness.probe,
        "fitness by distances between members": evolution.compares,
        "swarm.enabled": config.swarm.enabled,
        f"engine.type = {component_name('engine', config.engine)!r}": not config.engine.in_place,
    }
    everybody = [name for name, needed in needs.items() if needed]
    least = members if everybody else most_players(people, config.rollout)
    if people.slots < least:
        why = f"for {everybody[0]}" if everybody else "as many can meet in a step (rollout.matches)"
        raise ConfigError(
            f"population.slots = {people.slots}, but {least} members must be in memory at once: "
            f"{why}; raise it, or set it to 0"
        )
