"""The whole configuration: one frozen pydantic tree. A field's docstring stands under the field.

Read from a TOML file with `load_config`; `--a.b value` overrides on the command line go through
the same validation. Unknown keys are errors that name the key and the nearest known one.
"""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from redqueen.types import ConfigError

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
    """Sequences generated side by side; more is faster until memory runs out."""
    learn_tokens: int = Field(8192, ge=64)
    """Tokens in one forward and backward pass of the learner, prompts counted for each attempt."""


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
    style: Literal["auto", "compact", "instruct"] = "auto"
    """Prompts: `compact` (what the seedling speaks), `instruct` (English, chat template);
    `auto` takes compact for the seedling, instruct for any other model."""
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


class EvolutionConfig(Section):
    """Who is replaced, and how children are made."""

    enabled: bool = True
    """Whether the weakest are replaced at all."""
    interval: int = Field(15, ge=1)
    """Steps between generations."""
    cull: float = Field(0.25, ge=0, lt=1)
    """Share of each role that is replaced (rounded down, at least one if there are two)."""
    fitness: Literal["conservative", "mean", "solve_rate", "novelty"] = "mean"
    """`conservative` is mu - 3 sigma of the rating, `mean` is mu alone (kinder to newborns,
    whose sigma is still wide). `solve_rate` is what the member earned since the last generation:
    students' share of solved attempts, teachers' mean reward. `novelty` adds to mu what makes a
    member's behaviour unlike its nearest neighbours'."""
    novelty_weight: float = Field(1.0, ge=0)
    """`novelty`: what the greatest possible novelty is worth, in newcomers' sigmas."""
    novelty_neighbours: int = Field(3, ge=1)
    """`novelty`: nearest neighbours that a member is compared with."""
    sharing: Literal["off", "behaviour", "weights"] = "off"
    """Fitness sharing: members that are near each other share their fitness. Near in what they do,
    or in their updates of the weights."""
    sharing_radius: float = Field(0.5, gt=0)
    """Distance at which members stop sharing (1: nothing in common)."""
    sharing_exponent: float = Field(1.0, gt=0)
    """How sharing falls with distance; 1 is a line."""
    selection: Literal["truncation", "tournament"] = "truncation"
    """Who of the survivors has children: `truncation` makes each as likely as the next,
    `tournament` takes the fittest of a few drawn ones."""
    replacement: Literal["worst", "tournament", "oldest"] = "worst"
    """Who goes: the least fit, the least fit of a few drawn ones, or the first born."""
    tournament_size: int = Field(3, ge=1)
    """Members drawn for one tournament; more is stricter, 1 is chance."""
    elites: int = Field(1, ge=0)
    """The fittest of each role that are never replaced."""
    child_rating: Literal["new", "parents"] = "new"
    """A child is rated as a newcomer, or starts from the mean of its parents' ratings."""
    child_sigma: float = Field(0.5, ge=0, le=1)
    """`parents`: least sigma of a child, as a share of a newcomer's."""
    child_optimizer: Literal["zero", "parent"] = "zero"
    """A child's optimizer state: empty, or a copy of its first parent's."""
    hyperparameters: tuple[Literal["learning_rate", "temperature"], ...] = ()
    """What children inherit with changes, as in population-based training: a factor on the
    learning rate, the sampling temperature."""
    perturbations: tuple[PositiveFloat, ...] = Field((0.8, 1.2), min_length=1)
    """Factors to draw from when a child's hyperparameter is perturbed."""
    resample_probability: float = Field(0.25, ge=0, le=1)
    """Chance that a hyperparameter is drawn anew within its bounds instead of perturbed."""
    learning_rate_bounds: tuple[PositiveFloat, PositiveFloat] = (0.25, 4.0)
    """Least and greatest factor on the learning rate."""
    temperature_bounds: tuple[PositiveFloat, PositiveFloat] = (0.7, 1.3)
    """Least and greatest sampling temperature of a member."""
    diversity_window: int = Field(10, ge=1)
    """Steps over which members' behaviour is compared."""
    crossover_probability: float = Field(0.5, ge=0, le=1)
    """Chance that a child comes of a crossover; otherwise of a mutation."""
    mutations: tuple[str, ...] = ("svd", "layer_gaussian")
    """Mutations to draw from."""
    crossovers: tuple[str, ...] = ("average", "layerwise")
    """Crossovers to draw from."""
    svd_scale: float = Field(0.1, ge=0)
    """Standard deviation of the log singular values' noise (SVD-structured mutation)."""
    svd_rotation: float = Field(0.05, ge=0)
    """Size of the random rotation of both singular bases."""
    gaussian_scale: float = Field(0.1, ge=0)
    """Noise relative to the root mean square of the factor it is added to."""
    layer_fraction: float = Field(1.0 / 3.0, gt=0, le=1)
    """Share of layers that the layer-selective mutation touches."""
    mask_drop: float = Field(0.3, ge=0, lt=1)
    """Chance of each singular component to be dropped (component masking)."""
    neftune_alpha: float = Field(1.0, ge=0)
    """NEFTune-style noise on A: uniform within this over the root of A's number of entries."""
    dare_drop: float = Field(0.5, ge=0, lt=1)
    """DARE: chance of each parent's singular components to be dropped; the others are scaled up."""
    subspace_share: float = Field(0.5, ge=0, le=1)
    """Share of the rank that the fitter parent leads with (SVD-subspace crossover)."""
    extrapolation: float = Field(1.5, ge=1)
    """Furthest step from the worse parent through the better one; 1 ends at the better one."""

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> "EvolutionConfig":
        for name in ("learning_rate_bounds", "temperature_bounds"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name}: {low:g} is above {high:g}; give the least first")
        return self


