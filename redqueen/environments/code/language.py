"""What a generator of programs offers the code environment: seed tasks, a stream, suites."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from redqueen.environments.base import TaskSource
    from redqueen.environments.code.tasks import TaskMaker

Calls = list[tuple[tuple[Any, ...], Any]]
"""Inputs with their outputs."""


class GenerationError(Exception):
    """The draw led nowhere (a value out of range, an exception); draw again."""


class Drawn(Protocol):
    """A drawn program, trusted: it does not come from a model."""

    @property
    def band(self) -> int:
        """Its difficulty band."""
        ...

    @property
    def source(self) -> str:
        """Its Python text, laid out as `ast.unparse` does; the entry point is `f`."""
        ...

    @property
    def message(self) -> str:
        """What a code_f task tells of it."""
        ...

    def value(self, args: Sequence[Any]) -> Any:
        """Return the program's value for an input.

        Raises:
            GenerationError: it has none, or its run leaves what the generator allows.
        """
        ...

    def calls(self, count: int, rng: Random) -> Calls:
        """Return `count` distinct inputs with their outputs, which are not all equal if `count` is
        more than one.

        Raises:
            GenerationError: the program has too few inputs.
        """
        ...


class Language(Protocol):
    """A generator of programs with a difficulty dial."""

    @property
    def bands(self) -> Sequence[int]:
        """Difficulty bands that training draws from."""
        ...

    @property
    def function_bands(self) -> Sequence[int]:
        """Those of `bands` that code_f, which asks for the whole program, keeps to."""
        ...

    def draw(self, band: int, rng: Random, results: Sequence[str] = ()) -> Drawn:
        """Return a program of a difficulty band, with a value of one of the types of `results`
        where the generator can aim at it."""
        ...

    def suites(self, maker: "TaskMaker") -> "Mapping[str, TaskSource]":
        """Return the sources that students are measured on: `held-out`, new tasks of the bands that
        training draws from, and then what is further and further from them."""
        ...
