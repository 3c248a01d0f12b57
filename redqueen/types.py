"""The records that travel between the phases of a step. Frozen, and free of our imports.

match -> propose -> validate -> solve -> learn; see docs/design.md for the words.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


class Role(StrEnum):
    """What a member does in a match."""

    TEACHER = "teacher"
    STUDENT = "student"


class Verdict(StrEnum):
    """The verifier's word on one attempt. `infra_error` is never a reward and never trained on."""

    CORRECT = "correct"
    WRONG = "wrong"
    MALFORMED = "malformed"
    INFRA_ERROR = "infra_error"


PAST = "hall_of_fame"
"""The operator of a member that is a copy of what another one once was."""
GUEST = "guest"
"""The operator of a member that came from another node."""


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

    @property
    def is_past(self) -> bool:
        """Whether it is a copy of what its parent was at `born`: it plays, and never learns."""
        return self.operator == PAST


@dataclass(frozen=True, slots=True)
class Match:
    """One teacher against one student over a batch of tasks of one environment in one step.

    `teacher` and `student` are member ids; `teacher` None stands for the stream: tasks of the
    environment's own generator. `tasks_of` is the index of the match whose tasks are attempted
    here too (cross-evaluation); None: its own.
    """

    step: int
    index: int
    teacher: int | None
    student: int
    tasks_of: int | None = None
    environment: str = "code"

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
class Message:
    """One turn of a conversation; the engine's side renders it through the chat template."""

    role: Literal["system", "user", "assistant"]
    content: str


Messages = tuple[Message, ...]


def user(content: str) -> Messages:
    """Return a conversation of one user turn."""
    return (Message("user", content),)


@dataclass(frozen=True, slots=True)
class Suppression:
    """Tokens that a text is written without; its log-probabilities are those of what is left."""

    share: float = 0.0
    """Vocabulary dropout: each token of the base falls with this probability."""
    seed: int = 0
    """Of the draw of the tokens that fall."""
    keep: tuple[str, ...] = ()
    """Texts whose tokens never fall."""
    opening: tuple[str, ...] = ()
    """Texts with whose first token the text may not begin."""


@dataclass(frozen=True, slots=True)
class Request:
    """One conversation for one member's adapter to continue. `slot` None means the base alone."""

    slot: int | None
    messages: Messages
    seed: int
    """Seeds the draws of this one completion, so that it does not depend on its neighbours."""
    temperature: float | None = None
    """Of this one completion; None: that of the call."""
    suppression: Suppression | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """Sampled text. Tokens include the end-of-sequence token when one was sampled."""

    slot: int | None
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    """Log-probability of each token under the distribution it was drawn from, before top-p:
    log_softmax(logits / temperature), over the tokens that are not suppressed."""
    text: str
    finished: bool
    """False if the length limit cut it off."""
    version: int = 0
    """Version of the adapters that wrote it, as the engine was last told by `sync`."""


