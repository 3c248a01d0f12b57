"""What HumanEval+ and MBPP+ share: EvalPlus' files, inputs, tolerances and special oracles.

The verdict follows EvalPlus 0.3.1 (Liu et al., arXiv 2305.01210). The released solution runs on the
same inputs, in the jail; a completion is right if it agrees on all of them. What differs from the
package: values arrive as literals, so an object with its own `__eq__` equals nothing, time is
processor time, a process gets 2 GiB, and numpy cannot be imported.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from redqueen.benchmarks.base import Benchmark, BenchmarkEnvironment, Row
from redqueen.benchmarks.calls import Calls, Ending, Report, run_calls
from redqueen.benchmarks.programs import function_program
from redqueen.environments.base import Attempt, Verification
from redqueen.errors import InfrastructureError
from redqueen.sandbox import literals_equal
from redqueen.sandbox.cpython import CPythonSandbox
from redqueen.sandbox.literals import parse_literal
from redqueen.types import Messages, Task, Verdict, user

TIME_FACTOR, LEAST_SECONDS = 4.0, 1.0
"""A call may take four times what the released solution takes, and a second at least."""
LONGEST_SECONDS = 60.0
"""A completion's calls together."""
RELATIVE_TOLERANCE = 1e-7
FLOAT_TOLERANCE = 1e-6
"""Absolute tolerance from the first expected float on, where the task has none."""
_CANONICAL_SECONDS = 30.0
_ROOM_BYTES = 1 << 20
_TEXT_CHARS = 1 << 20
_MOST_BYTES = 1 << 27

Oracle = Callable[[Sequence[Any], Any, Any, float], bool | None]
"""(arguments, value, expected value, tolerance) -> whether it is right; None: compare."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the released solution returns: a canonical literal and seconds for each input."""

    texts: tuple[str, ...]
    seconds: tuple[float, ...]


