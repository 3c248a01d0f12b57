"""What the seed tasks are built of, to tell which tasks of teachers leave their region."""

from collections.abc import Callable, Iterable, Mapping
from itertools import combinations

from redqueen.types import Task

Construct = tuple[str, ...]
"""A construct alone, or two in alphabetical order."""


class SeedRegion:
    """The constructs, and the pairs of constructs in one task, that seed tasks have."""

    def __init__(self, constructs: Callable[[Task], frozenset[str]], seeds: Iterable[Task]) -> None:
        """`constructs` names what a task is built of."""
        self._constructs = constructs
        self._region = {item for task in seeds for item in self._of(task)}

    def _of(self, task: Task) -> set[Construct]:
        names = sorted(self._constructs(task))
        return {*((name,) for name in names), *combinations(names, 2)}

    def novelties(self, task: Task) -> set[Construct]:
        """Return the constructs and pairs of a task that no seed task has."""
        return self._of(task) - self._region


def outside_share(regions: Mapping[str, SeedRegion], tasks: Iterable[Task]) -> dict[str, float]:
    """Return the metric `outside_seeds`, the share of tasks with something new to their region.

    `regions` are by environment; tasks of others do not count, and without any there is no metric.
    """
    new = [bool(regions[t.environment].novelties(t)) for t in tasks if t.environment in regions]
    return {"outside_seeds": sum(new) / len(new)} if new else {}
