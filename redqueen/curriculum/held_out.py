"""What no run may train on: the tasks of the sources that are held out."""

from collections.abc import Collection, Iterable, Mapping
from typing import Literal

from redqueen.environments.base import (
    SEED,
    STREAM,
    Environment,
    KeyedSource,
    TaskSource,
    TaskSpace,
    sources_of,
)
from redqueen.errors import ConfigError
from redqueen.types import Task

RESERVED = 2000
"""Tasks at the head of a suite that no run trains on, and so the most that can be measured."""


class _ByFingerprint:
    """A source whose tasks are told by their fingerprints, or by their ids if there are none."""

    def __init__(self, environment: Environment, source: TaskSource) -> None:
        self._environment, self._source = environment, source

    def key(self, task: Task) -> str:
        if isinstance(self._environment, TaskSpace):
            return self._environment.fingerprint(task).task
        return task.id

    def keys(self, count: int, seed: int) -> frozenset[str]:
        return frozenset(self.key(task) for task in self._source.tasks(count, seed))


class HeldOut:
    """The tasks of an environment that are kept from training."""

    def __init__(
        self,
        environment: Environment,
        sources: Iterable[str] | Literal["all"] = "all",
        *,
        seed: int,
        count: int = RESERVED,
        more: Iterable[KeyedSource] = (),
    ) -> None:
        """Hold out the first `count` tasks of each of `sources` under `seed`, and those of `more`.

        `all` stands for every source but `seed` and `stream`. A name that the environment has no
        source of holds nothing: it is for another environment (see `check_sources`). A source's
        tasks are made when the first task could be one of them.
        """
        offered = sources_of(environment)
        names = [n for n in offered if n not in (SEED, STREAM)] if sources == "all" else sources
        self._sources: list[KeyedSource | _ByFingerprint] = [
            source if isinstance(source, KeyedSource) else _ByFingerprint(environment, source)
            for source in (offered[name] for name in dict.fromkeys(names) if name in offered)
        ]
        self._sources += more
        self._count, self._seed = count, seed
        self._keys: dict[int, Collection[str]] = {}

    def holds(self, task: Task) -> bool:
        """Return whether a task is held out."""
        for number, source in enumerate(self._sources):
            key = source.key(task)
            if key is None:
                continue
            if number not in self._keys:
                self._keys[number] = source.keys(self._count, self._seed)
            if key in self._keys[number]:
                return True
        return False


def check_sources(
    environments: Mapping[str, Environment], names: Iterable[str], option: str
) -> None:
    """Check that each of `names`, the value of the config key `option`, is somebody's source.

    Raises:
        ConfigError: no environment has a source of the name.
    """
    offered = {name for item in environments.values() for name in sources_of(item)}
    for name in names:
        if name not in offered:
            there = ", ".join(sorted(offered)) or "none"
            raise ConfigError(f"{option}: no environment has a source {name!r}; there are: {there}")


def suite_tasks(environment: Environment, name: str, count: int, seed: int) -> list[Task]:
    """Return up to `count` tasks of the source `name`; fewer if it has no more.

    Raises:
        ConfigError: there is no such source, or more tasks than are kept from training.
    """
    check_sources({environment.name: environment}, [name], "suite")
    if count > RESERVED:
        raise ConfigError(f"{count} {name} tasks: at most {RESERVED} are kept from training")
    return sources_of(environment)[name].tasks(count, seed)
