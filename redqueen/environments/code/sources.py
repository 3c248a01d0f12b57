"""The task sources that a language's generator feeds: seed tasks, the stream, suites.

Their seeds never meet.
"""

import math
from collections.abc import Sequence
from random import Random

from redqueen.environments.code.tasks import Material, TaskMaker
from redqueen.errors import ConfigError
from redqueen.rng import derive_seed
from redqueen.types import Task

_TRIES = 200
"""Draws for a task that is not there yet, before a source counts as exhausted."""


class SeedTasks:
    """What an archive starts from: kinds and bands in turn."""

    def __init__(self, maker: TaskMaker) -> None:
        """Raises ConfigError if the language does not have a band of the config."""
        self._maker = maker
        bands = maker.language.bands
        if lacking := sorted(set(maker.config.seed_bands) - set(bands)):
            raise ConfigError(
                f"environments.{maker.environment}.seed_bands names {lacking[0]}, which what the "
                f"base speaks does not have; its bands are {', '.join(map(str, sorted(bands)))}"
            )

    def tasks(self, count: int, seed: int) -> list[Task]:
        """Return `count` tasks of one generator, less those that are drawn twice."""
        rng = Random(derive_seed(seed, "seed tasks"))
        config = self._maker.config
        cells = [(kind, band) for band in config.seed_bands for kind in config.kinds]
        drawn = [self._maker.draw(*cells[index % len(cells)], rng) for index in range(count)]
        return [item.task() for item in {item.id: item for item in drawn}.values()]


def _spread(
    maker: TaskMaker, cells: Sequence[tuple[str, int]], count: int, seed: int, label: str
) -> dict[str, Material]:
    """Return what `count` distinct tasks are made of, by their ids: the (kind, band) cells in turn,
    each task from a seed of its own.

    It ends early when a cell has no further task within reach.
    """
    spread: dict[str, Material] = {}
    for index in range(count):
        kind, band = cells[index % len(cells)]
        rng = Random(derive_seed(seed, label, index))
        for _ in range(_TRIES):
            material = maker.draw(kind, band, rng)
            if (id_ := material.id) not in spread:
                break
        else:
            break
        spread[id_] = material
    return spread


class Stream:
    """Tasks for students without teachers: kinds take turns, and so do the bands of each kind."""

    def __init__(self, maker: TaskMaker) -> None:
        """Raises ConfigError if a kind has none of the bands of the config."""
        self._maker = maker
        bands = {
            kind: [band for band in maker.config.stream_bands if band in maker.bands(kind)]
            for kind in maker.config.kinds
        }
        for kind, several in bands.items():
            if not several:
                there = ", ".join(map(str, maker.bands(kind)))
                raise ConfigError(
                    f"environments.{maker.environment}.stream_bands has no band of {kind} tasks, "
                    f"whose bands are {there}; add one, or take the kind out of kinds"
                )
        turns = range(math.lcm(*map(len, bands.values())))
        self._cells = [(kind, b[turn % len(b)]) for turn in turns for kind, b in bands.items()]

    def tasks(self, count: int, seed: int) -> list[Task]:
        """Return `count` distinct tasks; where the turns begin is drawn."""
        begin = derive_seed(seed, "first turn") % len(self._cells)
        cells = [*self._cells[begin:], *self._cells[:begin]]
        return [item.task() for item in _spread(self._maker, cells, count, seed, "stream").values()]


class Suite:
    """A suite of a generator: all (kind, band) cells in turn, so their counts differ by one."""

    def __init__(
        self, maker: TaskMaker, bands: Sequence[int], label: str, *, least_lines: int = 0,
        functions: bool = True,
    ) -> None:  # fmt: skip
        """`least_lines`: no program of the suite has fewer lines. `functions`: with `code_f`, which
        is there in any case if it is the only kind. Nobody can write thirty lines from three
        examples, so with long programs it would only dilute the rest."""
        self._maker, self._label, self._least_lines = maker, label, least_lines
        kinds = maker.config.kinds
        if not functions:
            kinds = tuple(kind for kind in kinds if kind != "code_f") or kinds
        self._cells = [(kind, band) for band in bands for kind in kinds]

    def tasks(self, count: int, seed: int) -> list[Task]:
        """Return `count` distinct tasks, each from a seed of its own."""
        return [item.task() for item in self._materials(count, seed).values()]

    def _materials(self, count: int, seed: int) -> dict[str, Material]:
        return _spread(self._maker, self._cells, count, seed, self._label)

    def key(self, task: Task) -> str | None:
        """Return the id; None for a task that is too short to be in the suite."""
        return task.id if task.features.get("lines", 1e9) >= self._least_lines else None

    def keys(self, count: int, seed: int) -> frozenset[str]:
        """Return the ids of `tasks(count, seed)`."""
        return frozenset(self._materials(count, seed))
