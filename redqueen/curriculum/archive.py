"""The tasks kept for reference, filed by feature cell. Coverage is the share of cells filled."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from redqueen.environments.base import Environment, Measure, TaskSpace
from redqueen.types import Rejection, Task


class Cell(NamedTuple):
    """A place of the archive: tasks of one kind whose measures fall into the same bins."""

    kind: str
    bins: tuple[int, ...]

    def __str__(self) -> str:
        return ":".join([self.kind, *map(str, self.bins)])


class Archive:
    """A bounded, ordered collection of distinct tasks of one environment.

    When full, the oldest task of the fullest cell goes; of several cells as full as each other the
    one that has it, so that no cell is preferred for its name. Cells once filled stay counted in
    `coverage`. The measures of the environment that have edges span the cells of each kind; an
    environment without measures has one cell for each kind.
    """

    def __init__(self, size: int, environment: Environment) -> None:
        measures: tuple[Measure, ...] = getattr(environment, "measures", ())
        self.size = size
        self.environment = environment
        self.kinds: tuple[str, ...] = getattr(environment, "kinds", ())
        self._axes = tuple(measure for measure in measures if measure.edges)
        self._tasks: dict[str, Task] = {}
        self._cells: dict[str, Cell] = {}
        self._filled: set[Cell] = set()
        self._banned: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._tasks

    def cell(self, task: Task) -> Cell:
        """Return the cell that a task belongs to; a feature that it lacks counts as 0."""
        return Cell(
            task.kind,
            tuple(
                sum(task.features.get(axis.name, 0.0) >= edge for edge in axis.edges)
                for axis in self._axes
            ),
        )

    def novelty(self, outcome: Task | Rejection) -> float:
        """Return 1 / sqrt(1 + the tasks in the cell of a task); 1 for a rejection."""
        if isinstance(outcome, Rejection):
            return 1.0
        cell = self.cell(outcome)
        return 1.0 / math.sqrt(1 + sum(other == cell for other in self._cells.values()))

    @property
    def cells_of_a_kind(self) -> int:
        """Number of cells that each kind has."""
        return math.prod(len(axis.edges) + 1 for axis in self._axes)

    @property
    def coverage(self) -> float:
        """Share of all cells that ever held a task."""
        kinds = {*self.kinds, *(cell.kind for cell in self._filled)}
        return len(self._filled) / (max(1, len(kinds)) * self.cells_of_a_kind)

    def kind_coverage(self) -> dict[str, float]:
        """Return the same for each of the environment's kinds, among the kind's own cells."""
        counts = Counter(cell.kind for cell in self._filled)
        return {kind: counts[kind] / self.cells_of_a_kind for kind in self.kinds}

    @property
    def tasks(self) -> Mapping[str, Task]:
        """A view of the tasks by id, oldest first."""
        return MappingProxyType(self._tasks)

    def by_cell(self) -> dict[Cell, list[Task]]:
        """Return the tasks in each cell that holds any, oldest first."""
        filed: dict[Cell, list[Task]] = {}
        for key, task in self._tasks.items():
            filed.setdefault(self._cells[key], []).append(task)
        return filed

    def add(self, tasks: Iterable[Task]) -> int:
        """File tasks that are not there yet; return how many were new."""
        added = 0
        for task in tasks:
            if task.id in self._tasks:
                continue
            self._tasks[task.id] = task
            self._cells[task.id] = cell = self.cell(task)
            self._filled.add(cell)
            added += 1
        while len(self._tasks) > self.size:
            counts = Counter(self._cells.values())
            most = max(counts.values())
            oldest = next(key for key in self._tasks if counts[self._cells[key]] == most)
            del self._tasks[oldest], self._cells[oldest]
        return added

    def ban(self, task: Task) -> None:
        """Never take a task up, nor one that is the same but for what does not matter."""
        self._banned[self._identity(task)] = None

    def bans(self, task: Task) -> bool:
        """Return whether a task is banned."""
        return bool(self._banned) and self._identity(task) in self._banned

    def _identity(self, task: Task) -> str:
        if isinstance(self.environment, TaskSpace):
            return self.environment.fingerprint(task).task
        return task.id

    def sample(self, count: int, rng: np.random.Generator) -> list[Task]:
        """Return up to `count` distinct tasks, drawn uniformly."""
        pool = list(self._tasks.values())
        if not pool:
            return []
        chosen = rng.choice(len(pool), size=min(count, len(pool)), replace=False)
        return [pool[int(index)] for index in chosen]

    def metrics(self) -> dict[str, float]:
        """Return size and coverage, in all and by kind, by the names that a step records."""
        by_kind = {f"coverage/{kind}": share for kind, share in self.kind_coverage().items()}
        return {"coverage": self.coverage, "archive_size": float(len(self)), **by_kind}

    def state(self) -> dict[str, Any]:
        """Return plain JSON for a checkpoint."""
        tasks = [asdict(task) for task in self._tasks.values()]
        filled = [[cell.kind, list(cell.bins)] for cell in sorted(self._filled)]
        return {"tasks": tasks, "filled": filled, "banned": list(self._banned)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` returned, in the same order."""
        self._tasks = {item["id"]: Task(**item) for item in state["tasks"]}
        self._cells = {key: self.cell(task) for key, task in self._tasks.items()}
        self._filled = {Cell(kind, tuple(bins)) for kind, bins in state["filled"]}
        self._banned = dict.fromkeys(state["banned"])


def archive_metrics(archives: Mapping[str, Archive]) -> dict[str, float]:
    """Return the archives' metrics; with several, each name is followed by its environment's."""
    if len(archives) == 1:
        return dict(next(iter(archives.values())).metrics())
    metrics: dict[str, float] = {}
    for name, archive in archives.items():
        metrics |= {f"{key}/{name}": value for key, value in archive.metrics().items()}
    covered = sum(archive.coverage for archive in archives.values())
    return metrics | {"coverage": covered / len(archives)}
