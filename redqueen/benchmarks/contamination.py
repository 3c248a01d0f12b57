"""Keeping benchmarks out of training: a proposed task that gives one of theirs is rejected."""

import ast
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from redqueen.benchmarks.base import Benchmark
from redqueen.environments.code.normal_form import normal_form
from redqueen.look_alikes import folded
from redqueen.sandbox import parse_module
from redqueen.types import Task

_FAILURES = (SyntaxError, ValueError, MemoryError, RecursionError)


class BenchmarkTasks:
    """A `KeyedSource` of all tasks of some benchmarks.

    A task is known by its `program` or its `problem`: by the form of any of the program's
    functions, whatever names and constants it uses, or by the letters and digits of the problem.
    """

    def __init__(self, benchmarks: Sequence[Benchmark]) -> None:
        self._benchmarks = benchmarks

    @cached_property
    def _all(self) -> frozenset[str]:
        return frozenset(
            form
            for benchmark in self._benchmarks
            for row in benchmark.rows()
            for form in (
                *_text_forms(benchmark.payload(row)),
                *(form for program in benchmark.programs(row) for form in _forms(program)),
            )
        )

    def tasks(self, count: int, seed: int) -> list[Task]:
        """Return none: benchmarks are measured as environments of their own."""
        return []

    def key(self, task: Task) -> str | None:
        """Return a form of the task that a benchmark has too; None if there is none."""
        program = task.payload.get("program")
        forms = (*_text_forms(task.payload), *_forms(program if isinstance(program, str) else ""))
        return next((form for form in forms if form in self._all), None)

    def keys(self, count: int, seed: int) -> frozenset[str]:
        """Return the forms of all tasks, however many."""
        return self._all


def _forms(program: str) -> Iterator[str]:
    """Yield the forms of a program's functions."""
    try:
        tree = parse_module(program)
    except _FAILURES:
        return
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            name = node.name
            for part in ast.walk(node):
                if isinstance(part, ast.Name) and part.id == name:
                    part.id = "f"
            node.name = "f"
            yield normal_form(ast.Module([node], []), keep_constants=False)


def _text_forms(payload: Mapping[str, Any]) -> Iterator[str]:
    problem = payload.get("problem")
    if isinstance(problem, str):
        plain = "".join(filter(str.isalnum, folded(problem)))
        yield hashlib.blake2b(plain.encode(), digest_size=12).hexdigest()
