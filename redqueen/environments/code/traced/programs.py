"""Random programs of the language with a difficulty dial, each with an input and a worked run.

Programs come from the grammar, never from a model. They are run by walking their syntax tree
(`trace.py`); the tests compare those runs with CPython's.
"""

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from redqueen.environments.code.language import GenerationError
from redqueen.environments.code.traced.constructs import held_out_pairs
from redqueen.environments.code.traced.expressions import Scope
from redqueen.environments.code.traced.statements import Writer
from redqueen.environments.code.traced.trace import trace_call
from redqueen.environments.code.traced.trace_lines import Trace, TraceError
from redqueen.environments.code.traced.values import random_value
from redqueen.sandbox.differences import difference

BANDS = (1, 2, 3, 4, 5)
EXPRESSION = 0
"""The band of functions that return one expression: no corpus has them."""
BEYOND = (6, 7)
"""Longer and deeper than band 5: no corpus has them."""
_TRIES = 2000
_TIDY = 0.75
"""Share of programs from which statements that do nothing for the value are taken out."""
_PROBES = 5
"""Other inputs on which a program runs: most must return, and not all of them the same value."""


@dataclass(frozen=True, slots=True)
class Dial:
    """What a band allows: statements, nesting of blocks, depth of expressions, executed lines."""

    statements: tuple[int, int]
    nesting: int
    depth: int
    steps: tuple[int, int]
    chars: int
    """Longest trace in characters; about 2 of them make a token."""
    helper: float
    """Chance of a helper function."""


DIALS = {
    EXPRESSION: Dial((0, 0), 0, 2, (2, 3), 240, 0.0),
    1: Dial((1, 2), 1, 1, (3, 6), 300, 0.05),
    2: Dial((2, 4), 1, 2, (4, 11), 340, 0.12),
    3: Dial((3, 6), 2, 2, (7, 16), 480, 0.15),
    4: Dial((5, 8), 2, 3, (11, 24), 640, 0.15),
    5: Dial((6, 11), 3, 3, (17, 34), 740, 0.2),
    6: Dial((8, 14), 3, 3, (26, 48), 900, 0.2),
    7: Dial((11, 18), 3, 3, (33, 64), 1040, 0.2),
}
_PARAMETERS = {"int": 0.38, "ints": 0.27, "str": 0.17, "strs": 0.06, "pair": 0.03, "table": 0.06,
               "bool": 0.03}  # fmt: skip
_RESULTS = {"int": 0.42, "ints": 0.22, "str": 0.2, "bool": 0.07, "strs": 0.05, "pair": 0.03,
            "table": 0.01}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Program:
    """A program with one input and its run. `source` is laid out as `ast.unparse` does."""

    band: int
    source: str
    types: tuple[str, ...]
    """Types of the parameters of `f`."""
    args: tuple[Any, ...]
    trace: Trace


def draw_program(
    band: int, rng: Random, held_out: bool = False, results: Collection[str] = ()
) -> Program:
    """A program of a band with an input; its value depends on its input.

    `held_out` asks for a program with a pair of constructs of `HELD_OUT_PAIRS`; otherwise it has
    none of them. `results` are the types that its value may have, any if there are none. No list or
    table changes while it is read, where the sandboxes differ.

    Raises:
        GenerationError: many draws led nowhere.
    """
    dial = DIALS[band]
    weights = {kind: weight for kind, weight in _RESULTS.items() if not results or kind in results}
    for _ in range(_TRIES * (5 if held_out else 1)):
        source, types = _draw_source(dial, rng, weights)
        if held_out and not held_out_pairs(source):
            continue
        for _ in range(2):
            args = tuple(random_value(kind, rng) for kind in types)
            trace = _run(source, args, dial.steps[1])
            if trace is None or len(trace.lines) < dial.steps[0]:
                continue
            probes = [args, *([random_value(kind, rng) for kind in types] for _ in range(_PROBES))]
            if not _depends_on_input(source, probes):
                continue
            if band in BANDS and rng.random() < _TIDY:
                source = without_idle_statements(source, probes)
                trace = _run(source, args, dial.steps[1])
            if trace is None or not _fits(dial, trace):
                continue
            if bool(held_out_pairs(source)) is held_out and difference(source, args) is None:
                return Program(band, source, types, args, trace)
    raise GenerationError(f"no program of band {band}")


