"""The keys of the code environment."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from redqueen.environments.base import EnvironmentConfig, Services

if TYPE_CHECKING:
    from redqueen.environments.code.environment import CodeEnvironment

Guard = Literal["huge_constant", "leak", "constant", "lookup", "echo"]
Result = Literal["bool", "int", "float", "str", "list", "tuple", "dict", "set", "none"]
Band = Annotated[int, Field(ge=0, le=5)]
START: Mapping[str, Any] = {
    "environments": {"code": {"kinds": ["code_o", "code_i", "code_f"]}},
}
SEEDLING2_START: Mapping[str, Any] = {
    "steps": 40,
    "environments": {"code": {"stream_bands": [1, 2, 3], "code_f_partial_credit": True}},
    "curriculum": {"references": {"type": "varied", "by": "rare", "share": 0.5}},
    "rollout": {"propose_tokens": 256, "solve_tokens": 320},
    "learner": {
        "learning_rate_end": 0.5,
        "teacher": {"advantage": {"type": "reinforce++", "pooled": True, "window": 8}},
    },
    "evolution": {"interval": 10},
    "eval": {"tasks": 200},
}
"""What the second seedling is trained with (configs/seedling2.toml)."""


class Code(EnvironmentConfig):
    """Tasks over Python functions: predict the output, find an input, write the function."""

    starts: ClassVar = {"seedling": START, "seedling2": SEEDLING2_START, "chat": START}

    style: Literal["auto", "compact", "traced", "instruct"] = "auto"
    """Prompts: `compact` and `traced` (what the first and the second seedling speak), `instruct`
    (English, for chat models); `auto` takes what the base speaks."""
    profile: Literal["auto", "pure", "stdlib"] = "auto"
    """What programs of tasks may use: `pure`, functions over plain values without classes and
    generators; `stdlib`, all of Python that does not reach outside, which needs the sandbox
    `cpython` or `auto`; `auto` takes what the sandbox runs. Answers may always use all of it."""
    kinds: tuple[Literal["code_o", "code_i", "code_f"], ...] = Field(
        ("code_o", "code_i", "code_f"), min_length=1
    )
    """Predict the output, find an input, write the function from examples."""
    results: tuple[Result, ...] = ()
    """Types that the value of a task's function may have, `["bool"]` for predicates; none named:
    any. Proposals, the stream and suites keep to it."""
    code_f_inputs: int = Field(6, ge=2)
    """Inputs a teacher writes for a code_f task; half are shown, half are hidden tests."""
    code_f_partial_credit: bool = False
    """Count the share of hidden tests passed as the solve rate instead of all-or-nothing."""
    stream_bands: tuple[Band, ...] = Field((1, 2, 3, 4, 5), min_length=1)
    """Without teachers: difficulty bands of the stream's tasks, in turn. Leave some out to keep
    them for measuring. Band 0, functions of one expression, is the second seedling's alone."""
    seed_bands: tuple[Band, ...] = Field((1, 2, 3, 4, 5), min_length=1)
    """Bands of the seed tasks that a generator makes, in turn."""
    max_program_chars: int = Field(1200, ge=16)
    """Longest program, as written and as formatted."""
    max_value_chars: int = Field(240, ge=8)
    """Longest text of an input or output value."""
    guards: tuple[Guard, ...] = ("huge_constant", "leak", "constant", "lookup", "echo")
    """Guards against false difficulty that are on; see docs/curriculum.md. Lengths, the policy for
    programs and the check of determinism are always on."""
    max_constant: int = Field(1_000_000, ge=1)
    """Guard `huge_constant`: largest number in a program or an input, either sign."""
    max_constant_chars: int = Field(64, ge=1)
    """Guard `huge_constant`: longest text constant in a program or an input, in characters."""
    leak_chars: int = Field(16, ge=1)
    """Guard `leak`: an answer of this many characters or more must not stand in the prompt;
    shorter ones stand there by chance."""
    near_copy_constants: bool = True
    """With `curriculum.near_copies`: programs that differ in constants are different programs."""

    @field_validator("kinds", "results", "guards", "stream_bands", "seed_bands", mode="before")
    @classmethod
    def _differ(cls, values: Any) -> Any:
        if isinstance(values, list | tuple):
            if "near_copy" in values:
                raise ValueError("near_copy is not a guard of code; it is curriculum.near_copies")
            for value in values:
                if values.count(value) > 1:
                    raise ValueError(f"names {value!r} twice")
        return values

    def build(self, services: Services) -> "CodeEnvironment":
        """Return the environment; it starts the run's sandbox when it first needs it.

        Raises:
            ConfigError: no style for what the base speaks, or a kind has no band in `stream_bands`.
        """
        from redqueen.environments.code.environment import CodeEnvironment

        return CodeEnvironment(self, services)
