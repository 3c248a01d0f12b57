"""How a program with inputs and outputs becomes a task."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any

from redqueen.environments.base import Measure
from redqueen.environments.code.analysis import Parsed, features, parse_program
from redqueen.environments.code.language import Drawn, GenerationError, Language
from redqueen.environments.code.policy import PURE, Profile
from redqueen.environments.code.texts import (
    arguments_text,
    fit_results,
    is_output,
    repeated,
    task_id,
    value_text,
)
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
    payload = _payload(kind, parsed.source, parsed.arity, pairs, message)
    return Task(
        id=task_id(kind, payload),
        environment=environment,
        kind=kind,
        payload=payload,
        features=features(parsed, _values(pairs, parsed.arity)),
        author=author,
        step=step,
    )


def _payload(
    kind: str, source: str, arity: int, pairs: Sequence[tuple[str, str]], message: str
) -> dict[str, Any]:
    """Return what a task keeps; see `make_task`."""
    payload: dict[str, Any] = {"program": source, "arity": arity}
    if kind == "code_f":
        half = len(pairs) // 2
        payload["message"] = message
        payload["examples"] = [list(pair) for pair in pairs[:half]]
        payload["hidden"] = [list(pair) for pair in pairs[half:]]
    else:
        payload["input"], payload["output"] = pairs[0]
    return payload


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


@dataclass(frozen=True, slots=True)
class Material:
    """A drawn program with texts of its inputs and outputs: all that a task is made of."""

    environment: str
    kind: str
    drawn: Drawn
    arity: int
    pairs: tuple[tuple[str, str], ...]

    @property
    def id(self) -> str:
        """The id of the task, which takes less than half the time of making it."""
        source, message = self.drawn.source, self.drawn.message
        return task_id(self.kind, _payload(self.kind, source, self.arity, self.pairs, message))

    def task(self) -> Task:
        """Return the task with its features."""
        source, message = self.drawn.source, self.drawn.message
        task = written_task(self.environment, self.kind, source, self.pairs, message)
        return replace(task, features={**task.features, DIFFICULTY.name: float(self.drawn.band)})


class TaskMaker:
    """Makes tasks from a language's programs, within the lengths that a config allows."""

    def __init__(self, environment: str, config: "Code", language: Language) -> None:
        self.environment, self.config, self.language = environment, config, language

    def bands(self, kind: str) -> tuple[int, ...]:
        """Return the bands that training tasks of a kind may have."""
        language = self.language
        return tuple(language.function_bands if kind == "code_f" else language.bands)

    def draw(self, kind: str, band: int, rng: Random) -> Material:
        """Return a task of a difficulty band, not yet made.

        `code_f` folds the bands that it does not have into those that it has, in turn.
        Nothing of it comes from a model, so its outputs are those of the generator's own run.

        Raises:
            ConfigError: the configured lengths leave no room for generated tasks.
        """
        bands = self.bands(kind)
        if band in self.language.bands and band not in bands:
            band = bands[(band - 1) % len(bands)]
        for _ in range(_TRIES):
            material = self._material(kind, self.language.draw(band, rng, self.config.results), rng)
            if material is not None:
                return material
        config, name = self.config, f"environments.{self.environment}"
        raise ConfigError(
            f"no {kind} task of band {band} fits the limits {name}.max_program_chars = "
            f"{config.max_program_chars}, {name}.max_value_chars = {config.max_value_chars}, "
            f"{name}.code_f_inputs = {config.code_f_inputs}, {name}.results = "
            f"{list(config.results)}; raise the first two, lower the third or name more types"
        )

    def _material(self, kind: str, drawn: Drawn, rng: Random) -> Material | None:
        """Return what a drawn program gives a task; None if it does not fit."""
        if len(drawn.source) > self.config.max_program_chars:
            return None
        try:
            calls = drawn.calls(self.config.code_f_inputs if kind == "code_f" else 1, rng)
        except GenerationError:
            return None
        pairs = tuple((arguments_text(args), value_text(value)) for args, value in calls)
        if not fit_results((value for _, value in pairs), self.config.results):
            return None
        if any(len(text) > self.config.max_value_chars for pair in pairs for text in pair):
            return None
        arity = len(calls[0][0])
        guarded = kind == "code_i" and "echo" in self.config.guards
        if guarded and _is_echo(drawn, pairs[0][1], arity):
            return None
        return Material(self.environment, kind, drawn, arity, pairs)


def _is_echo(drawn: Drawn, output: str, arity: int) -> bool:
    """Return whether the output, put in for every argument, gives itself."""
    try:
        return is_output(value_text(drawn.value(repeated(output, arity))), output)
    except (GenerationError, ValueError):  # no value, or none with a literal
        return False
