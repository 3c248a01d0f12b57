"""The tasks kept for reference, filed by feature cell. Coverage is the share of cells filled."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

import numpy as np

from redqueen.types import Task


class Archive:
    """A bounded, ordered collection of distinct tasks.

    When full, the oldest task of the fullest cell goes. `cell` files a task; `cells` is the
    number of cells there are. Cells once filled stay counted in `coverage`.
    """

    def __init__(self, size: int, cell: Callable[[Task], str], cells: int):
        self.size = size
        self.cells = cells
        self._cell = cell
        self._tasks: dict[str, Task] = {}
        self._where: dict[str, str] = {}
        self._filled: set[str] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._tasks

    @property
    def coverage(self) -> float:
        """Share of all feature cells that ever held a task."""
        return len(self._filled) / self.cells

    def kind_coverage(self, kinds: Sequence[str]) -> dict[str, float]:
        """The same for each of the domain's kinds, among the kind's own cells."""
        counts = Counter(name.partition(":")[0] for name in self._filled)
        return {kind: counts[kind] * len(kinds) / self.cells for kind in kinds}

    @property
    def tasks(self) -> Mapping[str, Task]:
        """The tasks by id, oldest first; not to be changed."""
        return MappingProxyType(self._tasks)

    def by_cell(self) -> dict[str, list[Task]]:
        """The tasks in each cell that holds any, oldest first."""
        filed: dict[str, list[Task]] = {}
        for key, task in self._tasks.items():
            filed.setdefault(self._where[key], []).append(task)
        return filed

    def add(self, tasks: Iterable[Task]) -> int:
        """File tasks that are not there yet; returns how many were new."""
        added = 0
        for task in tasks:
            if task.id in self._tasks:
                continue
            self._tasks[task.id] = task
            self._where[task.id] = self._cell(task)
            self._filled.add(self._where[task.id])
            added += 1
        while len(self._tasks) > self.size:
            counts = Counter(self._where.values())
            fullest = max(counts, key=lambda name: (counts[name], name))
            oldest = next(key for key in self._tasks if self._where[key] == fullest)
            del self._tasks[oldest], self._where[oldest]
        return added

    def sample(self, count: int, rng: np.random.Generator) -> list[Task]:
        """Up to `count` distinct tasks, drawn uniformly."""
        pool = list(self._tasks.values())
        if not pool:
            return []
        chosen = rng.choice(len(pool), size=min(count, len(pool)), replace=False)
        return [pool[int(index)] for index in chosen]

    def metrics(self, kinds: Sequence[str]) -> dict[str, float]:
        """Coverage, in all and by kind, and size, by the names that a step records."""
        by_kind = {f"coverage/{k}": share for k, share in self.kind_coverage(kinds).items()}
        return {"coverage": self.coverage, "archive_size": float(len(self)), **by_kind}

    def state(self) -> dict[str, Any]:
        """Plain JSON for a checkpoint."""
        tasks = [asdict(task) for task in self._tasks.values()]
        return {"tasks": tasks, "filled": sorted(self._filled)}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` returned, in the same order."""
        self._tasks = {item["id"]: Task(**item) for item in state["tasks"]}
        self._where = {key: self._cell(task) for key, task in self._tasks.items()}
        self._filled = set(state["filled"])
