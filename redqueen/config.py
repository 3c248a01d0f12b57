"""The whole configuration: one frozen pydantic tree. A field's docstring stands under the field.

Read from a TOML file with `load_config`; `--a.b value` overrides on the command line go through
the same validation. Unknown keys are errors that name the key and the nearest known one.
"""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from redqueen.types import ConfigError


class Section(BaseModel):
    """Base of all sections: frozen, unknown keys forbidden, docstrings become descriptions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True
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
    learn_tokens: int = Field(16384, ge=64)
    """Padded tokens in one forward and backward pass of the learner."""


class PopulationConfig(Section):
    """Who takes part."""

    teachers: int = Field(4, ge=0)
    students: int = Field(4, ge=0)
    self_play: int = Field(0, ge=0)
    """Members that hold both roles (the Absolute Zero Reasoner is 1 of these and no others)."""
    matchmaking: Literal["prioritized", "uniform"] = "prioritized"
    """How students are drawn: weight p (1 - p) by the ratings, or evenly."""
    mu: float = 25.0
    sigma: float = 25.0 / 3.0
    beta: float = 25.0 / 6.0
    tau: float = 25.0 / 300.0
    draw_probability: float = Field(0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _someone_plays(self) -> "PopulationConfig":
        if self.students + self.self_play < 1:
            raise ValueError("students + self_play must be at least 1")
        return self


class RolloutConfig(Section):
    """The size of a step and how text is sampled."""

    matches: int = Field(4, ge=1)
    """Matches a step. Teachers take turns; 0 teachers is not allowed here."""
    tasks_per_match: int = Field(6, ge=1)
    """Proposals a teacher writes for one match."""
    attempts: int = Field(8, ge=1)
    """G: attempts at each valid task."""
    references: int = Field(2, ge=0)
    """Archive tasks shown in a proposal prompt (the paper: 6)."""
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    propose_tokens: int = Field(192, ge=8)
    """Longest proposal, in tokens."""
    solve_tokens: int = Field(192, ge=8)
    """Longest attempt, in tokens."""


class DomainConfig(Section):
    """The family of tasks."""

    name: Literal["code"] = "code"
    style: Literal["auto", "compact", "instruct"] = "auto"
    """Prompts: `compact` (what the seedling speaks), `instruct` (English, chat template);
    `auto` takes compact for the seedling, instruct for any other model."""
    kinds: tuple[Literal["code_o", "code_i", "code_f"], ...] = ("code_o", "code_i", "code_f")
    code_f_inputs: int = Field(6, ge=2)
    """Inputs a teacher writes for a code_f task; half are shown, half are hidden tests."""
    code_f_partial_credit: bool = False
    """Count the share of hidden tests passed as the solve rate instead of all-or-nothing."""
    seed_tasks: int = Field(24, ge=1)
    """Tasks the archive starts from."""
    archive_size: int = Field(4096, ge=1)
    """Tasks kept for reference; the oldest of the fullest cell goes first."""
    max_program_chars: int = Field(1200, ge=16)
    max_value_chars: int = Field(240, ge=8)
    """Longest text of an input or output value."""


class SandboxConfig(Section):
    """Limits of one untrusted call."""

    backend: Literal["monty"] = "monty"
    workers: int = Field(2, ge=1)
    seconds: float = Field(1.0, gt=0)
    memory_mb: float = Field(64.0, gt=0)
    recursion: int = Field(200, ge=1)
    output_chars: int = Field(4000, ge=16)
    """Longest text of a returned value."""
    retries: int = Field(2, ge=0)
    """Times a call is tried again after an infrastructure error, before it is reported as one."""


class LearnerConfig(Section):
    """Rewards, advantages and the update."""

    advantage: Literal["trr++", "grpo"] = "trr++"
    learning_rate: float = Field(1e-3, gt=0)
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    """Each member's gradient is clipped on its own."""
    warmup_steps: int = Field(3, ge=0)
    epochs: int = Field(1, ge=1)
    """Passes over a step's batch; more than one needs the clipped ratio."""
    minibatches: int = Field(1, ge=1)
    """Updates an epoch."""
    clip_low: float = Field(0.2, gt=0)
    clip_high: float = Field(0.2, gt=0)
    kl_coefficient: float = Field(0.0, ge=0)
    """Weight of the KL penalty to the base."""
    loss_norm: Literal["token", "sequence"] = "token"
    """Average over all tokens of a member, or first within each sequence."""
    student_wrong_reward: float = -0.5
    malformed_reward: float = -1.0
    invalid_reward: float = -0.5
    """Reward of a well-formed proposal that was rejected."""
    max_logprob_gap: float = Field(0.05, gt=0)
    """Stop the run when log-probabilities at sampling and at learning differ by more than this
    on average: the adapters that sampled are not the adapters that learn."""


