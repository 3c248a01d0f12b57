"""What a family of tasks must offer: ask, validate, pose, verify. Nothing here makes text."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from redqueen.types import Rejection, Task, Verdict


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
class Judgement:
    """The verdict on an attempt; `score` in [0, 1] is the share of it that is right."""

    verdict: Verdict
    answer: str | None = None
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Form:
    """What is left of a task when what does not matter is taken away: equal forms, near copies."""

    task: str
    family: str | None = None
    """What it shares with tasks that are allowed a few times (the same program with another
    input); None for a task without such a limit."""


class Domain(Protocol):
    """One family of tasks. Implementations hold no state that a step changes."""

    name: str
    kinds: tuple[str, ...]
    cells: int
    """Number of feature cells: the denominator of coverage."""

    def seed_tasks(self, count: int, seed: int) -> list[Task]:
        """Tasks with known answers that the archive starts from."""

    def generated_task(self, kind: str, band: int, rng: Random) -> Task:
        """A task of a difficulty band, with its answer known, from the domain's own generator."""

    def bands(self, kind: str) -> tuple[int, ...]:
        """The difficulty bands that `generated_task` has for tasks of this kind."""

    def references_for(self, kind: str, wanted: int) -> int:
        """How many archive tasks a proposal prompt of this kind takes when `wanted` are asked."""

    def ask(self, kind: str, references: Sequence[Task]) -> str:
        """The prompt that asks a teacher for one task."""

    def validate(self, drafts: Sequence[Draft]) -> list[Task | Rejection]:
        """Parse, check and run proposals. Never raises on what a model wrote."""

    def pose(self, task: Task) -> str:
        """The prompt that gives a student a task."""

    def verify(self, attempts: Sequence[Attempt]) -> list[Judgement]:
        """Check attempts. Never raises on what a model wrote."""

    def cell(self, task: Task) -> str:
        """The archive's feature cell of a task, `kind:...`; each kind has equally many."""

    def form(self, task: Task) -> Form:
        """The normal form of a task, to tell near copies by."""
