"""Tasks for students without teachers."""

from dataclasses import replace

from redqueen.curriculum.held_out import HeldOut
from redqueen.environments.base import TaskSource
from redqueen.errors import ConfigError
from redqueen.types import Task

_MOST_DRAWS = 64
"""A source is asked for up to this many times the tasks that are needed."""


def draw_tasks(source: TaskSource, count: int, seed: int, held_out: HeldOut) -> list[Task]:
    """Return `count` tasks of a source under `seed`, none of them held out; fewer come back from a
    source that has no more."""
    asked = count
    while True:
        offered = source.tasks(asked, seed)
        drawn = [task for task in offered if not held_out.holds(task)][:count]
        if len(drawn) == count or len(offered) < asked or asked >= _MOST_DRAWS * count:
            return drawn
        asked *= 2


def draw_stream(
    name: str, source: TaskSource | None, count: int, seed: int, held_out: HeldOut, step: int
) -> list[Task]:
    """Return `draw_tasks` of a stream, as of a step; `name` is the environment's.

    Raises:
        ConfigError: there is no source, or it has no task that may be trained on.
    """
    if source is None:
        raise ConfigError(
            f"environments.{name} has no stream of tasks; students without teachers need one"
        )
    drawn = draw_tasks(source, count, seed, held_out)
    if count and not drawn:
        raise ConfigError(
            f"the stream of environments.{name} has no task that is not held out; lower "
            "curriculum.held_out to the suites that are measured, or give the stream other tasks"
        )
    return [replace(task, step=step) for task in drawn]
