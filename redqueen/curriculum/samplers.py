"""The rules by which archive tasks are drawn as references for a proposal prompt.

Each takes the archive, the kind that is asked, how many are wanted, and a generator; it returns up
to that many distinct tasks, at least one of a filled archive if one is wanted.
"""

from collections.abc import Callable, Sequence

import numpy as np

from redqueen.curriculum.archive import Archive
from redqueen.types import Task

Rule = Callable[[Archive, str, int, np.random.Generator], list[Task]]


def uniform(archive: Archive, kind: str, count: int, rng: np.random.Generator) -> list[Task]:
    """Every task is equally likely, of whatever kind."""
    return archive.sample(count, rng)


def rare(archive: Archive, kind: str, count: int, rng: np.random.Generator) -> list[Task]:
    """A filled cell, all equally likely, then a task in it: rare features are shown as often as
    common ones (uniform selection from the map of elites, arXiv 1504.04909)."""
    cells = list(archive.by_cell().values())
    drawn: list[Task] = []
    while cells and len(drawn) < count:
        cell = cells[int(rng.integers(len(cells)))]
        drawn.append(cell.pop(int(rng.integers(len(cell)))))
        cells = [left for left in cells if left]
    return drawn


def recent(archive: Archive, kind: str, count: int, rng: np.random.Generator) -> list[Task]:
    """Weight step + 1, so that the newest are likeliest; seed tasks have step 0. This is the
    strategy `step` of the code released with arXiv 2505.03335."""
    tasks = list(archive.tasks.values())
    return _draw(tasks, [task.step + 1.0 for task in tasks], count, rng)


def azr(archive: Archive, kind: str, count: int, rng: np.random.Generator) -> list[Task]:
    """Evenly from the tasks of the kind that is asked; for code_f from those of the other kinds,
    whose program it takes (arXiv 2505.03335, section 3.3). All tasks when there are none such."""
    tasks = list(archive.tasks.values())
    own = [task for task in tasks if (task.kind == kind) != (kind == "code_f")]
    pool = own or tasks
    return _draw(pool, [1.0] * len(pool), count, rng)


def _draw(
    tasks: Sequence[Task], weights: Sequence[float], count: int, rng: np.random.Generator
) -> list[Task]:
    """Up to `count` distinct tasks, one after the other by weight."""
    if not tasks:
        return []
    shares = np.asarray(weights) / sum(weights)
    chosen = rng.choice(len(tasks), size=min(count, len(tasks)), replace=False, p=shares)
    return [tasks[int(index)] for index in chosen]


REFERENCES: dict[str, Rule] = {"uniform": uniform, "rare": rare, "recent": recent, "azr": azr}
"""The rules by the name that `domain.references` takes."""