class AlarmConfig(Section):
    """When the run says that its population has collapsed, and why. An alarm stops nothing."""

    patience: int = Field(5, ge=1)
    """Steps in a row that begin an alarm, and that end it."""
    clones: float = Field(0.05, ge=0)
    """`clones`: mean distance between one role's updates of the weights, at most (1: unrelated)."""
    one_teacher_style: float = Field(0.02, ge=0)
    """`one_teacher_style`: how much a task tells about which teacher wrote it, at most (0: no
    more than chance, 1: all)."""
    no_valid_tasks: float = Field(0.02, ge=0, le=1)
    """`no_valid_tasks`: share of valid proposals, at most."""
    too_easy: float = Field(0.98, ge=0, le=1)
    """`too_easy`: solve rate, at least."""
    too_hard: float = Field(0.02, ge=0, le=1)
    """`too_hard`: solve rate, at most."""
    no_learning_signal: float = Field(0.98, ge=0, le=1)
    """`no_learning_signal`: share of sequences without an advantage, at least."""


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


class Config(Section):
    """A run."""

    name: str = "default"
    """What the run is called in reports."""
    seed: int = Field(0, ge=0)
    """Every random draw of the run derives from it."""
    steps: int = Field(40, ge=1)
    """Steps of the run."""
    checkpoint_every: int = Field(1, ge=1)
    """Steps between checkpoints; a resumed run repeats at most this many."""
    keep_checkpoints: int = Field(2, ge=1)
    """Newest checkpoints kept; older ones are deleted."""
    threads: int = Field(0, ge=0)
    """CPU threads of torch; 0 leaves its default."""
    policy: PolicyConfig = PolicyConfig()
    population: PopulationConfig = PopulationConfig()
    rollout: RolloutConfig = RolloutConfig()
    domain: DomainConfig = DomainConfig()
    sandbox: SandboxConfig = SandboxConfig()
    learner: LearnerConfig = LearnerConfig()
    evolution: EvolutionConfig = EvolutionConfig()
    alarms: AlarmConfig = AlarmConfig()
    eval: EvalConfig = EvalConfig()

    @model_validator(mode="after")
    def _enough_students(self) -> "Config":
        wanted, students = self.rollout.students_per_task, self.population.students
        if wanted != "all" and wanted > max(1, students):
            raise ValueError(
                f"rollout.students_per_task = {wanted}, but population.students = {students}; "
                "a self-play member attempts its tasks alone"
            )
        return self


def _known_keys(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    for part in path:
        annotation = model.model_fields[str(part)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)


def _explain(error: ValidationError, source: str, overridden: Sequence[str]) -> ConfigError:
    lines = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"])
        pairs = [(f"{key}.", f"{name}.") for name in overridden]
        ours = any(a.startswith(b) or b.startswith(a) for a, b in pairs)
        place = "command line" if ours else source
        if item["type"] == "extra_forbidden":
            known = _known_keys(Config, item["loc"][:-1])
            near = difflib.get_close_matches(str(item["loc"][-1]), known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known here: {', '.join(known)}"
            lines.append(f"{place}: unknown key {key!r}{hint}")
        else:
            message = item["msg"].removeprefix("Value error, ")
            # A rule about several sections names its keys itself; their input is everything.
            value = f"{key} = {item['input']!r}: " if key else ""
            lines.append(f"{place}: {value}{message}")
    return ConfigError("\n".join(lines))


def parse_override(key: str, text: str) -> dict[str, Any]:
    """Turn `--a.b value` into {'a': {'b': value}}; `value` is a TOML literal, else a string."""
    try:
        value: Any = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def merge(into: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Deep-merge two nested mappings; `over` wins."""
    merged = dict(into)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[key] = merge(below, value) if both else value  # type: ignore[arg-type]
    return merged


def build_config(
    values: Mapping[str, Any], source: str = "config", overridden: Sequence[str] = ()
) -> Config:
    """Validate nested values into a Config. Errors blame `source`, or the command line for the
    dotted keys in `overridden`.

    Raises:
        ConfigError: names each offending key, its value and what is expected.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise _explain(error, source, overridden) from None


def load_config(path: Path | None, overrides: Sequence[tuple[str, str]] = ()) -> Config:
    """Read a TOML file (None: defaults) and apply `(dotted key, text)` overrides on top.

    Raises:
        ConfigError: the file is missing or not TOML, or a key or value is not valid.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigError(f"no config file at {path}; see configs/ for complete ones") from None
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path} is not a readable TOML file: {error}") from None
    for key, text in overrides:
        values = merge(values, parse_override(key, text))
    keys = [key for key, _ in overrides]
    return build_config(values, str(path) if path else "command line", keys)
