"""What a family of verifiable tasks offers: prompts and verdicts, and more where it can.

An environment is one class with `prompt` and `verify`. If teachers are to propose tasks it is a
`TaskSpace` too; if it has ready tasks (seeds, a generator's stream, suites) it lists them in
`sources`. Nothing here makes text.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np
from pydantic import Field

from redqueen import registry
from redqueen.config.component import Component
from redqueen.config.sandbox import SandboxConfig
from redqueen.errors import ConfigError, InfrastructureError
from redqueen.types import Messages, Rejection, Task, Verdict

if TYPE_CHECKING:
    from redqueen.sandbox import Sandbox


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
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Further results in [0, 1] by name, which a benchmark reports beside its verdicts (the tests
    of HumanEval alone, beside HumanEval+)."""


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


@dataclass(frozen=True, slots=True)
class Suite:
    """What the report says of a source that students are measured on."""

    title: str
    """For a heading: "Held-out tasks"."""
    text: str = ""
    """One sentence: what its tasks are."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a report says of an environment: an attribute `description` of it, all optional."""

    title: str = ""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """Kind -> its title."""
    suites: Mapping[str, Suite] = field(default_factory=dict)
    """Name of a source -> what students are measured on there."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Reason of a rejection -> a sentence."""
    difficulty: Measure | None = None
    """The feature of suite tasks by which results are broken down."""
    payload: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Kind -> key of the payload -> its title, in the order of showing. Other keys are not shown;
    of a kind that is missing here, all are."""


@runtime_checkable
class Environment(Protocol):
    """What students, benchmarks and the swarm need of a family of tasks."""

    @property
    def name(self) -> str:
        """The value of `Task.environment`: the name of the environment's table in the config."""
        ...

    def prompt(self, task: Task) -> Messages:
        """Return the conversation that gives a student a task."""
        ...

    def verify(self, attempts: Sequence[Attempt]) -> list[Verification]:
        """Return a verification for each attempt. Never raises on what a model wrote."""
        ...


@dataclass(frozen=True, slots=True)
class Elicited:
    """How a task is put to an untrained base with every help that needs no training."""

    messages: Messages
    """With a few worked examples, where they help."""
    openings: tuple[str, ...] = ()
    """Texts with whose first token the answer may not begin, so that it is worked out first."""


@runtime_checkable
class Elicits(Protocol):
    """An environment that knows how to help an untrained base."""

    def elicit(self, task: Task) -> Elicited:
        """Return how the base is asked."""
        ...


def elicit(environment: Environment, task: Task) -> Elicited:
    """Return how the elicited base is asked; as everybody, if the environment knows no help."""
    if isinstance(environment, Elicits):
        return environment.elicit(task)
    return Elicited(environment.prompt(task))


@runtime_checkable
class TaskSpace(Protocol):
    """What an environment adds so that teachers can propose tasks."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of tasks that teachers are asked for, in turn."""
        ...

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What describes a task; those with edges span the archive's cells."""
        ...

    # An attribute `proposal_format`, if there is one, names texts that proposals cannot do without:
    # vocabulary dropout spares their tokens.

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


@runtime_checkable
class ConstructSpace(Protocol):
    """A task space that can say what its tasks are built of."""

    def constructs(self, task: Task) -> frozenset[str]:
        """Return the names of a task's constructs, for code those of its program."""
        ...


@runtime_checkable
class Proposes(Protocol):
    """A task space that can say how a teacher would have written a task."""

    def proposal(self, task: Task) -> str | None:
        """Return a text that `validate` makes this task of, if the task can be put so."""
        ...


@runtime_checkable
class Varies(Protocol):
    """A task space that can make new references of archived tasks."""

    def vary(self, task: Task, donors: Sequence[Task], rng: np.random.Generator) -> Task | None:
        """Return a valid task that is a small change away from `task`, or None if none came of it.

        `donors` are other tasks to take parts of.
        """
        ...


@runtime_checkable
class Revalidating(Protocol):
    """What an environment adds so that tasks of other nodes can be trusted."""

    def revalidate(self, tasks: Sequence[Task]) -> list[Task | Rejection]:
        """Return for each task one with the same payload, made here, or a named rejection.

        Nothing of a task is trusted: its payload may be any JSON, and what it says is right is
        found out anew. Never raises on it.
        """
        ...


def revalidate(environment: Environment, tasks: Sequence[Task]) -> list[Task | Rejection]:
    """Return what `Revalidating.revalidate` does; without it no task of another node is valid."""
    if isinstance(environment, Revalidating):
        return environment.revalidate(tasks)
    return [Rejection("not_revalidated", malformed=False) for _ in tasks]


def has_fallible_keys(environment: Environment) -> bool:
    """Return the attribute `fallible_keys`, or False: whether a valid task may have a wrong key."""
    return bool(getattr(environment, "fallible_keys", False))


def environment_version(environment: Environment) -> int:
    """Return the attribute `version`, or 1: it rises when prompts, tasks or verdicts change."""
    return int(getattr(environment, "version", 1))


class TaskSource(Protocol):
    """Where ready tasks come from."""

    def tasks(self, count: int, seed: int) -> list[Task]:
        """Return up to `count` distinct tasks, the same ones for the same arguments.

        A larger count begins with the smaller one's tasks. Fewer come back if there are no more.
        """
        ...


