"""The records that travel between the phases of a step. Frozen, and free of our imports.

match -> propose -> validate -> solve -> learn; see docs/design.md for the words.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """What a member does in a match."""

    TEACHER = "teacher"
    STUDENT = "student"


class Verdict(StrEnum):
    """The checker's word on one attempt. `infra_error` is never a reward and never trained on."""

    CORRECT = "correct"
    WRONG = "wrong"
    MALFORMED = "malformed"
    INFRA_ERROR = "infra_error"


@dataclass(frozen=True, slots=True)
class Member:
    """One adapter of the population with its role, rating and lineage.

    `id` names the individual for ever; `slot` is the row of the adapter stack that holds its
    weights and passes to its replacement. `roles` has both roles for single-agent self-play.
    """

    id: int
    slot: int
    roles: tuple[Role, ...]
    mu: float
    sigma: float
    born: int = 0
    """Step after which the member exists (0 for founders)."""
    parents: tuple[int, ...] = ()
    operator: str = "founder"
    """Name of the variation operator that made it."""
    died: int | None = None
    learning_rate_factor: float = 1.0
    """Multiplies the learning rate of its slot."""
    temperature: float | None = None
    """Of its sampling; None: the run's."""

    @property
    def conservative_rating(self) -> float:
        """The TrueSkill lower bound mu - 3 sigma."""
        return self.mu - 3.0 * self.sigma


@dataclass(frozen=True, slots=True)
class Match:
    """One teacher against one student over a batch of tasks in one step (member ids).

    `teacher` None stands for the stream: tasks of the domain's own generator. `tasks_of` is the
    index of the match whose tasks are attempted here too (cross-evaluation); None: its own.
    """

    step: int
    index: int
    teacher: int | None
    student: int
    tasks_of: int | None = None

    @property
    def root(self) -> int:
        """Index of the match that the tasks were made for: this one's own, or `tasks_of`."""
        return self.index if self.tasks_of is None else self.tasks_of


@dataclass(frozen=True, slots=True)
class MatchResult:
    """What a match came to: the student's mean solve rate over the valid tasks, and who won."""

    match: Match
    proposed: int
    """Proposals written for this match; 0 if its tasks are another match's or the stream's."""
    valid: int
    """Tasks posed."""
    solve_rate: float | None
    """None when no valid task, or only infrastructure errors, came of the match."""
    expected: float | None
    """Probability, from the ratings before the match, that the student wins; None: the stream,
    which has no rating."""
    student_won: bool | None
    """None, an expectation and a solve rate: a draw (the two are equal). Otherwise None says that
    the match has no outcome (only infrastructure errors, or the stream)."""


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt for one member's adapter. `slot` None means the base alone."""

    slot: int | None
    prompt: str
    seed: int
    """Seeds the draws of this one completion, so that it does not depend on its neighbours."""
    temperature: float | None = None
    """Of this one completion; None: that of the call."""


@dataclass(frozen=True, slots=True)
class Completion:
    """Sampled text. Tokens include the end-of-sequence token when one was sampled."""

    slot: int | None
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    """Log-probability of each token under the distribution it was drawn from, before top-p:
    log_softmax(logits / temperature)."""
    text: str
    finished: bool
    """False if the length limit cut it off."""


@dataclass(frozen=True, slots=True)
class Task:
    """A validated problem, or one with a known answer from a generator.

    `payload` is plain JSON; only the domain reads it. `features` describes the task to the
    archive and the report (for code: ast_depth, cyclomatic, lines, ...).
    """

    id: str
    domain: str
    kind: str
    payload: Mapping[str, Any]
    features: Mapping[str, float] = field(default_factory=dict)
    author: int | None = None
    """Member id of the teacher; None for seed, stream and benchmark tasks."""
    step: int = 0


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a proposal did not become a task. `reason` is one of the domain's named reasons."""

    reason: str
    malformed: bool
    """True: could not be parsed (reward -1). False: well-formed but rejected (-0.5)."""
    infra: bool = False
    """True: our failure; the proposal is neither rewarded nor trained on."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A teacher's raw text with what validation made of it."""

    step: int
    match: int
    teacher: int
    kind: str
    references: tuple[str, ...]
    """Ids of the archive tasks shown in the prompt."""
    completion: Completion
    outcome: Task | Rejection
    reward: float | None = None
    """None: not trained on."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One attempt of a student at a task."""

    step: int
    match: int
    student: int
    task_id: str
    kind: str
    attempt: int
    completion: Completion
    verdict: Verdict
    answer: str | None = None
    """The parsed answer as text; None if malformed."""
    reward: float | None = None
    """None: not trained on."""
    share: float | None = None
    """Share of the hidden cases passed, in [0, 1], where the domain gives partial credit."""


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One trained sequence: what the learner needs of a proposal or a rollout."""

    slot: int
    member: int
    role: Role
    kind: str
    group: str
    """Attempts at one task by one member share a group (GRPO, RLOO baselines)."""
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    reward: float
    temperature: float | None = None
    """At which it was sampled; None: the run's."""


@dataclass(frozen=True, slots=True)
class EvolutionEvent:
    """A replacement: `child` took the slot of `removed`."""

    step: int
    role: Role
    removed: int
    child: int
    parents: tuple[int, ...]
    operator: str
    details: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepRecord:
    """All that one step leaves behind; the store writes it in one transaction."""

    step: int
    matches: tuple[MatchResult, ...]
    proposals: tuple[Proposal, ...]
    rollouts: tuple[Rollout, ...]
    members: tuple[Member, ...]
    """Every living member after the step, ratings updated, plus those that died in it."""
    events: tuple[EvolutionEvent, ...]
    metrics: Mapping[str, float]
    """Flat names such as `solve_rate`, `valid_rate`, `logprob_gap`, `coverage`, `tokens_per_s`,
    and `member/<id>/<name>` for one member's."""
    seconds: Mapping[str, float]
    """Wall clock in seconds of each phase up to the writing of this record."""
    streamed: tuple[Task, ...] = ()
    """Tasks that came from the stream, in the order of their matches; teachers' tasks are in the
    proposals."""
