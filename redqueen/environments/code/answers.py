"""Verdicts on answers: what must run for one, and what its outcomes mean."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redqueen.environments.base import Verification
from redqueen.environments.code.analysis import runnable, state_of
from redqueen.environments.code.reading import (
    asserted_call,
    parameters_of,
    read_arguments,
    read_value,
)
from redqueen.environments.code.reasons import MALFORMED_REASONS
from redqueen.environments.code.texts import TOLERANCE, expected_output, is_output
from redqueen.sandbox import (
    Call,
    Outcome,
    OutcomeKind,
    literals_equal,
    parse_arguments,
)
from redqueen.types import Task, Verdict

MALFORMED = Verification(Verdict.MALFORMED, partial_score=0.0)
_task_arguments = functools.lru_cache(4096)(parse_arguments)
"""For the inputs of tasks, which every attempt needs again. Do not change the values."""


def calls_of(program: str, inputs: Iterable[tuple[Any, ...]]) -> list[Call]:
    """Return calls of a task's program."""
    state = state_of(program)
    return [Call(program, "f", args, state) for args in inputs]


@dataclass(frozen=True, slots=True)
class Check:
    """Calls whose values must equal the expected texts; one wrong value makes the answer wrong."""

    answer: str
    calls: Sequence[Call]
    expected: Sequence[str]

    def verdict(self, outcomes: Sequence[Outcome]) -> Verification:
        """Return `correct` if all outcomes are right; no verdict where the sandbox failed, or lacks
        what the answer uses."""
        right = 0
        for outcome, expected in zip(outcomes, self.expected, strict=True):
            if outcome.kind is OutcomeKind.VALUE:
                right += outcome.text == expected or is_output(outcome.text, expected)
            elif outcome.kind in (OutcomeKind.INFRA_ERROR, OutcomeKind.UNSUPPORTED):
                return Verification(Verdict.INFRA_ERROR, self.answer)
        score = right / len(self.expected)
        return Verification(Verdict.CORRECT if score == 1 else Verdict.WRONG, self.answer, score)


def check_answer(task: Task, answer: str | None, max_chars: int) -> Check | Verification:
    """Return what must run for a verdict, or the verdict itself if nothing must."""
    payload = task.payload
    if answer is None or len(answer) > max_chars:
        return MALFORMED
    if task.kind == "code_o":
        readable, value = read_value(answer)
        if not readable:
            return MALFORMED
        right = literals_equal(value, expected_output(payload["output"])[0], TOLERANCE)
        right = right and _is_of_input(answer, payload)
        return Verification(Verdict.CORRECT if right else Verdict.WRONG, answer, float(right))
    if task.kind == "code_i":
        given = read_arguments(answer)
        if given is None:
            return MALFORMED
        args = given.bind(parameters_of(payload["program"]))
        if args is None:
            return Verification(Verdict.WRONG, answer, 0.0)
        return Check(answer, calls_of(payload["program"], [args]), [payload["output"]])
    program = runnable(answer, max_chars)
    if isinstance(program, str):
        malformed = program in MALFORMED_REASONS
        return MALFORMED if malformed else Verification(Verdict.WRONG, answer, 0.0)
    inputs = []
    for text, _ in payload["hidden"]:
        args = _task_arguments(text, payload["arity"])
        if args is None:
            raise ValueError(f"task {task.id} holds an unreadable input {text!r}")
        inputs.append(args)
    expected = [output for _, output in payload["hidden"]]
    calls = [Call(program.source, "f", args, program.state) for args in inputs]
    return Check(answer, calls, expected)


def _is_of_input(answer: str, payload: Mapping[str, Any]) -> bool:
    """Whether an answer is about the task's call: `f(3) == 4` says nothing of `f(2)`."""
    given = asserted_call(answer) if "(" in answer else None
    if given is None:
        return True
    args = given.bind(parameters_of(payload["program"]))
    posed = _task_arguments(payload["input"], payload["arity"])
    return args is not None and posed is not None and literals_equal(list(args), list(posed))
