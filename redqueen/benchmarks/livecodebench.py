"""LiveCodeBench: problems of programming contests by date (Jain et al., arXiv 2403.07974).

Rows are as released in `livecodebench/code_generation_lite`; `since` and `until` choose a window of
contest dates. Prompt and verdict follow its code generation scenario: all public and private tests
must pass. Private tests may be base64 of zlib of a pickle of JSON text. That pickle comes from
outside, so it is read by an unpickler that knows no class and no function, and must give a text.
"""

import base64
import io
import json
import pickle
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, NoReturn

from redqueen.benchmarks.base import Benchmark, BenchmarkEnvironment, Hub, Row
from redqueen.benchmarks.calls import MEMORY_MB, Calls, run_calls
from redqueen.benchmarks.programs import code_blocks
from redqueen.environments.base import Attempt, Verification
from redqueen.errors import ConfigError
from redqueen.sandbox import OutcomeKind, literals_equal, parse_literal
from redqueen.sandbox.cpython import CPythonSandbox
from redqueen.sandbox.script import Script, ScriptOutcome
from redqueen.types import Message, Messages, Task, Verdict

SECONDS = 6.0
"""Processor time of one test."""
LARGEST_BYTES = 1 << 28
"""Private tests that unpack to more are refused."""
_TEXT_CHARS = 1 << 24
_OUTPUT_BYTES = 1 << 22
_IMPORTS = (
    "from string import *\nfrom re import *\nfrom datetime import *\nfrom collections import *\n"
    "from heapq import *\nfrom bisect import *\nfrom copy import *\nfrom math import *\n"
    "from random import *\nfrom statistics import *\nfrom itertools import *\n"
    "from functools import *\nfrom operator import *\nfrom io import *\nfrom sys import *\n"
    "from json import *\nfrom builtins import *\nfrom typing import *\n"
    "import string, re, datetime, collections, heapq, bisect, copy, math, random, statistics\n"
    "import itertools, functools, operator, io, sys, json\nsys.setrecursionlimit(50000)\n"
)
"""What the benchmark puts before every program."""


@dataclass(frozen=True, slots=True)
class Case:
    """One test: what goes in, as arguments by lines or as standard input, and what comes out."""

    input: str
    output: str


class LiveCodeBench(Benchmark):
    """Write a program that reads standard input, or a method, and passes all tests."""

    since: date = date(2024, 8, 1)
    """First contest date."""
    until: date = date(2025, 5, 1)
    """Last contest date."""

    label: ClassVar[str] = "livecodebench"
    title: ClassVar[str] = "LiveCodeBench"
    file: ClassVar[str] = "livecodebench.jsonl"
    hub: ClassVar[Hub | None] = Hub("livecodebench/code_generation_lite")
    solve_tokens: ClassVar[int] = 2048

    def rows(self) -> list[Row]:
        """Return the rows whose contest lies in the window.

        Raises:
            ConfigError: there are none, or they cannot be read.
        """
        rows = super().rows()
        chosen = [row for row in rows if self.since <= _day(row["contest_date"]) <= self.until]
        if not chosen:
            raise ConfigError(f"livecodebench: no contest from {self.since} to {self.until}")
        return chosen

    def key(self, row: Row, number: int) -> str:
        """Return the id of the question."""
        return str(row["question_id"])

    def payload(self, row: Row) -> dict[str, Any]:
        """Return question and starter code; the tests stay in the file."""
        return {
            "question": row["question_content"],
            "starter_code": row["starter_code"],
            "platform": row["platform"],
            "difficulty": row["difficulty"],
            "contest_date": str(_day(row["contest_date"])),
        }

    def prompt(self, task: Task) -> Messages:
        """Return the benchmark's generic prompt for chat models."""
        question, starter = task.payload["question"], task.payload["starter_code"]
        how = (
            "You will use the following starter code to write the solution to the problem and "
            "enclose your code within delimiters."
            if starter
            else "Read the inputs from stdin solve the problem and write the answer to stdout (do "
            "not directly test on the sample inputs). Enclose your code within delimiters as "
            "follows."
        )
        system = (
            "You are an expert Python programmer. You will be given a question (problem "
            "specification) and will generate a correct Python program that matches the "
            "specification and passes all tests. You will NOT return anything except for the "
            "program."
        )
        text = (
            f"### Question:\n{question}\n\n### Format: {how}\n"
            f"```python\n{starter or '# YOUR CODE HERE'}\n```\n\n"
            "### Answer: (use the provided format with backticks)\n\n"
        )
        return (Message("system", system), Message("user", text))

    def verify(
        self, attempts: Sequence[Attempt], environment: BenchmarkEnvironment
    ) -> list[Verification]:
        """Run each program on its tests, until one fails."""
        jail = environment.services.shared(CPythonSandbox)
        verified: dict[int, Verification] = {}
        functions: dict[int, tuple[str, str, Sequence[Case]]] = {}
        streams: dict[int, tuple[str, Iterator[Case]]] = {}
        for number, attempt in enumerate(attempts):
            blocks = code_blocks(attempt.text)
            if not blocks:
                verified[number] = Verification(Verdict.MALFORMED)
                continue
            row, program = environment.rows[attempt.task.id], blocks[-1]
            name, tests = json.loads(row["metadata"] or "{}").get("func_name"), tests_of(row)
            if name:
                functions[number] = (program, name, tests)
            else:
                streams[number] = (program, iter(tests))
        verified |= _call(jail, functions) | _pipe(jail, streams)
        return [verified[number] for number in range(len(attempts))]


