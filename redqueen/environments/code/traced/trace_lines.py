"""The lines of a worked run: how operations, bindings and line ends become text; line labels."""

import ast
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from redqueen.environments.code.traced.operations import check_size


class TraceError(Exception):
    """The run cannot be written down: a construct outside the language, an exception, too long."""


def listing_labels(source: str) -> dict[int, int]:
    """Line number → label: the lines of a program that are not blank, numbered from 1."""
    texts = enumerate(source.split("\n"), 1)
    return {number: label for label, number in enumerate((n for n, t in texts if t.strip()), 1)}


@lru_cache(256)
def read_program(source: str) -> tuple[dict[str, ast.FunctionDef], dict[int, int]]:
    """The functions of a program by name, and the labels of its lines."""
    tree = ast.parse(source)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    return functions, listing_labels(source)


@dataclass(frozen=True, slots=True)
class Trace:
    """A run: the value that `f` returns and the lines of the trace."""

    value: Any
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The lines, each after a newline."""
        return "".join(f"\n{line}" for line in self.lines)


class Jump(Exception):
    """Leaves a block: `word` is break, continue or return."""

    def __init__(self, word: str, value: Any = None):
        self.word, self.value = word, value


class TraceWriter:
    """Collects the parts of the current line, and the lines that are finished."""

    def __init__(self, max_steps: int):
        self.max_steps = max_steps
        self.lines: list[str] = []
        self.parts: list[str] = []
        self.label = 0
        """Of the line that is executed."""
        self.pending: tuple[str, Any] | None = None
        """An operation whose result is not written yet."""
        self.fresh = False
        """Whether the value just computed is that of the pending operation."""

    def settle(self) -> None:
        """Write the pending operation with its result."""
        if self.pending is not None:
            text, value = self.pending
            self.parts.append(f"{text} = {value!r}")
            self.pending = None

    def operation(self, text: str, value: Any) -> Any:
        """An operation was done; returns its value."""
        self.settle()
        check_size(value)
        self.pending, self.fresh = (text, value), True
        return value

    def note(self, text: str) -> None:
        """A part that is no operation."""
        self.settle()
        self.parts.append(text)

    def end_line(self) -> None:
        """Finish the line of the current statement."""
        self.settle()
        self.lines.append(f"#{self.label} {'; '.join(self.parts)}")
        self.parts = []
        if len(self.lines) > self.max_steps:
            raise TraceError("too many steps")

    def conclude(self, text: str) -> None:
        """The part that says what becomes of the value just computed, and the end of the line."""
        self.result_to(text)
        self.end_line()

    def result_to(self, text: str) -> None:
        """As `conclude`, but the line goes on."""
        if self.pending is not None and self.fresh:
            self.parts.append(self.pending[0])
            self.pending = None
        self.note(text)
