"""Rewards, advantages and the update."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from redqueen.config.component import Of
from redqueen.config.section import Section
from redqueen.types import Role

Decay = Annotated[float, Field(ge=0, lt=1)]


def _zero_or_more_than_one(value: float) -> float:
    if value != 0 and not value >= 1:
        raise ValueError("should be 0, or at least 1")
    return value


class StudentConfig(Section):
    """What students learn from. A correct answer has reward 1."""

    advantage: Annotated[Any, Of("advantage")] = Field("grpo")
    """What a reward is compared with: `grpo`, `dr_grpo`, `rloo`, `reinforce++`, `rae`,
    `imitation`, no comparison: rewards are weights, or the control `shuffled`."""
    wrong_reward: float = -0.5
    """Reward of a well-formed wrong answer."""
    frozen: bool = False
    """Control: students neither learn nor are replaced."""


class ImitationConfig(Section):
    """Supervised finetuning of new teachers on seed tasks, before the first step."""

    updates: int = Field(0, ge=0)
    """How many; 0: none. Where the base does not write what the environment asks for by itself."""
    proposals: int = Field(32, ge=1)
    """Seed tasks that each teacher imitates in an update; its own draws."""


class TeacherConfig(Section):
    """What teachers learn from."""

    advantage: Annotated[Any, Of("advantage")] = Field("grpo")
    """What a reward is compared with; the names are those of `learner.student.advantage`."""
    reward: Annotated[Any, Of("teacher_reward")] = Field("one_minus")
    """What a valid task is worth by its solve rate s: `one_minus` (1 - s, 0 at s = 0), `variance`
    (4 s (1 - s)), `novelty`, one of them with a bonus for rare cells of the archive, or `guided`,
    which also asks a chat base how good the task is."""
    invalid_reward: float = -0.5
    """Reward of a well-formed proposal that was rejected."""
    imitation: ImitationConfig = ImitationConfig()
    """What founders learn before they are rewarded."""
    frozen: bool = False
    """Control: teachers neither learn nor are replaced."""


HIGH_RATE, LARGE_BASE = 1e-3, 50_000_000
"""A learning rate, and parameters of a base that it is too high for."""


class LearnerConfig(Section):
    """Rewards, advantages and the update."""

    student: StudentConfig = Field(default_factory=StudentConfig)
    teacher: TeacherConfig = Field(default_factory=TeacherConfig)
    malformed_reward: float = -1.0
    """Reward of text that cannot be read, in both roles."""
    learning_rate: float = Field(2e-3, gt=0)
    """AdamW's step size after the warm-up."""
    learning_rate_end: float = Field(0.2, ge=0, le=1)
    """Share of the learning rate that is left in the last step; 1 keeps it constant."""
    betas: tuple[Decay, Decay] = (0.9, 0.99)
    """AdamW's decay of the gradient's mean and square."""
    weight_decay: float = Field(0.0, ge=0)
    """AdamW's decoupled weight decay."""
    max_grad_norm: float = Field(0.1, gt=0)
    """Each member's gradient is clipped on its own."""
    warmup_steps: int = Field(3, ge=0)
    """Steps over which the learning rate rises to its value."""
    epochs: int = Field(1, ge=1)
    """Passes over a step's batch; more than one needs the clipped ratio."""
    minibatches: int = Field(1, ge=1)
    """Updates an epoch."""
    batching: Literal["shared", "member"] = "shared"
    """Whose sequences one pass may hold: of several members (fastest), or of one `member` alone, so
    that its update has the same bits whoever else learns in the step (one process, one thread)."""
    clip_low: float = Field(0.2, gt=0)
    """The probability ratio is clipped below at 1 minus this."""
    clip_high: float = Field(0.2, gt=0)
    """The probability ratio is clipped above at 1 plus this."""
    kl_coefficient: float = Field(0.0, ge=0)
    """Weight of the KL penalty to the base."""
    importance_cap: Annotated[float, AfterValidator(_zero_or_more_than_one)] = 0.0
    """Truncated importance weights for an engine whose numerics differ from the learner's: a token
    weighs its probability at learning over that at sampling, at most this; 0: no weights. 2 is
    usual."""
    foreign_advantages: Literal["all", "positive"] = "all"
    """Which advantages of other nodes' texts count: `all`, as in SAPO, or the `positive` ones
    alone. A member is then drawn towards texts that it would hardly have written, never pushed
    away from them, which has no end."""
    loss_norm: Literal["token", "sequence"] = "token"
    """Average over all tokens of a member, or first within each sequence."""
    max_logprob_mismatch: float = Field(0.05, gt=0)
    """Stop the run when log-probabilities at sampling and at learning differ by more than this
    on average: the adapters that sampled are not the adapters that learn."""

    @property
    def frozen(self) -> frozenset[Role]:
        """The roles in which nothing is learnt."""
        frozen = {Role.TEACHER: self.teacher.frozen, Role.STUDENT: self.student.frozen}
        return frozenset(role for role, off in frozen.items() if off)

    def rate_warning(self, parameters: int) -> str:
        """Return what to say of the rate for a base of so many parameters; empty: nothing."""
        if self.learning_rate < HIGH_RATE or parameters < LARGE_BASE:
            return ""
        return (
            f"learner.learning_rate = {self.learning_rate:g} is for bases of a few million "
            f"parameters; this one has {parameters / 1e6:,.0f} million. `redqueen init` writes a "
            "config that suits it; 1e-4 is a start"
        )
