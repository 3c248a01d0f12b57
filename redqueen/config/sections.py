"""The sections of a run's configuration but evolution's. A docstring stands under each field."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Decay = Annotated[float, Field(ge=0, lt=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
Band = Annotated[int, Field(ge=1, le=5)]


def _count_or_all(value: object) -> object:
    """One sentence, where a union would complain once for each of its parts."""
    if value != "all" and not (type(value) is int and value >= 1):
        raise ValueError('should be a whole number from 1, or "all"')
    return value


Students = Annotated[int | Literal["all"], BeforeValidator(_count_or_all)]


class Section(BaseModel):
    """Base of all sections: frozen, unknown keys forbidden, docstrings become descriptions."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        allow_inf_nan=False,
    )


class PolicyConfig(Section):
    """The frozen base and the adapters on it."""

    base: str = "seedling"
    """`seedling` (ships with the package), a local directory, or a Hugging Face model id."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """Type of the base's weights and activations. Adapters are always kept in float32."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1` …"""
    trust_remote_code: bool = False
    """Run code that comes with a model. Only for models you trust."""
    rank: int = Field(8, ge=1)
    """LoRA rank r."""
    alpha: float = Field(16.0, gt=0)
    """LoRA alpha: the update is (alpha / rank) B A."""
    targets: tuple[str, ...] | Literal["all-linear"] = "all-linear"
    """Suffixes of the linear layers that carry adapters, or all of them but the output head."""
    init_noise: float = Field(0.0, ge=0)
    """Standard deviation of the founders' B (0: every founder starts as the base, as in LoRA)."""
    generation_rows: int = Field(256, ge=1)
    """Sequences generated side by side, by all workers together; more is faster until memory runs
    out."""
    workers: int = Field(0, ge=0)
    """Processes that sample and learn side by side on a CPU, one core each; 0: as many as
    `threads` or cores, 1: none but this one. A large base or a GPU needs none."""
    learn_tokens: int = Field(12288, ge=64)
    """Most tokens in one forward and backward pass of the learner, all workers together. A prompt
    counts once for the attempts that share it."""


class PopulationConfig(Section):
    """Who takes part."""

    teachers: int = Field(4, ge=0)
    """Members that propose tasks. With 0 the students train on a stream of generated tasks
    (reinforcement learning with verifiable rewards, RLVR)."""
    students: int = Field(4, ge=0)
    """Members that solve them."""
    self_play: int = Field(0, ge=0)
    """Members that hold both roles (the Absolute Zero Reasoner is 1 of these and no others)."""
    matchmaking: Literal["prioritized", "uniform"] = "prioritized"
    """How students are drawn: weight p (1 - p) by the ratings, or evenly."""
    mu: float = 25.0
    """TrueSkill: a newcomer's rating."""
    sigma: float = Field(25.0 / 3.0, gt=0)
    """TrueSkill: how uncertain a newcomer's rating is."""
    beta: float = Field(25.0 / 6.0, gt=0)
    """TrueSkill: the spread of one performance around the rating."""
    tau: float = Field(25.0 / 300.0, ge=0)
    """TrueSkill: what a match adds to sigma, so that ratings can follow change."""
    draw_probability: float = Field(0.1, ge=0, lt=1)
    """TrueSkill: how often two equals draw."""

    @model_validator(mode="after")
    def _everybody_meets_somebody(self) -> "PopulationConfig":
        if self.teachers + self.students + self.self_play == 0:
            raise ValueError("nobody takes part; set teachers and students, or self_play")
        if self.teachers and not self.students:
            raise ValueError("teachers have nobody to teach; set students too, or self_play alone")
        if self.students and self.self_play and not self.teachers:
            raise ValueError(
                "a self-play member poses tasks to itself only; set teachers for the students, "
                "or students = 0"
            )
        return self


class RolloutConfig(Section):
    """The size of a step and how text is sampled."""

    matches: int = Field(4, ge=1)
    """Matches a step; teachers take turns."""
    tasks_per_match: int = Field(8, ge=1)
    """Proposals a teacher writes for one match."""
    attempts: int = Field(8, ge=1)
    """G: attempts at each valid task, by every student that it goes to."""
    students_per_task: Students = 1
    """Students that attempt a task: 1 is the matched one alone, k adds k - 1 others, `all` adds
    everybody. A teacher's reward is of all their attempts."""
    stream_bands: tuple[Band, ...] = Field((1, 2, 3, 4, 5), min_length=1)
    """Without teachers: difficulty bands of the stream's tasks, in turn. Leave some out to keep
    them for measuring."""
    references: int = Field(2, ge=0)
    """Archive tasks shown in a proposal prompt (the paper: 6)."""
    temperature: float = Field(1.0, gt=0)
    """Divides the logits before sampling."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Sample from the likeliest tokens that hold this much probability; 1 is all of them."""
    propose_tokens: int = Field(192, ge=8)
    """Longest proposal, in tokens."""
    solve_tokens: int = Field(192, ge=8)
    """Longest attempt, in tokens."""

    @model_validator(mode="after")
    def _bands_differ(self) -> "RolloutConfig":
        if len(set(self.stream_bands)) < len(self.stream_bands):
            raise ValueError("stream_bands names a band twice")
        return self