@dataclass(frozen=True, slots=True)
class Task:
    """A validated problem, or one with a known answer from a task source.

    `payload` is plain JSON; only the environment reads it. `features` describes the task to the
    archive and the report, by the environment's measures (for code: ast_depth, lines, ...).
    """

    id: str
    environment: str
    kind: str
    payload: Mapping[str, Any]
    features: Mapping[str, float] = field(default_factory=dict)
    author: int | None = None
    """Member id of the teacher; None for tasks of a source (seed, stream, benchmark)."""
    step: int = 0


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a proposal did not become a task. `reason` is one of the named reasons."""

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
    request: Request
    completion: Completion
    outcome: Task | Rejection
    novelty: float = 1.0
    """1 / sqrt(1 + n), n the archived tasks in the cell of the task when it was proposed; 1 for a
    rejection."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the base wrote of a valid task, beside the references that its teacher was shown."""

    step: int
    match: int
    """That the task was made for."""
    task_id: str
    references: tuple[str, ...]
    """Ids of the tasks that it was compared with."""
    request: Request
    completion: Completion
    quality: float | None
    """In [0, 1]; None: the text cannot be read."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One text of a student about a task, verified if it is an answer."""

    step: int
    match: int
    student: int
    task_id: str
    kind: str
    attempt: int
    group: str
    """Attempts that are compared with each other (the baselines of GRPO and RLOO)."""
    request: Request
    completion: Completion
    verdict: Verdict | None
    """None: the text is no answer (a critique, a summary)."""
    answer: str | None = None
    """The parsed answer as text; None if malformed."""
    partial_score: float | None = None
    """Share of the task that is right, in [0, 1], where the environment gives partial credit."""
    turn: int = 0
    """Which text of its attempt this is; 0 is the first."""
    final: bool = True
    """Whether it is the last answer of its attempt: those alone count as solving the task."""
    origin: str = ""
    """Node that wrote it; empty: this one."""

    @property
    def score(self) -> float | None:
        """1 if correct, else the partial score or 0; None after an infrastructure error, or if it
        is not the last answer of its attempt."""
        if not self.final or self.verdict is Verdict.INFRA_ERROR:
            return None
        return 1.0 if self.verdict is Verdict.CORRECT else self.partial_score or 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One sequence that the learner reads. Arrays are [T], prompt and sampled tokens together."""

    ids: NDArray[np.int32]
    mask: NDArray[np.bool_]
    """True where a token was sampled by the member, and is trained on."""
    logprobs: NDArray[np.float32]
    """At sampling; 0 where `mask` is False."""
    reward: float
    slot: int
    member: int
    role: Role
    environment: str
    kind: str
    group: str
    version: int
    """Of the adapters at sampling."""
    temperature: float | None = None
    """At which it was sampled; None: the run's."""
    suppression: Suppression | None = None
    """Under which it was sampled."""
    origin: str = ""

    @property
    def prompt_length(self) -> int:
        """Tokens before the first sampled one."""
        return int(self.mask.argmax())


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
    origin: str = ""
    """Node that the child came from; empty: it was born here."""


@dataclass(frozen=True, slots=True)
class ForeignGroup:
    """Attempts at one task that another node wrote, this one verified, and a student learns from.

    `origin`, `epoch` and `number` tell it from all others; `message` is all of it as it came,
    signed. The verdicts are this node's, in the order of the message's answers.
    """

    origin: str
    epoch: int
    number: int
    student: int
    """Id of the member that learns from it."""
    message: bytes
    verdicts: tuple[Verdict, ...]
    partial_scores: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class ForeignAdapter:
    """An adapter of another node that a generation measured; named as a `ForeignGroup`."""

    origin: str
    epoch: int
    number: int
    message: bytes
    """All of it as it came, signed."""
    fitness: float | None
    """Mean score on the probe's tasks; None: it could not be measured."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a step had to do with other nodes."""

    epoch: int
    """Of this node's own messages."""
    published: int
    """Groups that this node sent."""
    groups: tuple[ForeignGroup, ...]
    counts: Mapping[str, Mapping[str, int]]
    """Author -> what became of its messages -> how many; the author is empty where it is not
    proven."""
    adapters: tuple[ForeignAdapter, ...] = ()


@dataclass(frozen=True, slots=True)
class StepRecord:
    """All that one step leaves behind; the store writes it in one transaction."""

    step: int
    matches: tuple[MatchResult, ...]
    proposals: tuple[Proposal, ...]
    proposal_rewards: tuple[float | None, ...]
    """One for each proposal; None: not trained on."""
    rollouts: tuple[Rollout, ...]
    rollout_rewards: tuple[float | None, ...]
    """One for each rollout; None: not trained on."""
    members: tuple[Member, ...]
    """Every living member after the step, ratings updated, plus those that died in it, and the
    members of the hall of fame that played or were taken into it."""
    events: tuple[EvolutionEvent, ...]
    metrics: Mapping[str, float]
    """Flat names such as `solve_rate`, `valid_rate`, `logprob_mismatch`, `coverage`,
    `tokens_per_s`, and `member/<id>/<name>` for one member's."""
    seconds: Mapping[str, float]
    """Wall clock in seconds of each phase up to the writing of this record; names with `beside/`
    are work that went on at the same time."""
    streamed: tuple[Task, ...] = ()
    """Tasks that came from the stream, in the order of their matches; teachers' tasks are in the
    proposals."""
    exchange: Exchange | None = None
    """None: the run is in no swarm."""
    shown: tuple[Task, ...] = ()
    """References that no archive holds: variants of archived tasks. Reading a run back leaves this
    empty; the proposals name them."""
    judgements: tuple[Judgement, ...] = ()
    """Of valid tasks, where the teachers' reward asks for them."""
