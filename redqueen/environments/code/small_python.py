"""The language of the seedling: the small Python of `generator.py`."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from redqueen.environments.base import TaskSource
from redqueen.environments.code.generator import BANDS, BEYOND, generate_program, more_inputs
from redqueen.environments.code.handwritten import Handwritten
from redqueen.environments.code.language import Calls, GenerationError
from redqueen.environments.code.program import Program, execute
from redqueen.environments.code.sources import Suite
from redqueen.environments.code.tasks import TaskMaker


@dataclass(frozen=True, slots=True)
class SmallProgram:
    """A program with the input that it was grown on."""

    program: Program
    args: tuple[Any, ...]
    source: str

    @property
    def band(self) -> int:
        """The difficulty band."""
        return self.program.band

    @property
    def message(self) -> str:
        """The names of its operations in order."""
        return self.program.message

    def value(self, args: Sequence[Any]) -> Any:
        """Return the value for an input, of whatever types; see `Drawn.value`."""
        try:
            return execute(self.program, args)[0]
        except (TypeError, AttributeError) as error:
            raise GenerationError(str(error)) from error

    def calls(self, count: int, rng: Random) -> Calls:
        """Return the input that it was grown on, or `count` new ones; see `Drawn.calls`."""
        if count == 1:
            return [(self.args, execute(self.program, self.args)[0])]
        return more_inputs(self.program, count, rng)


LEAST_LINES_BEYOND = 21
"""Two of the frame, seven plain statements, and at least 3, 3 and 6 of compound ones."""


class SmallPython:
    """See `redqueen.environments.code.language.Language`."""

    bands = BANDS
    function_bands = BANDS[:3]

    def draw(self, band: int, rng: Random, results: Sequence[str] = ()) -> SmallProgram:
        """Return a program of a difficulty band; types of values are not aimed at."""
        program, args = generate_program(band, rng)
        return SmallProgram(program, args, program.source)

    def suites(self, maker: TaskMaker) -> dict[str, TaskSource]:
        """Return new tasks, longer programs than any that is trained on, and functions by hand.

        To make `beyond` takes seconds, so it waits for the first proposal that is long enough to be
        in it.
        """
        config = maker.config
        return {
            "held-out": Suite(maker, BANDS, "held out"),
            "beyond": Suite(
                maker, BEYOND, "beyond", least_lines=LEAST_LINES_BEYOND, functions=False
            ),
            "handwritten": Handwritten(maker.environment, config),
        }