class DomainConfig(Section):
    """The family of tasks."""

    name: Literal["code"] = "code"
    """The family's name."""
    style: Literal["auto", "compact", "traced", "instruct"] = "auto"
    """Prompts: `compact` and `traced` (what the first and the second seedling speak), `instruct`
    (English, chat template); `auto`: compact for the seedling, instruct for any other model."""
    kinds: tuple[Literal["code_o", "code_i", "code_f"], ...] = Field(
        ("code_o", "code_i", "code_f"), min_length=1
    )
    """Predict the output, find an input, write the function from examples."""
    code_f_inputs: int = Field(6, ge=2)
    """Inputs a teacher writes for a code_f task; half are shown, half are hidden tests."""
    code_f_partial_credit: bool = False
    """Count the share of hidden tests passed as the solve rate instead of all-or-nothing."""
    seed_tasks: int = Field(24, ge=1)
    """Tasks the archive starts from."""
    archive_size: int = Field(4096, ge=1)
    """Tasks kept for reference; the oldest of the fullest cell goes first."""
    max_program_chars: int = Field(1200, ge=16)
    """Longest program, as written and as formatted."""
    max_value_chars: int = Field(240, ge=8)
    """Longest text of an input or output value."""
    guards: tuple[Literal["huge_constant", "leak", "constant", "near_copy", "lookup"], ...] = (
        "huge_constant",
        "leak",
        "constant",
        "near_copy",
        "lookup",
    )
    """Guards against false difficulty that are on; see docs/curriculum.md. Lengths, the policy
    for programs and the check of determinism are always on."""
    max_constant: int = Field(1_000_000, ge=1)
    """Guard `huge_constant`: largest number in a program or an input, either sign."""
    max_constant_chars: int = Field(64, ge=1)
    """Guard `huge_constant`: longest text constant in a program or an input, in characters."""
    leak_chars: int = Field(16, ge=1)
    """Guard `leak`: an answer of this many characters or more must not stand in the prompt;
    shorter ones stand there by chance."""
    program_repeats: int = Field(3, ge=0)
    """Guard `near_copy`: archived tasks of one kind and program after which no other input makes
    a new one (code_o and code_i)."""
    near_copy_constants: bool = True
    """Guard `near_copy`: programs that differ in constants are different programs."""
    references: Literal["uniform", "rare", "recent", "azr"] = "uniform"
    """How archive tasks are drawn for proposal prompts: `uniform` over tasks; `rare` over feature
    cells, then tasks; `recent` by weight step + 1; `azr` over tasks of the kind that is asked."""

    @model_validator(mode="after")
    def _kinds_differ(self) -> "DomainConfig":
        if len(set(self.kinds)) < len(self.kinds):
            raise ValueError("kinds names a kind twice")
        if len(set(self.guards)) < len(self.guards):
            raise ValueError("guards names a guard twice")
        return self


class SandboxConfig(Section):
    """Limits of one untrusted call."""

    backend: Literal["monty"] = "monty"
    """What runs the code: `monty`, an interpreter for a subset of Python."""
    workers: int = Field(2, ge=1)
    """Processes that run calls side by side."""
    seconds: float = Field(1.0, gt=0)
    """Wall clock of one call."""
    memory_mb: float = Field(64.0, gt=0)
    """Heap of one call, in MiB."""
    recursion: int = Field(200, ge=1)
    """Deepest nesting of calls."""
    output_chars: int = Field(4000, ge=16)
    """Longest text of a returned value."""
    retries: int = Field(2, ge=0)
    """Times a call is tried again after an infrastructure error, before it is reported as one."""


class LearnerConfig(Section):
    """Rewards, advantages and the update."""

    advantage: Literal["trr++", "grpo"] = "grpo"
    """`trr++`: one baseline for each member, role and kind. `grpo`: one for each task."""
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
    clip_low: float = Field(0.2, gt=0)
    """The probability ratio is clipped below at 1 minus this."""
    clip_high: float = Field(0.2, gt=0)
    """The probability ratio is clipped above at 1 plus this."""
    kl_coefficient: float = Field(0.0, ge=0)
    """Weight of the KL penalty to the base."""
    loss_norm: Literal["token", "sequence"] = "token"
    """Average over all tokens of a member, or first within each sequence."""
    student_wrong_reward: float = -0.5
    """Reward of a well-formed wrong answer; a correct one has 1."""
    malformed_reward: float = -1.0
    """Reward of text that cannot be read, in both roles."""
    invalid_reward: float = -0.5
    """Reward of a well-formed proposal that was rejected."""
    teacher_reward: Literal["one_minus", "azr", "variance"] = "one_minus"
    """What a valid task of solve rate s is worth to its teacher. `one_minus`: 1 - s, 0 at s = 0.
    `azr`: the same as a formula, spelt as the Absolute Zero Reasoner does. `variance`: 4 s (1 - s).
    """
    max_logprob_gap: float = Field(0.05, gt=0)
    """Stop the run when log-probabilities at sampling and at learning differ by more than this
    on average: the adapters that sampled are not the adapters that learn."""


SuiteName = Literal["held-out", "beyond", "handwritten"]


class EvalConfig(Section):
    """The evaluation at the end of a run."""

    enabled: bool = True
    """Whether a run ends with it."""
    suites: tuple[SuiteName, ...] = Field(("held-out",), min_length=1)
    """`held-out`: the generator, bands 1 to 5. `beyond`: its bands 6 and 7, which training never
    sees. `handwritten`: small functions written by hand."""
    tasks: int = Field(300, ge=1)
    """Tasks of each suite (spread evenly over kinds and difficulty bands)."""
    samples: int = Field(2, ge=1)
    """Attempts at temperature 1 per task, besides one greedy."""
    seed: int = 20_000_003
    """Seed of the suites; training never uses it."""

    @model_validator(mode="after")
    def _suites_differ(self) -> "EvalConfig":
        if len(set(self.suites)) < len(self.suites):
            raise ValueError("suites names a suite twice")
        return self
