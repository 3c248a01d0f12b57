"""Suites of the generator that are kept as files: they cost no time and cannot change unnoticed.

`suites/` holds one JSON Lines file for each suite. A line is a program with inputs and outputs;
`python -m recipes.seedling2.suites` wrote them, and the tests draw some of them anew.
"""

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from random import Random
from typing import TYPE_CHECKING

from redqueen.environments.code.tasks import DIFFICULTY, written_task
from redqueen.environments.code.texts import fit_results
from redqueen.errors import ConfigError
from redqueen.rng import derive_seed
from redqueen.types import Task

if TYPE_CHECKING:
    from redqueen.environments.code.config import Code

INPUTS = 10
"""Inputs of a stored `code_f` task: as many as a config may ask for."""


OF_THEIR_OWN = (("bool",),)
"""Choices of `results` that have files of their own, for in the others they are too few."""


@dataclass(frozen=True, slots=True)
class Item:
    """What a task of a suite is made of."""

    kind: str
    band: int
    program: str
    message: str
    cases: tuple[tuple[str, str], ...]
    """Arguments and value of each call."""


@cache
def read_suite(name: str) -> tuple[Item, ...]:
    """Return all items of a suite."""
    path = files("redqueen.environments.code.traced").joinpath("suites", f"{name}.jsonl")
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return tuple(Item(**row | {"cases": tuple(map(tuple, row["cases"]))}) for row in rows)


class Stored:
    """A stored suite; see `redqueen.environments.base.KeyedSource`."""

    def __init__(self, environment: str, config: "Code", name: str) -> None:
        self._environment, self._config, self._name = environment, config, name

    def tasks(self, count: int, seed: int) -> list[Task]:
        """Return `count` tasks (all if there are fewer): kinds and bands in turn, of each cell in
        an order drawn from `seed`."""
        cells: dict[tuple[str, int], list[Item]] = defaultdict(list)
        results = self._config.results
        name = f"{self._name}-{results[0]}" if results in OF_THEIR_OWN else self._name
        for item in read_suite(name):
            values = (value for _, value in item.cases)
            if item.kind in self._config.kinds and fit_results(values, results):
                cells[item.kind, item.band].append(item)
        if not cells:
            kinds, name = list(self._config.kinds), f"environments.{self._environment}"
            raise ConfigError(
                f"the suite {self._name} has no task of {name}.kinds = {kinds} with "
                f"{name}.results = {list(results)}; name more of either, or other eval.suites"
            )
        for cell, items in cells.items():
            Random(derive_seed(seed, self._name, *cell)).shuffle(items)
        longest = max(map(len, cells.values()))
        order = [items[turn] for turn in range(longest) for items in cells.values()
                 if turn < len(items)]  # fmt: skip
        return [self._task(item) for item in order[:count]]

    def _task(self, item: Item) -> Task:
        cases = item.cases[: self._config.code_f_inputs] if item.kind == "code_f" else item.cases
        task = written_task(self._environment, item.kind, item.program, cases, item.message)
        return replace(task, features={**task.features, DIFFICULTY.name: float(item.band)})

    def key(self, task: Task) -> str:
        """Return the id."""
        return task.id

    def keys(self, count: int, seed: int) -> frozenset[str]:
        """Return the ids of `tasks(count, seed)`."""
        return frozenset(task.id for task in self.tasks(count, seed))