class EvalPlus(Benchmark):
    """Write a function; base and plus tests. A verdict is `correct` if it passes both."""

    solve_tokens: ClassVar[int] = 1024
    metrics: ClassVar[tuple[str, ...]] = ("base",)
    oracles: ClassVar[Mapping[str, Oracle]] = {}
    """Entry point -> what decides in place of the comparison."""
    reports: ClassVar[Mapping[str, Literal["set", "not_none"]]] = {}
    """Entry point -> what is compared in place of the value."""

    def key(self, row: Row, number: int) -> str:
        """Return the number of EvalPlus' id, as in `HumanEval/0`."""
        return str(row["task_id"]).rpartition("/")[2]

    def payload(self, row: Row) -> dict[str, Any]:
        """Return id, prompt and entry point; the tests stay in the file."""
        return {name: row[name] for name in ("task_id", "prompt", "entry_point")}

    def inputs(self, row: Row, which: Literal["base", "plus"]) -> list[Any]:
        """Return the lists of arguments of the base or the plus tests."""
        arguments: list[Any] = row[f"{which}_input"]
        return arguments

    def canonical(self, row: Row) -> str:
        """Return the released solution."""
        return f"{row['prompt']}{row['canonical_solution']}"

    def programs(self, row: Row) -> tuple[str, ...]:
        """Return the released solution."""
        return (self.canonical(row),)

    def prompt(self, task: Task) -> Messages:
        """Return EvalPlus' instruction for chat models, with the problem in a fenced block."""
        return user(
            "Please provide a self-contained Python script that solves the following problem in a "
            f"markdown code block:\n```\n{task.payload['prompt'].strip()}\n```\n"
        )

    def verify(
        self, attempts: Sequence[Attempt], environment: BenchmarkEnvironment
    ) -> list[Verification]:
        """Run every distinct program on base and plus inputs."""
        programs = [
            function_program(a.text, a.task.payload["prompt"], a.task.payload["entry_point"])
            for a in attempts
        ]
        keys = [(a.task.id, program) for a, program in zip(attempts, programs, strict=True)]
        jobs = list(dict.fromkeys(key for key in keys if key[1] is not None))
        results = self.grade([(task, program or "") for task, program in jobs], environment)
        verified = dict(zip(jobs, results, strict=True))
        return [verified.get(key, Verification(Verdict.MALFORMED)) for key in keys]

    def grade(
        self, jobs: Sequence[tuple[str, str]], environment: BenchmarkEnvironment
    ) -> list[Verification]:
        """Return the verification of each (task id, program)."""
        expected = self.expected([task for task, _ in jobs], environment)
        rows = [environment.rows[task] for task, _ in jobs]
        calls = [
            self._calls(row, program, expected[task])
            for row, (task, program) in zip(rows, jobs, strict=True)
        ]
        jail = environment.services.shared(CPythonSandbox)
        endings = run_calls(jail, calls, LONGEST_SECONDS)
        return [
            self._verification(row, program, expected[task], made)
            for row, (task, program), made in zip(rows, jobs, endings, strict=True)
        ]

    def expected(
        self, tasks: Sequence[str], environment: BenchmarkEnvironment
    ) -> dict[str, Expected]:
        """Return what the released solutions return for all inputs, base before plus.

        Raises:
            InfrastructureError: one of them does not get through: the file or the jail is broken.
        """
        known: dict[str, Expected] = environment.memo
        missing = [task for task in dict.fromkeys(tasks) if task not in known]
        jail = environment.services.shared(CPythonSandbox)
        rows = [environment.rows[task] for task in missing]
        calls = [self._calls(row, self.canonical(row), None) for row in rows]
        for task, job, made in zip(missing, calls, run_calls(jail, calls), strict=True):
            if len(made) < len(job.arguments) or any(item.kind != "value" for item in made):
                last = next((item for item in made if item.kind != "value"), made[-1])
                raise InfrastructureError(f"the released solution of {task} failed: {last}")
            known[task] = Expected(
                tuple(item.text for item in made), tuple(item.seconds for item in made)
            )
        return {task: known[task] for task in tasks}

    def _calls(self, row: Row, program: str, expected: Expected | None) -> Calls:
        arguments = [*self.inputs(row, "base"), *self.inputs(row, "plus")]
        entry_point = row["entry_point"]
        report: Report = self.reports.get(entry_point, "value")
        if expected is None:
            seconds = [_CANONICAL_SECONDS] * len(arguments)
            return Calls(program, entry_point, arguments, seconds, report, _MOST_BYTES)
        seconds = [max(LEAST_SECONDS, TIME_FACTOR * item) for item in expected.seconds]
        room = 2 * sum(len(text) for text in expected.texts) + _ROOM_BYTES
        return Calls(program, entry_point, arguments, seconds, report, room)

    def _verification(
        self, row: Row, program: str, expected: Expected, made: Sequence[Ending]
    ) -> Verification:
        if any(item.kind == "infra_error" for item in made):
            return Verification(Verdict.INFRA_ERROR, program)
        right = self.passed(row, expected, made)
        base = all(right[: len(row["base_input"])])
        verdict = Verdict.CORRECT if all(right) else Verdict.WRONG
        return Verification(verdict, program, metrics={"base": float(base)})

    def passed(self, row: Row, expected: Expected, made: Sequence[Ending]) -> list[bool]:
        """Return for each input whether the call ended as the released solution's."""
        arguments = [*self.inputs(row, "base"), *self.inputs(row, "plus")]
        oracle, right = self.oracles.get(row["entry_point"]), []
        tolerance, first_plus = row["atol"], len(row["base_input"])
        for number, (args, text) in enumerate(zip(arguments, expected.texts, strict=True)):
            if number == first_plus:
                tolerance = row["atol"]
            ending = made[number] if number < len(made) else Ending("stopped")
            if tolerance == 0 and text[:1] in "-0123456789[(" and _is_floats(_value(text)[1]):
                tolerance = FLOAT_TOLERANCE
            if ending.kind != "value":
                right.append(False)
            elif oracle is None and ending.text == text:
                right.append(True)
            else:
                right.append(_agrees(oracle, args, ending.text, text, tolerance))
        return right


def _value(text: str) -> tuple[bool, Any]:
    return parse_literal(text, _TEXT_CHARS)


def _agrees(
    oracle: Oracle | None, args: Sequence[Any], text: str, expected: str, tolerance: float
) -> bool:
    read, value = _value(text)
    stated, answer = _value(expected)
    if not (read and stated):
        return text == expected
    try:
        said = oracle(args, value, answer, tolerance) if oracle else None
    except (TypeError, ValueError, OverflowError, AttributeError):
        return False
    return _close(value, answer, tolerance) if said is None else said


def _is_floats(value: Any) -> bool:
    if isinstance(value, list | tuple) and value:
        return all(isinstance(item, float) for item in value)
    return isinstance(value, float)


def _close(value: Any, answer: Any, tolerance: float) -> bool:
    """Return whether two values are equal, or close where a tolerance is set."""
    if literals_equal(value, answer):
        return True
    if tolerance == 0 or type(value) is not type(answer):
        return False
    if isinstance(answer, list | tuple) and len(value) != len(answer):
        return False
    try:
        return bool(np.allclose(value, answer, rtol=RELATIVE_TOLERANCE, atol=tolerance))
    except (TypeError, ValueError, OverflowError):
        return False


def polynomial(coefficients: Sequence[float], x: float) -> float:
    """Return the value of a polynomial at x, the constant coefficient first."""
    return sum(c * math.pow(x, power) for power, c in enumerate(coefficients))