def tests_of(row: Row) -> list[Case]:
    """Return the public and the private tests of a row.

    Raises:
        ConfigError: the private tests are not what the benchmark releases.
    """
    private = row["private_test_cases"]
    try:
        cases = json.loads(row["public_test_cases"])
        cases += json.loads(private if private.lstrip()[:1] == "[" else unpacked(private))
        return [Case(case["input"], case["output"]) for case in cases]
    except (ValueError, KeyError, TypeError, zlib.error, pickle.UnpicklingError) as error:
        raise ConfigError(
            f"livecodebench: tests of {row['question_id']} cannot be read: {error}"
        ) from None


def unpacked(packed: str) -> str:
    """Return the text in base64 of zlib of a pickle.

    Raises:
        ValueError, zlib.error, pickle.UnpicklingError: it is not that, or holds anything else.
    """
    unzip = zlib.decompressobj()
    data = unzip.decompress(base64.b64decode(packed, validate=True), LARGEST_BYTES)
    if unzip.unconsumed_tail:
        raise ValueError(f"more than {LARGEST_BYTES} bytes")
    try:
        text = _TextOnly(io.BytesIO(data)).load()
    except (EOFError, IndexError, KeyError, AttributeError, TypeError, OverflowError) as error:
        raise pickle.UnpicklingError(f"a broken pickle: {error}") from None
    if not isinstance(text, str):
        raise pickle.UnpicklingError(f"a pickled {type(text).__name__}, not a text")
    return text


class _TextOnly(pickle.Unpickler):
    """Reads plain values; whatever would import a name is refused before anything is called."""

    def find_class(self, module: str, name: str) -> NoReturn:
        """Refuse."""
        raise pickle.UnpicklingError(f"a pickle that wants {module}.{name}")

    def persistent_load(self, pid: Any) -> NoReturn:
        """Refuse."""
        raise pickle.UnpicklingError("a pickle that refers to something outside")


def _day(value: Any) -> date:
    """Return the day of a contest, released as text or as a time."""
    return date.fromisoformat(str(value)[:10])


def _call(
    jail: CPythonSandbox, jobs: dict[int, tuple[str, str, Sequence[Case]]]
) -> dict[int, Verification]:
    """Return the verdicts on programs whose function or method is called."""
    calls = []
    for program, name, tests in jobs.values():
        path = f"Solution.{name}" if "class Solution" in program else name
        arguments = [[json.loads(line) for line in test.input.split("\n")] for test in tests]
        calls.append(
            Calls(
                f"{_IMPORTS}\n{program}",
                path,
                arguments,
                [SECONDS] * len(tests),
                output_bytes=_OUTPUT_BYTES,
            )
        )
    verified = {}
    for (number, (program, _, tests)), made in zip(
        jobs.items(), run_calls(jail, calls), strict=True
    ):
        right = len(made) == len(tests) and all(
            ending.kind == "value" and _returned(ending.text, test.output)
            for ending, test in zip(made, tests, strict=True)
        )
        lost = any(ending.kind == "infra_error" for ending in made)
        verified[number] = _verification(right, lost, program)
    return verified


def _returned(text: str, expected: str) -> bool:
    """Return whether a value is the expected JSON; a tuple stands for a list at the top."""
    read, value = parse_literal(text, _TEXT_CHARS)
    value = list(value) if isinstance(value, tuple) else value
    return read and literals_equal(value, json.loads(expected))


def _pipe(
    jail: CPythonSandbox, jobs: dict[int, tuple[str, Iterator[Case]]]
) -> dict[int, Verification]:
    """Return the verdicts on programs that read standard input: one test of each at a time."""
    verified: dict[int, Verification] = {}
    while len(verified) < len(jobs):
        going: list[tuple[int, str, Case]] = []
        for number, (program, tests) in jobs.items():
            if number in verified:
                continue
            test = next(tests, None)
            if test is None:
                verified[number] = _verification(True, False, program)
            else:
                going.append((number, program, test))
        outcomes = jail.run_scripts([_script(program, test) for _, program, test in going])
        for (number, program, test), outcome in zip(going, outcomes, strict=True):
            if outcome.kind is OutcomeKind.INFRA_ERROR:
                verified[number] = _verification(False, True, program)
            elif not _printed(outcome, test.output):
                verified[number] = _verification(False, False, program)
    return verified


def _script(program: str, test: Case) -> Script:
    files = {"main.py": f"{_IMPORTS}\n{program}"}
    return Script(
        files,
        stdin=test.input,
        max_output=_OUTPUT_BYTES,
        seconds=SECONDS,
        memory_mb=MEMORY_MB,
    )


def _printed(outcome: ScriptOutcome, expected: str) -> bool:
    """Return whether a program printed the expected lines; lines of numbers agree by value."""
    if outcome.kind is not OutcomeKind.VALUE or outcome.status != 0:
        return False
    lines, right = (
        [line.strip() for line in text.strip().split("\n")] for text in (outcome.output, expected)
    )
    return len(lines) == len(right) and all(
        a == b or _same_numbers(a, b) for a, b in zip(lines, right, strict=True)
    )


def _same_numbers(line: str, expected: str) -> bool:
    try:
        numbers = [Decimal(part) for part in line.split()]
        return numbers == [Decimal(part) for part in expected.split()]
    except InvalidOperation:  # no number, or one that compares with none (`sNaN`)
        return False


def _verification(right: bool, lost: bool, program: str) -> Verification:
    verdict = Verdict.INFRA_ERROR if lost else Verdict.CORRECT if right else Verdict.WRONG
    return Verification(verdict, program)