def more_inputs(
    program: Program, count: int, rng: Random, tries: int = 12
) -> list[tuple[tuple[Any, ...], Any]]:
    """`count` inputs with values, none twice, the program's own first, not all values alike.

    Raises:
        GenerationError: too few inputs run through.
    """
    runs = {repr(program.args): (program.args, program.trace.value)}
    for _ in range(count * tries):
        args = tuple(random_value(kind, rng) for kind in program.types)
        trace = _run(program.source, args, DIALS[program.band].steps[1] + 8)
        if trace is not None:
            runs.setdefault(repr(args), (args, trace.value))
        if len(runs) == count:
            break
    if len(runs) < count or len({repr(value) for _, value in runs.values()}) == 1:
        raise GenerationError("too few inputs")
    return list(runs.values())


def copied(args: Sequence[Any]) -> list[Any]:
    """The arguments anew: a program may change its lists and tables in place."""
    return [value.copy() if isinstance(value, list | dict) else value for value in args]


def _run(source: str, args: Sequence[Any], steps: int) -> Trace | None:
    try:
        return trace_call(source, copied(args), steps)
    except TraceError:
        return None


def _fits(dial: Dial, trace: Trace) -> bool:
    return dial.steps[0] <= len(trace.lines) and len(trace.text) <= dial.chars


def _values(source: str, probes: Sequence[Sequence[Any]]) -> Iterator[str | None]:
    """The value for each input as text, None where there is none."""
    traces = (_run(source, args, 80) for args in probes)
    return (None if trace is None else repr(trace.value) for trace in traces)


def _depends_on_input(source: str, probes: Sequence[Sequence[Any]]) -> bool:
    """Whether most inputs have a value, and not all of them the same one."""
    values = [value for value in _values(source, probes) if value is not None]
    return len(set(values)) > 1 and 2 * len(values) > len(probes)


def without_idle_statements(source: str, probes: Sequence[Sequence[Any]]) -> str:
    """The program without the outermost statements of `f` that change no value on the inputs, and
    without a helper that is not called then."""
    expected = list(_values(source, probes))
    tree = ast.parse(source)
    body = tree.body[-1].body  # type: ignore[attr-defined]
    for place in reversed(range(len(body) - 1)):
        statement = body.pop(place)
        values = _values(ast.unparse(tree), probes)
        if any(value != before for value, before in zip(values, expected, strict=True)):
            body.insert(place, statement)
    return ast.unparse(_called_functions(tree))


def _called_functions(tree: ast.Module) -> ast.Module:
    """The module without a helper that `f`, its last function, does not name."""
    *helpers, f = tree.body
    named = {node.id for node in ast.walk(f) if isinstance(node, ast.Name)}
    kept = [node for node in helpers if isinstance(node, ast.FunctionDef) and node.name in named]
    return ast.Module([*kept, f], [])


def _draw_source(
    dial: Dial, rng: Random, results: Mapping[str, float]
) -> tuple[str, tuple[str, ...]]:
    """A program and the types of its parameters; nobody has run it yet.

    `results` has the weights of the types that its value may have.
    """
    scope = Scope({})
    texts = []
    if rng.random() < dial.helper:
        texts.append(draw_helper(scope, rng))
    count = rng.choice((1, 1, 1, 2, 2, 2, 3))
    types = tuple(rng.choices(list(_PARAMETERS), list(_PARAMETERS.values()), k=count))
    scope.types = {scope.new_name(rng): kind for kind in types}
    head = f"def f({', '.join(scope.types)}):"
    result = rng.choices(list(results), list(results.values()))[0]
    nesting = dial.nesting if dial.statements[1] > 2 or rng.random() < 0.5 else 0
    length = rng.randint(*dial.statements)
    writer = Writer(rng, scope, length, nesting, dial.depth, result, frozenset(results))
    texts.append("\n".join([head, *writer.body()]))
    return ast.unparse(_called_functions(ast.parse("\n".join(texts)))), types


def draw_helper(scope: Scope, rng: Random) -> str:
    """A helper function; it is put into the scope."""
    kinds = ("int", "int", "int", "str", "ints")
    types = tuple(rng.choice(kinds) for _ in range(rng.choice((1, 1, 2))))
    result = rng.choice(kinds)
    name = scope.new_name(rng)
    inner = Scope({scope.new_name(rng): kind for kind in types}, {}, scope.taken)
    head = f"def {name}({', '.join(inner.types)}):"
    writer = Writer(rng, inner, rng.choice((0, 0, 1, 2)), rng.choice((0, 0, 1)), 1, result)
    text = "\n".join([head, *writer.body()])
    scope.helpers[name] = (types, writer.result)
    return text
