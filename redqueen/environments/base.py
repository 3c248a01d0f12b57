"""What a family of verifiable tasks offers: prompts and verdicts, and more where it can.

An environment is one class with `prompt` and `verify`. If teachers are to propose tasks it is a
`TaskSpace` too; if it has ready tasks (seeds, a generator's stream, suites) it lists them in
`sources`. Nothing here makes text.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from redqueen.config.component import Component
from redqueen.sandbox import Sandbox
from redqueen.types import Messages, Rejection, Task, Verdict


@dataclass(frozen=True, slots=True)
class Draft:
    """A proposal before validation: a teacher's text and what it was shown."""

    kind: str
    text: str
    references: tuple[Task, ...]
    author: int | None
    step: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """A student's text for a task."""

    task: Task
    text: str


@dataclass(frozen=True, slots=True)
class Verification:
    """The verdict on an attempt, the answer that was read, and its partial score in [0, 1]."""

    verdict: Verdict
    answer: str | None = None
    partial_score: float | None = None
    """None: the environment gives no partial credit."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What is left of a task when what does not matter is taken away: equal ones, near copies."""

    task: str
    family: str | None = None
    """What it shares with tasks that are allowed a few times (the same program with another
    input); None for a task without such a limit."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One number that describes tasks: an axis of the archive, a panel of the report."""

    name: str
    """The key in `Task.features`."""
    title: str
    """For people: "Lines of code"."""
    edges: tuple[float, ...] = ()
    """Lower edges of the archive's bins but the first; empty: not an axis of the archive."""


@runtime_checkable
class Environment(Protocol):
    """What students, benchmarks and the swarm need of a family of tasks."""

    name: str

    def prompt(self, task: Task) -> Messages:
        """Return the conversation that gives a student a task."""
        ...

    def verify(self, attempts: Sequence[Attempt]) -> list[Verification]:
        """Return a verification for each attempt. Never raises on what a model wrote."""
        ...


@runtime_checkable
class TaskSpace(Protocol):
    """What an environment adds so that teachers can propose tasks."""

    kinds: tuple[str, ...]
    measures: tuple[Measure, ...]

    def references_for(self, kind: str, count: int) -> int:
        """Return how many archive tasks a proposal prompt of this kind shows, `count` at most."""
        ...

    def ask(self, kind: str, references: Sequence[Task]) -> Messages:
        """Return the conversation that asks a teacher for one task."""
        ...

    def validate(self, drafts: Sequence[Draft]) -> list[Task | Rejection]:
        """Return a task or a named rejection for each draft. Never raises on what a model wrote."""
        ...

    def fingerprint(self, task: Task) -> Fingerprint:
        """Return the normal form of a task, to tell near copies and held-out tasks by."""
        ...


class TaskSource(Protocol):
    """Where ready tasks come from."""

    def tasks(self, count: int, seed: int) -> list[Task]:
        """Return up to `count` distinct tasks, the same ones for the same arguments.

        A larger count begins with the smaller one's tasks. Fewer come back if there are no more.
        """
        ...


SEED = "seed"
"""Name of the source that fills the archive at the start."""
STREAM = "stream"
"""Name of the source that students without teachers train on."""


def sources_of(environment: Environment) -> Mapping[str, TaskSource]:
    """Return the environment's task sources by name (`seed`, `stream`, suites); maybe none."""
    sources: Mapping[str, TaskSource] = getattr(environment, "sources", {})
    return sources


@dataclass(frozen=True, slots=True)
class Services:
    """What an environment may use of the run that it is built for."""

    sandbox: Callable[[], Sandbox]
    """Starts the run's sandbox at the first call; the same one for all environments."""
    dialect: str
    """What the base speaks: `chat`, or the name of an embedded base's own language."""


class EnvironmentConfig(Component):
    """Base of what a config names as an environment: its keys, and how it is built from them.

    A class that needs no services can be its own environment: it inherits `build`.
    """

    def build(self, services: Services) -> Environment:
        """Return the environment.

        Raises:
            ConfigError: its keys do not work together, or something that it needs is missing.
        """
        if not isinstance(self, Environment):
            raise TypeError(f"{type(self).__name__} needs prompt and verify, or its own build")
        return self
