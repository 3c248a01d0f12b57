"""What the seed tasks are built of, to tell which tasks of teachers leave their region."""

from collections.abc import Callable, Iterable
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