@runtime_checkable
class KeyedSource(TaskSource, Protocol):
    """A source that says itself what must not be trained on while its tasks are held out.

    Of any other source, tasks with an equal fingerprint are held out.
    """

    def key(self, task: Task) -> str | None:
        """Return what gives a task away as one of this source; None if it cannot be one."""
        ...

    def keys(self, count: int, seed: int) -> Collection[str]:
        """Return the keys of `tasks(count, seed)`."""
        ...


SEED = "seed"
"""Name of the source that fills the archive at the start."""
STREAM = "stream"
"""Name of the source that students without teachers train on."""


def sources_of(environment: Environment) -> Mapping[str, TaskSource]:
    """Return the environment's task sources by name (`seed`, `stream`, suites), if it has any."""
    sources: Mapping[str, TaskSource] = getattr(environment, "sources", {})
    return sources


Resource = TypeVar("Resource")


class Shared(Protocol):
    """Starts what all environments of a run share, and closes it at their end."""

    def __call__(
        self, start: "Callable[[SandboxConfig], AbstractContextManager[Resource]]"
    ) -> Resource:
        """Return what `start` makes with the run's limits; the same for the same `start`."""
        ...


def _start_none(start: "Callable[[SandboxConfig], AbstractContextManager[Resource]]") -> Resource:
    raise InfrastructureError(f"nothing can be started here that needs {start}")


@dataclass(frozen=True, slots=True)
class Services:
    """What an environment may use of the run that it is built for."""

    sandbox: "Callable[[], Sandbox]"
    """Starts the run's sandbox at the first call; the same one for all environments."""
    dialect: str
    """What the base speaks: `chat`, or what its config.json calls `redqueen_dialect`."""
    python: str = "pure"
    """What of Python the sandbox runs: `pure`, functions over plain values; or `stdlib`, all."""
    name: str = ""
    """The environment's table in the config; empty: the environment's usual name."""
    shared: Shared = _start_none
    """Starts something else that runs beside us, at the first call that names it; see `Shared`."""


class EnvironmentConfig(Component):
    """Base of what a config names as an environment: its keys, and how it is built from them.

    A class that needs no services can be its own environment: it inherits `build`.
    """

    starts: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """What a base speaks (`Services.dialect`) -> what `redqueen init` writes for it, the table of
    this environment included; see `start_for`."""
    share: float = Field(1.0, gt=0)
    """Share of the matches that are of this environment, relative to the others'."""

    def build(self, services: Services) -> Environment:
        """Return the environment.

        Raises:
            ConfigError: its keys do not work together, or something that it needs is missing.
        """
        if not isinstance(self, Environment):
            raise TypeError(f"{type(self).__name__} needs prompt and verify, or its own build")
        return self


def start_for(dialect: str) -> Mapping[str, Any]:
    """Return what the first registered environment that knows a dialect starts a config with.

    Raises:
        ConfigError: none does.
    """
    for name in registry.names("environment"):
        try:
            loaded = registry.load("environment", name)
            starts: Mapping[str, Mapping[str, Any]] = getattr(loaded, "starts", {})
        except ConfigError:  # of another package, or an extra that is not installed
            continue
        if dialect in starts:
            return starts[dialect]
    raise ConfigError(f"no environment starts from a base that speaks {dialect!r}")


REASONS: Mapping[str, str] = {
    "unsafe": "A screen of `safety.screens` held it back; no environment has read it.",
    "unfinished": "The text reached the limit of tokens before it ended.",
    "too_long": "The prompt of the task leaves no room for an answer in the base's context.",
    "held_out": "The task belongs to a suite that is kept from training.",
    "duplicate": "The archive, or this step, has the same task already.",
    "near_copy": "The archive, or this step, has the task already but for what does not matter, "
    "or enough tasks of its family.",
    "infra_error": "Our sandbox failed; this says nothing about the proposal.",
}
"""Reasons for a rejection that do not depend on the environment -> a sentence."""


def describe(environment: Environment) -> dict[str, Any]:
    """Return plain JSON with all that a report needs to know of an environment.

    Keys: `name`, `title`; `kinds`, a list of {name, title}; `measures`, a list of {name, title,
    edges}; `difficulty`, one such or None; `suites`, a list of {name, title, text} for every source
    but `seed` and `stream`; `reasons`, sentences by reason; `payload`, titles by kind and key.
    """
    said: Description = getattr(environment, "description", Description())
    kinds: tuple[str, ...] = getattr(environment, "kinds", tuple(said.kinds))
    measures: tuple[Measure, ...] = getattr(environment, "measures", ())
    suites = [name for name in sources_of(environment) if name not in (SEED, STREAM)]
    return {
        "name": environment.name,
        "title": said.title or environment.name,
        "kinds": [{"name": kind, "title": said.kinds.get(kind, kind)} for kind in kinds],
        "measures": [_measure(measure) for measure in measures],
        "difficulty": said.difficulty and _measure(said.difficulty),
        "suites": [{"name": name, **asdict(said.suites.get(name, Suite(name)))} for name in suites],
        "reasons": {**REASONS, **said.reasons},
        "payload": {kind: dict(titles) for kind, titles in said.payload.items()},
    }


def _measure(measure: Measure) -> dict[str, Any]:
    return {"name": measure.name, "title": measure.title, "edges": list(measure.edges)}
