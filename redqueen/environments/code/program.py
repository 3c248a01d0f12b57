"""Programs of the small Python as data: their statements, their text, their run step by step.

Programs are made by `generator.py` beside this file, never by a model, so they run in this process.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redqueen.environments.code.language import GenerationError

MAX_INT = 99
MAX_ITEMS = 6
MAX_CHARS = 8
MAX_EVENTS = 28
"""Steps of a run in the bands 1 to 5."""
BUILTINS: dict[str, Any] = {
    "len": len, "sum": sum, "max": max, "min": min, "sorted": sorted, "range": range, "abs": abs,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Assign:
    """`target = expression`; `template` has the operands' names as format fields."""

    target: str
    template: str
    operands: tuple[str, ...]
    operation: str


@dataclass(frozen=True, slots=True)
class If:
    """`if condition:` with an optional `else`."""

    template: str
    operands: tuple[str, ...]
    body: tuple["Statement", ...]
    orelse: tuple["Statement", ...] = ()


@dataclass(frozen=True, slots=True)
class For:
    """`for target in iterable:`."""

    target: str
    template: str
    operands: tuple[str, ...]
    body: tuple["Statement", ...]


@dataclass(frozen=True, slots=True)
class While:
    """`while condition:`."""

    template: str
    operands: tuple[str, ...]
    body: tuple["Statement", ...]


Statement = Assign | If | For | While


@dataclass(frozen=True, slots=True)
class Event:
    """One executed step: `kind` is assign, if, for or while; `shown` has values for names."""

    kind: str
    target: str
    source: str
    shown: str
    value: Any


@dataclass(frozen=True, slots=True)
class Program:
    """A generated function with the inputs it was made for."""

    band: int
    parameters: tuple[str, ...]
    types: tuple[str, ...]
    body: tuple[Statement, ...]
    result: str
    operations: tuple[str, ...]

    @property
    def source(self) -> str:
        """The Python text, formatted as `ast.unparse` does."""
        lines = [f"def f({', '.join(self.parameters)}):"]
        _write(self.body, 1, lines)
        return "\n".join([*lines, f"    return {self.result}"])

    @property
    def message(self) -> str:
        """The names of its operations in order: what a `code_f` task tells of the function."""
        return ", ".join(self.operations)


def most_events(band: int) -> int:
    """The longest run of a program of a band, in steps: beyond band 5 it grows with the band."""
    return MAX_EVENTS + 8 * max(0, band - 5)


def _write(body: Sequence[Statement], depth: int, lines: list[str]) -> None:
    pad = "    " * depth
    for item in body:
        text = item.template.format(**{name: name for name in item.operands})
        if isinstance(item, Assign):
            lines.append(f"{pad}{item.target} = {text}")
        elif isinstance(item, If):
            lines.append(f"{pad}if {text}:")
            _write(item.body, depth + 1, lines)
            if item.orelse:
                lines.append(f"{pad}else:")
                _write(item.orelse, depth + 1, lines)
        elif isinstance(item, For):
            lines.append(f"{pad}for {item.target} in {text}:")
            _write(item.body, depth + 1, lines)
        else:
            lines.append(f"{pad}while {text}:")
            _write(item.body, depth + 1, lines)


def in_range(value: Any) -> bool:
    """Whether a value is small enough for the language (ints to 99, 6 items, 8 characters)."""
    if isinstance(value, int):
        return -MAX_INT <= value <= MAX_INT
    if isinstance(value, str):
        return len(value) <= MAX_CHARS
    if isinstance(value, dict):
        return len(value) <= MAX_ITEMS and all(in_range(item) for item in value.values())
    return len(value) <= MAX_ITEMS and all(in_range(item) for item in value)


_COMPILED: dict[str, Any] = {}


def _evaluate(text: str, env: Mapping[str, Any]) -> Any:
    code = _COMPILED.get(text)
    if code is None:
        if len(_COMPILED) > 200_000:
            _COMPILED.clear()
        code = _COMPILED[text] = compile(text, "<generated>", "eval")
    return eval(code, {"__builtins__": BUILTINS, **env})


class Run:
    """Executes statements on concrete values and records every step."""

    def __init__(self, env: dict[str, Any], limit: int = MAX_EVENTS):
        self.env = env
        self.limit = limit
        self.events: list[Event] = []

    def value(self, item: Statement) -> tuple[str, str, Any]:
        """A statement's expression as text, the same with values for names, and its value."""
        source = item.template.format(**{name: name for name in item.operands})
        shown = item.template.format(**{name: repr(self.env[name]) for name in item.operands})
        try:
            value = _evaluate(source, self.env)
        except (IndexError, KeyError, ValueError, TypeError, ZeroDivisionError) as error:
            raise GenerationError(str(error)) from None
        return source, shown, value

    def note(self, kind: str, target: str, source: str, shown: str, value: Any) -> None:
        """Record one step; a run of more than `limit` fails."""
        self.events.append(Event(kind, target, source, shown, value))
        if len(self.events) > self.limit:
            raise GenerationError("too long")

    def block(self, body: Sequence[Statement]) -> None:
        """Execute statements in order."""
        for item in body:
            source, shown, value = self.value(item)
            if isinstance(item, Assign):
                if not in_range(value):
                    raise GenerationError("out of range")
                self.env[item.target] = value
                self.note("assign", item.target, source, shown, value)
            elif isinstance(item, If):
                self.note("if", "", source, shown, bool(value))
                self.block(item.body if value else item.orelse)
            elif isinstance(item, For):
                rest = list(value)
                for index in range(len(rest) + 1):
                    left: Any = rest[index:]
                    left = "".join(left) if isinstance(value, str) else left
                    self.note("for", item.target, source, repr(left), left)
                    if index < len(rest):
                        self.env[item.target] = rest[index]
                        self.block(item.body)
            else:
                while True:
                    source, shown, value = self.value(item)
                    self.note("while", "", source, shown, bool(value))
                    if not value:
                        break
                    self.block(item.body)


def execute(program: Program, args: Sequence[Any]) -> tuple[Any, list[Event]]:
    """Run a generated program; returns its value and the steps taken.

    Raises:
        GenerationError: it raised, ran too long, or left the range of small values.
    """
    run = Run(dict(zip(program.parameters, args, strict=True)), most_events(program.band))
    run.block(program.body)
    return run.env[program.result], run.events
