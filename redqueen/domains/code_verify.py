"""Verdicts of the code domain: what must run for an answer, and what its outcomes mean."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redqueen.domains.base import Judgement
from redqueen.domains.code_ast import runnable
from redqueen.domains.code_reasons import MALFORMED_REASONS
from redqueen.domains.code_texts import is_output, known_output
from redqueen.sandbox import (
    Call,
    Outcome,
    OutcomeKind,
    literals_equal,
    parse_arguments,
    parse_literal,
)
from redqueen.types import Task, Verdict

_known_arguments = functools.lru_cache(4096)(parse_arguments)
"""For the inputs of tasks, which every attempt meets again. The values are not to be changed."""


def call_of(program: str, args: tuple[Any, ...]) -> Call:
    """A call of a program that has passed the policy, which leaves it nothing that has a state."""
    return Call(program, "f", args, stateless=True)


@dataclass(frozen=True, slots=True)
class Plan:
    """Calls whose values must equal the expected texts; one wrong value makes it wrong."""

    answer: str
    calls: tuple[Call, ...]
    expected: tuple[str, ...]

    def judge(self, outcomes: Sequence[Outcome]) -> Judgement:
        """All outcomes right: correct. An infrastructure error: no verdict."""
        if any(outcome.kind is OutcomeKind.INFRA_ERROR for outcome in outcomes):
            return Judgement(Verdict.INFRA_ERROR, self.answer)
        right = sum(
            outcome.kind is OutcomeKind.VALUE
            and (outcome.text == expected or is_output(outcome.text, expected))
            for outcome, expected in zip(outcomes, self.expected, strict=True)
        )
        score = right / len(self.expected)
        return Judgement(Verdict.CORRECT if score == 1 else Verdict.WRONG, self.answer, score)


def plan_verdict(task: Task, answer: str | None, max_chars: int) -> Plan | Judgement:
    """What must run for a verdict, or the verdict itself if nothing must."""
    payload = task.payload
    if answer is None or len(answer) > max_chars:
        return Judgement(Verdict.MALFORMED)
    if task.kind == "code_o":
        known, value = parse_literal(answer)
        if not known:
            return Judgement(Verdict.MALFORMED)
        right = literals_equal(value, known_output(payload["output"])[0])
        return Judgement(Verdict.CORRECT if right else Verdict.WRONG, answer, float(right))
    if task.kind == "code_i":
        args = parse_arguments(answer, payload["arity"])
        if args is None:
            return Judgement(Verdict.MALFORMED)
        return Plan(answer, (call_of(payload["program"], args),), (payload["output"],))
    source, fault = runnable(answer, max_chars)
    if fault:
        verdict = Verdict.MALFORMED if fault in MALFORMED_REASONS else Verdict.WRONG
        return Judgement(verdict, answer if verdict is Verdict.WRONG else None)
    calls, expected = [], []
    for text, output in payload["hidden"]:
        args = _known_arguments(text, payload["arity"])
        if args is None:
            raise ValueError(f"task {task.id} holds an unreadable input {text!r}")
        calls.append(call_of(source, args))
        expected.append(output)
    return Plan(answer, tuple(calls), tuple(expected))
