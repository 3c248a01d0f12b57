"""The traced small Python as a generator of tasks; see `redqueen.environments.code.language`."""

from dataclasses import dataclass
from random import Random

from redqueen.environments.code.language import Calls, GenerationError
from redqueen.environments.code.traced import programs
from redqueen.environments.code.traced.cases import FUNCTION_BANDS
from redqueen.environments.code.traced.messages import full_message


@dataclass(frozen=True, slots=True)
class TracedProgram:
    """A program with the input that it was drawn with."""

    program: programs.Program

    @property
    def band(self) -> int:
        """The difficulty band."""
        return self.program.band

    @property
    def source(self) -> str:
        """The Python text."""
        return self.program.source

    @property
    def message(self) -> str:
        """Its operations as words."""
        return full_message(self.program.source)

    def calls(self, count: int, rng: Random) -> Calls:
        """Return `count` inputs with their outputs, its own first; see `Drawn.calls`."""
        if count == 1:
            return [(self.program.args, self.program.trace.value)]
        return programs.more_inputs(self.program, count, rng)


class TracedPython:
    """See `redqueen.environments.code.language.Language`."""

    bands = programs.BANDS
    beyond = programs.BEYOND
    function_bands = FUNCTION_BANDS
    least_lines_beyond = 2
    """Bands are set by executed steps, not by lines: any program may be in `beyond`."""

    def draw(self, band: int, rng: Random) -> TracedProgram:
        """Return a program of a difficulty band."""
        while True:
            try:
                return TracedProgram(programs.draw_program(band, rng))
            except GenerationError:
                continue
