"""Benchmarks stay out of training: programs but for names and constants, problems but for looks."""

from typing import Any

import pytest
from benchmarks.conftest import Open

from redqueen.benchmarks.contamination import BenchmarkTasks
from redqueen.types import Task

CRUX = {
    "id": "sample_0",
    "code": "def f(xs, n):\n    out = []\n    for x in xs:\n        out.append(x + 3 * n)\n"
    "    return out",
    "input": "[1], 2",
    "output": "[7]",
}


def task(**payload: Any) -> Task:
    return Task("t", "code", "code_o", payload)


@pytest.mark.parametrize(
    ("program", "kept_out"),
    [
        (CRUX["code"], True),
        ("def f(a, b):\n    r = []\n    for i in a:\n"
         "        r.append(i + 5 * b)\n    return r", True),
        ("import math\ndef f(a, b):\n    '''Say.'''\n    r = []\n    for i in a:\n"
         "        r.append(i + 3 * b)\n    return r", True),
        ("def f(a, b):\n    r = []\n    for i in a:\n"
         "        r.append(i - 3 * b)\n    return r", False),
        ("def f(a):\n    return a", False),
        ("def f(", False),
    ],
)  # fmt: skip
def test_programs_of_a_benchmark_are_known(program: str, kept_out: bool, written: Open) -> None:
    source = BenchmarkTasks([written("cruxeval-o", CRUX).benchmark])
    assert (source.key(task(program=program)) is not None) == kept_out


def test_problems_of_a_benchmark_are_known(written: Open) -> None:
    row = {"id": 1, "problem": "Find $x$ if $2x = 8$.", "answer": "4"}
    source = BenchmarkTasks([written("aime24", row).benchmark])
    assert source.key(task(problem="find x, if 2x = 8")) is not None
    assert source.key(task(problem="find x, if 2x = 9")) is None


def test_the_entry_point_has_any_name(written: Open) -> None:
    row = {
        "task_id": "HumanEval/900", "prompt": "def fib(n: int) -> int:\n    '''Doc.'''\n",
        "entry_point": "fib", "base_input": [], "plus_input": [], "atol": 0,
        "canonical_solution": "    if n < 2:\n        return n\n"
        "    return fib(n - 1) + fib(n - 2)\n",
    }  # fmt: skip
    source = BenchmarkTasks([written("humaneval+", row).benchmark])
    program = "def f(k):\n    if k < 2:\n        return k\n    return f(k - 1) + f(k - 2)"
    assert source.key(task(program=program)) is not None
