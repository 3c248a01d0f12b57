"""The suites that a study can name."""

from collections.abc import Callable

from redqueen.benchmarks import SUITE, heldout_tasks
from redqueen.domains import Domain
from redqueen.types import Task

SUITES: dict[str, Callable[[Domain, int, int], list[Task]]] = {SUITE: heldout_tasks}
"""Name -> builder(domain, count, seed)."""
