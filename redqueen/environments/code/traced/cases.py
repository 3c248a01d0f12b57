"""What a code task of each kind is made of, drawn from the language: all but the task's record."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from random import Random

from redqueen.environments.code.traced.messages import full_message
from redqueen.environments.code.traced.programs import draw_program, more_inputs

FUNCTION_BANDS = (1, 2)
"""Bands of `code_f`: programs short enough to be found from examples."""


@dataclass(frozen=True, slots=True)
class Case:
    """A program, its inputs with their outputs as Python literals, and what is told of it."""

    band: int
    program: str
    runs: tuple[tuple[str, str], ...]
    message: str


def arguments(args: Sequence[object]) -> str:
    """The arguments of a call as text."""
    return ", ".join(map(repr, args))


def draw_case(
    kind: str,
    band: int,
    inputs: int,
    rng: Random,
    held_out: bool = False,
    results: Collection[str] = (),
) -> Case:
    """A program with one run, or with `inputs` runs for `code_f`; see `draw_program`.

    Raises:
        GenerationError: no program, or too few inputs, were found; draw again.
    """
    program = draw_program(band, rng, held_out, results)
    runs = [(program.args, program.trace.value)]
    if kind == "code_f":
        runs = more_inputs(program, inputs, rng)
    texts = tuple((arguments(args), repr(value)) for args, value in runs)
    return Case(band, program.source, texts, full_message(program.source))
