"""The graded suites of the second seedling, from like the corpus to unlike it.

- `near`: the grammar's bands 1 to 5, new programs.
- `middle`: programs with a pair of constructs that the corpus never shows together (bands 2 to 4),
  and programs that are longer than any of the corpus (bands 6 and 7).
- `far`: functions written by hand, with names as people write them, that keep to the language.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from random import Random

from redqueen.environments.code.environment import CodeEnvironment
from redqueen.environments.code.handwritten import exercises
from redqueen.environments.code.tasks import written_task
from redqueen.environments.code.traced import BEYOND, GenerationError, TraceError, trace_call
from redqueen.environments.code.traced.cases import bands_of, draw_case
from redqueen.environments.code.traced.messages import full_message
from redqueen.rng import derive_seed
from redqueen.types import Task

SUITES = ("near", "middle", "far")
FAR_CHARS = 1000
"""Longest trace of a task of `far`, in characters."""


def _generated(
    code: CodeEnvironment, kind: str, bands: tuple[int, ...], held_out: bool, rng: Random
) -> Iterator[Task]:
    """Endless tasks of a kind, bands in turn."""
    turn = 0
    while True:
        band = bands[turn % len(bands)]
        try:
            case = draw_case(kind, band, code.config.code_f_inputs, rng, held_out)
        except GenerationError:
            continue
        turn += 1
        task = written_task(code.name, kind, case.program, case.runs, case.message)
        yield replace(task, features={**task.features, "band": float(band)})


def near(code: CodeEnvironment, kind: str, seed: int) -> Iterator[Task]:
    """Tasks of the grammar."""
    rng = Random(derive_seed(seed, "near", kind))
    return _generated(code, kind, bands_of(kind), False, rng)


def middle(code: CodeEnvironment, kind: str, seed: int) -> Iterator[Task]:
    """Tasks of unseen pairs of constructs and of unseen lengths, in turn; `code_f`: only pairs."""
    rng = Random(derive_seed(seed, "middle", kind))
    if kind == "code_f":
        yield from _generated(code, kind, bands_of(kind), True, rng)
    pairs = _generated(code, kind, (2, 3, 4), True, rng)
    longer = _generated(code, kind, BEYOND, False, rng)
    while True:
        yield next(pairs)
        yield next(longer)


@dataclass(frozen=True, slots=True)
class Handwritten:
    """A function by a person, as `f`, and calls with their values."""

    program: str
    message: str
    cases: tuple[tuple[str, str], ...]


def handwritten() -> list[Handwritten]:
    """The exercises that keep to the language, with the names that their authors gave."""
    chosen = []
    folder = files("redqueen.environments.code").joinpath("exercises")
    programs = {}
    for path in folder.iterdir():
        if path.name.endswith(".py"):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.FunctionDef):
                    name = node.name
                    programs[name] = _as_f(node)
    for item in exercises():
        source = programs[item.name]
        try:
            runs = [trace_call(source, ast.literal_eval(f"({args},)")) for args, _ in item.cases]
        except TraceError:
            continue
        if max(len(run.text) for run in runs) <= FAR_CHARS:
            chosen.append(Handwritten(source, full_message(source), item.cases))
    return chosen


def _as_f(function: ast.FunctionDef) -> str:
    """The text of a function without its docstring, named `f`, recursive calls included."""
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and node.id == function.name:
            node.id = "f"
    function.name, function.body = "f", function.body[1:]
    return ast.unparse(function)


def far(code: CodeEnvironment, kind: str, seed: int) -> Iterator[Task]:
    """Tasks of hand-written functions; ends when each call was asked for once."""
    items = handwritten()
    Random(derive_seed(seed, "far", kind)).shuffle(items)
    if kind == "code_f":
        for item in items:
            cases = item.cases[: code.config.code_f_inputs]
            yield written_task(code.name, kind, item.program, cases, item.message)
        return
    for place in range(max(len(item.cases) for item in items)):
        for item in items:
            if place < len(item.cases):
                case = item.cases[place : place + 1]
                yield written_task(code.name, kind, item.program, case, item.message)


SOURCES: dict[str, Callable[[CodeEnvironment, str, int], Iterator[Task]]] = {
    "near": near, "middle": middle, "far": far,
}  # fmt: skip
