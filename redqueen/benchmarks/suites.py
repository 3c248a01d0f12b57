"""The registry of suites, and what of them is kept from training."""

import ast
from collections.abc import Callable
from functools import cached_property

from redqueen.environments.base import Domain
from redqueen.environments.code.handwritten import exercises, handwritten_tasks
from redqueen.environments.code.normal_form import normal_form
from redqueen.environments.code.suites import RESERVED, SUITE, beyond_tasks, heldout_tasks
from redqueen.errors import ConfigError
from redqueen.sandbox import parse_module
from redqueen.types import Task

Builder = Callable[[Domain, int, int], list[Task]]
"""(domain, count, seed) -> at most `count` tasks, the same ones for the same arguments."""

SUITES: dict[str, Builder] = {
    SUITE: heldout_tasks,
    "beyond": beyond_tasks,
    "handwritten": handwritten_tasks,
}
"""Suite name -> builder."""

BEYOND_LINES = 21
"""No program of band 6 or 7 is shorter: two lines of frame, seven plain statements, and three
compound ones of at least 3, 3 and 6 lines."""


def suite_tasks(name: str, domain: Domain, count: int, seed: int) -> list[Task]:
    """`count` tasks of the suite `name`; `handwritten` may have fewer.

    Raises:
        ConfigError: no such suite, or more tasks than are kept from training.
    """
    if name not in SUITES:
        raise ConfigError(f"no suite {name!r}; there are: {', '.join(SUITES)}")
    if count > RESERVED:
        raise ConfigError(f"{count} {name} tasks: at most {RESERVED} are kept from training")
    return SUITES[name](domain, count, seed)


class Reserved:
    """What no run may train on: the tasks of all suites, and every program written by hand.

    A teacher may hit on a function of the handwritten suite under other names or with another
    input; that is held out as well.
    """

    def __init__(self, domain: Domain, seed: int):
        """`seed` is that of the suites (`eval.seed`)."""
        self._domain, self._seed = domain, seed
        self._ids = frozenset(task.id for task in heldout_tasks(domain, RESERVED, seed))
        self._programs = frozenset(normal_form(ast.parse(item.program)) for item in exercises())

    @cached_property
    def _beyond(self) -> frozenset[str]:
        """Takes seconds, so it waits for the first proposal that is long enough to be in it."""
        return frozenset(task.id for task in beyond_tasks(self._domain, RESERVED, self._seed))

    def holds(self, task: Task) -> bool:
        """Whether `task` is held out."""
        if task.id in self._ids:
            return True
        if task.features.get("lines", BEYOND_LINES) >= BEYOND_LINES and task.id in self._beyond:
            return True
        program = task.payload.get("program")
        return program is not None and normal_form(parse_module(program)) in self._programs
