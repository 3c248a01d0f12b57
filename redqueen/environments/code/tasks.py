"""How a program with inputs and outputs becomes a task."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

from redqueen.environments.base import Measure
from redqueen.environments.code.analysis import Parsed, features, parse_program
from redqueen.environments.code.language import Drawn, GenerationError, Language
from redqueen.environments.code.policy import PURE, Profile
from redqueen.environments.code.texts import arguments_text, task_id, value_text
from redqueen.errors import ConfigError
from redqueen.sandbox import parse_arguments, parse_literal
from redqueen.types import Task

if TYPE_CHECKING:
    from redqueen.environments.code.config import Code

_TRIES = 1000
MEASURES = (
    Measure("lines", "Lines of code", (4, 6, 8, 11)),
    Measure("cyclomatic", "Cyclomatic complexity", (2, 3, 4)),
    Measure("ast_depth", "Depth of the syntax tree", (6, 7, 8)),
    Measure("types", "Types of values", (2, 3)),
)
"""Every cell of the archive that they span can be reached."""
DIFFICULTY = Measure("band", "difficulty band")
"""Of tasks that a generator made."""


def make_task(
    environment: str,
    kind: str,
    parsed: Parsed,
    pairs: Sequence[tuple[str, str]],
    message: str,
    *,
    author: int | None = None,
    step: int = 0,
) -> Task:
    """Return a task from a program and canonical texts of inputs with their outputs.

    `code_o` and `code_i` take the first pair; `code_f` shows half of them and hides the rest.
    """
    payload: dict[str, Any] = {"program": parsed.source, "arity": parsed.arity}
    if kind == "code_f":
        half = len(pairs) // 2
        payload["message"] = message
        payload["examples"] = [list(pair) for pair in pairs[:half]]
        payload["hidden"] = [list(pair) for pair in pairs[half:]]
    else:
        payload["input"], payload["output"] = pairs[0]
    return Task(
        id=task_id(kind, payload),
        environment=environment,
        kind=kind,
        payload=payload,
        features=features(parsed, _values(pairs, parsed.arity)),
        author=author,
        step=step,
    )


def _values(pairs: Sequence[tuple[str, str]], arity: int) -> list[Any]:
    """Return the arguments and results that the texts stand for."""
    args = [parse_arguments(given, arity) or () for given, _ in pairs]
    return [*(value for item in args for value in item), *(parse_literal(o)[1] for _, o in pairs)]


def written_task(
    environment: str,
    kind: str,
    program: str,
    cases: Sequence[tuple[str, str]],
    message: str,
    profile: Profile = PURE,
) -> Task:
    """Return a task from a program and texts of inputs with outputs that are right for certain.

    Raises:
        ValueError: the program breaks the language's policy, or `code_f` has under two cases.
    """
    parsed = parse_program(program, 2 * len(program), profile)
    if isinstance(parsed, str):
        raise ValueError(f"no program of the language ({parsed}): {program}")
    if kind == "code_f" and len(cases) < 2:
        raise ValueError(f"code_f needs two cases to show one and hide one: {program}")
    return make_task(environment, kind, parsed, cases, message)


class TaskMaker:
    """Makes tasks from a language's programs, within the lengths that a config allows."""

    def __init__(self, environment: str, config: "Code", language: Language) -> None:
        self.environment, self.config, self.language = environment, config, language

    def bands(self, kind: str) -> tuple[int, ...]:
        """Return the bands that training tasks of a kind may have."""
        language = self.language
        return tuple(language.function_bands if kind == "code_f" else language.bands)

    def draw(self, kind: str, band: int, rng: Random) -> Task:
        """Return a task of a difficulty band.

        `code_f` folds the bands that it does not have into those that it has, in turn.
        Nothing of it comes from a model, so its outputs are those of the generator's own run.

        Raises:
            ConfigError: the configured lengths leave no room for generated tasks.
        """
        bands = self.bands(kind)
        if band in self.language.bands:
            band = bands[self.language.bands.index(band) % len(bands)]
        for _ in range(_TRIES):
            task = self._task(kind, self.language.draw(band, rng), rng)
            if task is not None:
                return task
        config, name = self.config, f"environments.{self.environment}"
        raise ConfigError(
            f"no {kind} task of band {band} fits the limits {name}.max_program_chars = "
            f"{config.max_program_chars}, {name}.max_value_chars = {config.max_value_chars}, "
            f"{name}.code_f_inputs = {config.code_f_inputs}; raise the first two or lower the last"
        )

    def _task(self, kind: str, drawn: Drawn, rng: Random) -> Task | None:
        """Return the task of a drawn program; None if it does not fit."""
        parsed = parse_program(drawn.source, self.config.max_program_chars)
        if isinstance(parsed, str):
            return None
        try:
            calls = drawn.calls(self.config.code_f_inputs if kind == "code_f" else 1, rng)
        except GenerationError:
            return None
        pairs = [(arguments_text(args), value_text(value)) for args, value in calls]
        if any(len(text) > self.config.max_value_chars for pair in pairs for text in pair):
            return None
        task = make_task(self.environment, kind, parsed, pairs, drawn.message)
        return replace(task, features={**task.features, DIFFICULTY.name: float(drawn.band)})
