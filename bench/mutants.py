"""Programs with one change in their syntax tree, and what plain CPython says of them.

The reference for verdicts is on purpose another program than ours: it runs everything in a fork of
this process, compares Python's own objects, and has an alarm as its timer, as EvalPlus has.
"""

import ast
import contextlib
import copy
import io
import os
import random
import resource
import signal
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from redqueen.benchmarks.evalplus import EvalPlus

SECONDS = 60
_COMPARISONS = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
                ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn}  # fmt: skip
_OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Mod: ast.FloorDiv,
              ast.FloorDiv: ast.Mod, ast.Div: ast.Mult}  # fmt: skip


def _changed(node: ast.AST) -> ast.AST | None:
    """Return a node with another meaning; None if there is no change for its kind."""
    new = copy.deepcopy(node)
    match new:
        case ast.Compare(ops=[operator, *rest]) if type(operator) in _COMPARISONS:
            new.ops = [_COMPARISONS[type(operator)](), *rest]
        case ast.BinOp(op=operator) if type(operator) in _OPERATORS:
            new.op = _OPERATORS[type(operator)]()
        case ast.BoolOp(op=operator):
            new.op = ast.Or() if isinstance(operator, ast.And) else ast.And()
        case ast.Constant(value=bool(value)):
            new.value = not value
        case ast.Constant(value=int(value)):
            new.value = value + 1
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return operand
        case _:
            return None
    return new


class _Change(ast.NodeTransformer):
    def __init__(self, place: int) -> None:
        self.place, self.seen = place, 0

    def visit(self, node: ast.AST) -> Any:
        changed = _changed(node)
        if changed is not None:
            self.seen += 1
            if self.seen - 1 == self.place:
                return changed
        return self.generic_visit(node)


def of(program: str, count: int, seed: str) -> list[str]:
    """Return up to `count` programs with one change each."""
    tree = ast.parse(program)
    counter = _Change(-1)
    counter.visit(copy.deepcopy(tree))
    places = random.Random(seed).sample(range(counter.seen), min(count, counter.seen))
    return [
        ast.unparse(ast.fix_missing_locations(_Change(place).visit(copy.deepcopy(tree))))
        for place in places
    ]


def plain_verdicts(
    benchmark: EvalPlus, rows: Mapping[str, Mapping[str, Any]], jobs: Sequence[tuple[str, str]]
) -> list[bool]:
    """Return whether each (task id, program) passes base and plus tests."""
    return [_in_a_fork(benchmark, rows[task], program) for task, program in jobs]


def _in_a_fork(benchmark: EvalPlus, row: Mapping[str, Any], program: str) -> bool:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
            signal.alarm(10 * SECONDS)
            with contextlib.redirect_stdout(io.StringIO()):
                status = 0 if _passes(benchmark, row, program) else 1
        except BaseException:
            status = 1
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1] == 0


def _passes(benchmark: EvalPlus, row: Mapping[str, Any], program: str) -> bool:
    scopes: list[dict[str, Any]] = [{}, {}]
    for scope, source in zip(scopes, (benchmark.canonical(row), program), strict=True):
        exec(compile(source, "<program>", "exec"), scope)
    solution, candidate = (scope[row["entry_point"]] for scope in scopes)
    for which in ("base", "plus"):
        tolerance = row["atol"]
        for arguments in benchmark.inputs(row, which):
            expected = solution(*copy.deepcopy(arguments))
            value = candidate(*copy.deepcopy(arguments))
            entry = row["entry_point"]
            if benchmark.reports.get(entry) == "not_none":
                if (value if isinstance(value, bool) else value is not None) != (
                    expected is not None
                ):
                    return False
                continue
            if benchmark.reports.get(entry) == "set":
                value, expected = set(value), set(expected)
            oracle = benchmark.oracles.get(entry)
            said = oracle(arguments, value, expected, tolerance) if oracle else None
            if said is not None:
                if not said:
                    return False
                continue
            if tolerance == 0 and _floats(expected):
                tolerance = 1e-6
            if value != expected and (
                tolerance == 0
                or type(value) is not type(expected)
                or not np.allclose(value, expected, rtol=1e-7, atol=tolerance)
            ):
                return False
    return True


def _floats(value: Any) -> bool:
    items = value if isinstance(value, list | tuple) else [value]
    return bool(items) and all(isinstance(item, float) for item in items)
