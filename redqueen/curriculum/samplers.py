"""The rules by which archive tasks are drawn as references for a proposal prompt.

A rule takes the archive, the kind that is asked, a number and a generator. It returns up to that
many distinct tasks: at least one, if the archive has any and the number is not 0.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from redqueen.config.component import Component, Of
from redqueen.environments.base import Varies
from redqueen.types import Task

if TYPE_CHECKING:
    from redqueen.curriculum.archive import Archive


class ReferenceRule(Component):
    """Base of what a config names as `curriculum.references`."""

    def __call__(
        self, archive: "Archive", kind: str, count: int, rng: np.random.Generator
    ) -> list[Task]:
        """Return up to `count` distinct tasks of the archive."""
        raise NotImplementedError


class UniformReferences(ReferenceRule):
    """Every task is equally likely, of whatever kind."""

    def __call__(
        self, archive: "Archive", kind: str, count: int, rng: np.random.Generator
    ) -> list[Task]:
        """Return tasks drawn evenly from the whole archive."""
        return archive.sample(count, rng)


class RareReferences(ReferenceRule):
    """A filled cell, all equally likely, then a task in it: rare features are shown as often as
    common ones (uniform selection from the map of elites, arXiv 1504.04909)."""

    def __call__(
        self, archive: "Archive", kind: str, count: int, rng: np.random.Generator
    ) -> list[Task]:
        """Return tasks drawn without replacement, the cell first."""
        cells = list(archive.by_cell().values())
        drawn: list[Task] = []
        while cells and len(drawn) < count:
            cell = cells[int(rng.integers(len(cells)))]
            drawn.append(cell.pop(int(rng.integers(len(cell)))))
            cells = [tasks for tasks in cells if tasks]
        return drawn


class RecentReferences(ReferenceRule):
    """Weight step + 1, so that the newest are likeliest; seed tasks have step 0. This is the
    strategy `step` of the code released with arXiv 2505.03335."""

    def __call__(
        self, archive: "Archive", kind: str, count: int, rng: np.random.Generator
    ) -> list[Task]:
        """Return tasks drawn by weight from the whole archive."""
        tasks = list(archive.tasks.values())
        return _draw(tasks, [task.step + 1.0 for task in tasks], count, rng)


class AzrReferences(ReferenceRule):
    """Evenly from the tasks of the kind that is asked; a kind that builds on another task draws
    from those of the other kinds (arXiv 2505.03335, section 3.3). All tasks if there are none."""

    builds_on_others: tuple[str, ...] = ("code_f",)
    """Kinds that take the program of a task of another kind."""

    def __call__(
        self, archive: "Archive", kind: str, count: int, rng: np.random.Generator
    ) -> list[Task]:
        """Return tasks drawn evenly from those of the kind, or of the other kinds."""
        others = kind in self.builds_on_others
        tasks = list(archive.tasks.values())
        pool = [task for task in tasks if (task.kind == kind) != others] or tasks
        return _draw(pool, [1.0] * len(pool), count, rng)


class VariedReferences(ReferenceRule):
    """Tasks drawn by another rule, some of them changed: for code, a statement of the program is
    added, removed or swapped, and the result is valid. Teachers see what nobody has written yet.

    Where the environment varies no task (`Varies`), they are shown as they are. A proposal that is
    the varied task itself is a duplicate.
    """

    by: Annotated[Any, Of("references")] = Field("uniform")
    """The rule that draws."""
    share: float = Field(0.5, ge=0, le=1)
    """Chance that a drawn task is varied."""
    donors: int = Field(3, ge=0)
    """Other archived tasks that parts may come from."""

    def __call__(
        self, archive: "Archive", kind: str, count: int, rng: np.random.Generator
    ) -> list[Task]:
        """Return tasks drawn by `by`, with a variant in the place of some."""
        space, shown = archive.environment, list[Task]()
        for task in self.by(archive, kind, count, rng):
            variant = None
            if isinstance(space, Varies) and rng.random() < self.share:
                variant = space.vary(task, archive.sample(self.donors, rng), rng)
            shown.append(variant or task)
        return shown


def _draw(
    tasks: Sequence[Task], weights: Sequence[float], count: int, rng: np.random.Generator
) -> list[Task]:
    """Return up to `count` distinct tasks, drawn one after the other by weight."""
    if not tasks:
        return []
    shares = np.asarray(weights) / sum(weights)
    chosen = rng.choice(len(tasks), size=min(count, len(tasks)), replace=False, p=shares)
    return [tasks[int(index)] for index in chosen]
