"""The traced small Python as a generator of tasks; see `redqueen.environments.code.language`."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any

from redqueen.environments.base import TaskSource
from redqueen.environments.code.handwritten import Exercise, Handwritten, read_folder
from redqueen.environments.code.language import Calls, GenerationError
from redqueen.environments.code.tasks import TaskMaker
from redqueen.environments.code.traced import programs
from redqueen.environments.code.traced.cases import FUNCTION_BANDS
from redqueen.environments.code.traced.messages import full_message
from redqueen.environments.code.traced.stored import Stored
from redqueen.environments.code.traced.trace import trace_call
from redqueen.environments.code.traced.trace_lines import TraceError

TYPES_OF_RESULT: Mapping[str, tuple[str, ...]] = {
    "bool": ("bool",),
    "int": ("int",),
    "str": ("str",),
    "list": ("ints", "strs"),
    "tuple": ("pair",),
    "dict": ("table",),
}
"""Python's type of a value -> the language's types."""


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

    def value(self, args: Sequence[Any]) -> Any:
        """Return the value for an input; see `Drawn.value`."""
        try:
            return trace_call(self.program.source, args).value
        except TraceError as error:
            raise GenerationError(str(error)) from error

    def calls(self, count: int, rng: Random) -> Calls:
        """Return `count` inputs with their outputs, its own first; see `Drawn.calls`."""
        if count == 1:
            return [(self.program.args, self.program.trace.value)]
        return programs.more_inputs(self.program, count, rng)


class TracedPython:
    """See `redqueen.environments.code.language.Language`."""

    bands = (programs.EXPRESSION, *programs.BANDS)
    function_bands = FUNCTION_BANDS

    def draw(self, band: int, rng: Random, results: Sequence[str] = ()) -> TracedProgram:
        """Return a program of a difficulty band with a value of one of the types of `results`."""
        kinds = [kind for name in results for kind in TYPES_OF_RESULT.get(name, ())]
        while True:
            try:
                return TracedProgram(programs.draw_program(band, rng, results=kinds))
            except GenerationError:
                continue

    def suites(self, maker: TaskMaker) -> dict[str, TaskSource]:
        """Return what is near the corpus, in the middle, and far from it."""
        name, config = maker.environment, maker.config
        return {
            "held-out": Stored(name, config, "held-out"),
            "middle": Stored(name, config, "middle"),
            "far": Handwritten(name, config, traced_functions),
        }


FAR_CHARS = 1000
"""Longest run of a function of `far`, in characters."""


@cache
def traced_functions() -> tuple[Exercise, ...]:
    """Return the hand-written functions that keep to the language, with their authors' names."""
    chosen = []
    for item in read_folder("exercises", letters=False):
        calls = [ast.literal_eval(f"({args},)") for args, _ in item.cases]
        try:
            runs = [trace_call(item.program, args) for args in calls]
        except TraceError:
            continue
        if max(len(run.text) for run in runs) <= FAR_CHARS:
            chosen.append(replace(item, message=full_message(item.program)))
    return tuple(chosen)