class EvolutionConfig(Section):
    """Who is replaced, and how children are made."""

    enabled: bool = True
    interval: int = Field(10, ge=1)
    """Steps between generations."""
    cull: float = Field(0.25, ge=0, lt=1)
    """Share of each role that is replaced (rounded down, at least one if there are two)."""
    fitness: Literal["conservative", "mean"] = "conservative"
    """`conservative` is mu - 3 sigma of the rating, `mean` is mu alone (kinder to newborns,
    whose sigma is still wide)."""
    crossover_probability: float = Field(0.5, ge=0, le=1)
    mutations: tuple[str, ...] = ("svd", "layer_gaussian")
    crossovers: tuple[str, ...] = ("average", "layerwise")
    svd_scale: float = Field(0.1, ge=0)
    """Standard deviation of the log singular values' noise (SVD-structured mutation)."""
    svd_rotation: float = Field(0.05, ge=0)
    """Size of the random rotation of both singular bases."""
    gaussian_scale: float = Field(0.1, ge=0)
    """Noise relative to the root mean square of the factor it is added to."""
    layer_fraction: float = Field(1.0 / 3.0, gt=0, le=1)
    """Share of layers that the layer-selective mutation touches."""


class EvalConfig(Section):
    """The held-out suite at the end of a run."""

    enabled: bool = True
    tasks: int = Field(300, ge=1)
    """Held-out tasks (spread evenly over kinds and difficulty bands)."""
    samples: int = Field(2, ge=1)
    """Attempts at temperature 1 per task, besides one greedy."""
    seed: int = 20_000_003
    """Seed of the held-out generator; training never uses it."""


class Config(Section):
    """A run."""

    name: str = "run"
    seed: int = Field(0, ge=0)
    steps: int = Field(60, ge=1)
    checkpoint_every: int = Field(1, ge=1)
    """Steps between checkpoints; a resumed run repeats at most this many."""
    keep_checkpoints: int = Field(2, ge=1)
    threads: int = Field(0, ge=0)
    """CPU threads of torch; 0 leaves its default."""
    policy: PolicyConfig = PolicyConfig()
    population: PopulationConfig = PopulationConfig()
    rollout: RolloutConfig = RolloutConfig()
    domain: DomainConfig = DomainConfig()
    sandbox: SandboxConfig = SandboxConfig()
    learner: LearnerConfig = LearnerConfig()
    evolution: EvolutionConfig = EvolutionConfig()
    eval: EvalConfig = EvalConfig()


def _known_keys(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    for part in path:
        annotation = model.model_fields[str(part)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)


def _explain(error: ValidationError, source: str) -> ConfigError:
    lines = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            known = _known_keys(Config, item["loc"][:-1])
            near = difflib.get_close_matches(str(item["loc"][-1]), known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known here: {', '.join(known)}"
            lines.append(f"{source}: unknown key {key!r}{hint}")
        else:
            message = item["msg"].removeprefix("Value error, ")
            lines.append(f"{source}: {key or 'config'} = {item['input']!r}: {message}")
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


def build_config(values: Mapping[str, Any], source: str = "config") -> Config:
    """Validate nested values into a Config.

    Raises:
        ConfigError: names each offending key, its value and what is expected.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise _explain(error, source) from None


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
    return build_config(values, str(path) if path else "command line")
