"""What the read functions of a run return: small frozen records, no database types."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from redqueen.types import Completion, Messages, Request, Task, Verdict

BASE, ELICITED, AVERAGE, TEAM = "base", "elicited", "average", "team"
"""Subjects of evaluations that are no members: the base alone, the base with every help that needs
no training, the average of all students' updates, and the vote of all students."""


@dataclass(frozen=True, slots=True)
class EvaluationAttempt:
    """One verified attempt of one subject at one task of a suite.

    `subject` is `base`, `elicited`, `member:<id>`, `average` or `team`; `mode` is `greedy`,
    `sampled`, or `vote` for the sampled attempt that a majority elected.
    """

    suite: str
    subject: str
    mode: str
    task_id: str
    attempt: int
    temperature: float
    """Of the sampling; 0 is greedy."""
    request: Request
    """Without a temperature of its own."""
    completion: Completion
    verdict: Verdict
    answer: str | None = None
    partial_score: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Further results in [0, 1] by name."""


@dataclass(frozen=True, slots=True)
class BenchmarkAttempt:
    """What came of one attempt at a benchmark's task."""

    benchmark: str
    subject: str
    mode: str
    task_id: str
    correct: bool
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """One subject's attempts at one task of a suite, counted.

    `band` is the task's difficulty, by the feature that its environment names for that (0 without
    one); `correct` of `samples` attempts were right.
    """

    subject: str
    suite: str
    mode: str
    task_id: str
    kind: str
    band: int
    correct: int
    samples: int


@dataclass(frozen=True, slots=True)
class RatingPoint:
    """A member's TrueSkill rating after a step."""

    step: int
    member: int
    mu: float
    sigma: float


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """All that a student did on a teacher's tasks. Infrastructure errors are not attempts.

    `teacher` None is the stream.
    """

    teacher: int | None
    student: int
    tasks: int
    attempts: int
    correct: int

    @property
    def solve_rate(self) -> float:
        """Share of attempts that were correct (`attempts` is never 0)."""
        return self.correct / self.attempts


@dataclass(frozen=True, slots=True)
class SolveCount:
    """Attempts of all students at the tasks of one kind in one step."""

    step: int
    kind: str
    correct: int
    attempts: int


@dataclass(frozen=True, slots=True)
class GroupCount:
    """Answers of one step, and the groups of them that the learner compares.

    In a `mixed` group some answers are correct and some are not; `truncated` answers were cut off
    by the limit of tokens.
    """

    step: int
    groups: int
    mixed: int
    attempts: int
    malformed: int
    truncated: int


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """Proposals of one step with one outcome; `reason` None: valid."""

    step: int
    reason: str | None
    count: int


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """Features of n tasks as columns; a feature that a task lacks is not-a-number."""

    steps_n: NDArray[np.int64]
    kinds_n: Sequence[str]
    values_nF: NDArray[np.float64]


def feature_table(
    names: Sequence[str], tasks: Sequence[tuple[int, str, Mapping[str, float]]]
) -> FeatureTable:
    """Return the named features of tasks, given as (step, kind, features)."""
    return FeatureTable(
        np.array([step for step, _, _ in tasks], dtype=np.int64),
        [kind for _, kind, _ in tasks],
        np.array(
            [[features.get(name, np.nan) for name in names] for _, _, features in tasks]
        ).reshape(len(tasks), len(names)),
    )


@dataclass(frozen=True, slots=True)
class PhaseTime:
    """Wall clock of one phase of one step, in seconds."""

    step: int
    phase: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """The stored part of a rollout: text and verdict, without tokens."""

    step: int
    match: int
    student: int
    attempt: int
    turn: int
    final: bool
    text: str
    tokens: int
    verdict: Verdict | None
    """None: the text is no answer."""
    answer: str | None
    reward: float | None
    conversation: Messages = ()
    """What came between the task and the text, in later turns of an interaction."""


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """A task with all attempts at it in the match that posed it and those that share its tasks.

    `proposal` is the teacher's text, empty for a task of the stream.
    """

    step: int
    task: Task
    proposal: str
    correct: int
    attempts: int


@dataclass(frozen=True, slots=True)
class TaskRate:
    """All counted attempts at one task in one step."""

    step: int
    kind: str
    task_id: str
    correct: int
    attempts: int


@dataclass(frozen=True, slots=True)
class RowCount:
    """Rows of one table that are read together."""

    table: str
    """`proposals`, `rollouts` or `evaluations`."""
    part: int | str
    """Their step, or the suite."""
    count: int


@dataclass(frozen=True, slots=True)
class HeldBack:
    """A proposal that a screen held back."""

    step: int
    environment: str
    teacher: int
    kind: str
    detail: str
    """The screen, and what it objected to."""
    text: str


@dataclass(frozen=True, slots=True)
class ProposalText:
    """The stored part of a proposal: text and outcome, without tokens."""

    step: int
    match: int
    teacher: int
    kind: str
    text: str
    task_id: str | None
    reason: str | None
    malformed: bool
    infra: bool
    detail: str
    reward: float | None
