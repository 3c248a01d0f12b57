"""The corpus: every document is right, and none has changed since the seedling was trained."""

import hashlib
import re
from itertools import islice
from random import Random

import pytest

from recipes.seedling.corpus import (
    BANDS,
    INPUTS,
    MIXES,
    Document,
    backward_trace,
    blurred_message,
    documents,
    forward_trace,
    make_document,
)
from redqueen.environments.base import Attempt, Draft, Services
from redqueen.environments.code.config import Code
from redqueen.environments.code.generator import generate_program
from redqueen.environments.code.program import Program, execute
from redqueen.environments.code.styles import ANSWER
from redqueen.sandbox import Call, Outcome, OutcomeKind, render_literal
from redqueen.types import Task, Verdict, user

GOLDEN = "a880e1de20513ba9df9bb6f790629441"
"""Of the first 300 documents of seed 7: the language that the shipped seedling was taught."""


@pytest.fixture(scope="module")
def first() -> list[Document]:
    return list(islice(documents(7), 300))


def test_the_language_of_the_seedling_does_not_change(first: list[Document]) -> None:
    digest = hashlib.blake2b(digest_size=16)
    for item in first:
        digest.update(repr((item.kind, item.band, item.prompt, item.completion)).encode())
    assert digest.hexdigest() == GOLDEN


def test_documents_spread_over_kinds_and_bands(first: list[Document]) -> None:
    for mix in MIXES.values():
        assert sum(mix.kinds.values()) == pytest.approx(1)
    assert sum(BANDS.values()) == pytest.approx(1)
    assert {item.kind for item in first} == set(MIXES["learn"].kinds)
    assert {item.band for item in first} == set(BANDS)
    assert all(item.band <= 3 for item in first if item.kind.endswith("_f"))


class _CPython:
    """Runs trusted programs in this process, as a sandbox would."""

    def run(self, calls: list[Call]) -> list[Outcome]:
        return [self._one(call) for call in calls]

    def _one(self, call: Call) -> Outcome:
        scope: dict[str, object] = {}
        exec(call.code, scope)
        text = render_literal(scope[call.function](*call.args))
        return Outcome(OutcomeKind.VALUE, text=text)


GUARDS = ("huge_constant", "leak", "lookup")
"""Not `constant`: some generated programs are, and it runs inputs on which they may raise."""
CODE = Code(code_f_inputs=INPUTS, guards=GUARDS).build(Services(_CPython, "seedling"))
BASE = Task("t", "code", "code_o", {"program": "def f(a):\n    return a", "arity": 1})


def test_solutions_are_correct_and_proposals_valid(first: list[Document]) -> None:
    for item in first:
        if item.kind == "propose":
            [made] = CODE.validate([Draft("code_o", item.completion, (), None, 0)])
            assert isinstance(made, Task), (item, made)
        elif item.kind == "propose_f":
            program = item.prompt.removeprefix("<propose_f>\n").removesuffix(f"\n{ANSWER}")
            base = Task("t", "code", "code_o", {"program": program, "arity": 1})
            [made] = CODE.validate([Draft("code_f", item.completion, (base,), None, 0)])
            assert isinstance(made, Task), (item, made)
        else:
            task = _task(item)
            assert CODE.prompt(task) == user(item.prompt)
            [judged] = CODE.verify([Attempt(task, item.completion)])
            assert judged.verdict is Verdict.CORRECT, item


def _task(item: Document) -> Task:
    """The task that a solving document's prompt poses."""
    kind = f"code_{item.kind[-1]}"
    body = item.prompt.removeprefix(f"<{kind}>\n").removesuffix("\n<think>\n")
    if kind == "code_f":
        message, shown = body.removeprefix("<message>\n").split("\n<examples>\n")
        examples = [line.split(" -> ") for line in shown.split("\n")]
        arity = item.completion.split("def f(")[1].split(")")[0].count(",") + 1
        payload = {"arity": arity, "message": message, "examples": examples, "hidden": examples}
    else:
        program, rest = body.split("\n<input>\n" if kind == "code_o" else "\n<output>\n")
        arity = program.split(")")[0].count(",") + 1
        payload = {"program": program, "arity": arity}
        if kind == "code_i":
            payload["output"] = rest
        else:
            scope: dict[str, object] = {}
            exec(program, scope)
            payload |= {"input": rest, "output": repr(eval(f"f({rest})", scope))}
    return Task("t", "code", kind, payload)


def _runs(count: int) -> list[tuple[Program, tuple[object, ...]]]:
    rng = Random(2)
    return [generate_program(1 + index % 5, rng) for index in range(count)]


def test_a_forward_trace_holds_true_equations_in_order_and_ends_with_the_output() -> None:
    for program, args in _runs(150):
        value, events = execute(program, args)
        lines = forward_trace(events).splitlines()
        assert len(lines) == len(events)
        for line, event in zip(lines, events, strict=True):
            if event.kind == "assign":
                target, *sides = line.split(" = ")
                assert target == event.target
                assert {repr(eval(side)) for side in sides} == {repr(event.value)}
                assert len(sides) == 1 + (event.shown != repr(event.value))
            elif event.kind == "for":
                assert line == f"for {event.target} in {event.value!r}"
            else:
                condition, outcome = line.removeprefix(event.kind).rsplit(" = ", 1)
                assert eval(condition) is (outcome == "True") is event.value
        last = [line for line in lines if line.startswith(f"{program.result} = ")][-1]
        assert last.endswith(repr(value))


def test_a_backward_trace_starts_at_the_output_and_holds_what_it_needs() -> None:
    for program, args in _runs(150):
        value, events = execute(program, args)
        lines = backward_trace(program, events).splitlines()
        assert lines[0].startswith(f"{value!r} = ")
        assigned = [event for event in events if event.kind == "assign"]
        expected = [f"{event.value!r} = {event.source}" for event in reversed(assigned)]
        remaining = iter(expected)
        assert all(line in remaining for line in lines), "not in reverse order of the run"
        if all(item.__class__.__name__ == "Assign" for item in program.body):
            needed = {program.result}
            for item in reversed(program.body):
                if item.target in needed:
                    needed.update(item.operands)
            assert len(lines) == sum(item.target in needed for item in program.body)


def test_a_blurred_message_is_part_of_the_message() -> None:
    program, _ = generate_program(3, Random(0))
    messages = {blurred_message(program, Random(seed)) for seed in range(60)}
    assert {"none", program.message} < messages
    for message in messages - {"none"}:
        kept = iter(program.operations)
        assert all(name in kept for name in re.split(", ", message))


def test_make_document_is_deterministic() -> None:
    for kind in MIXES["learn"].kinds:
        assert make_document(kind, 2, Random(1)) == make_document(kind, 2, Random(1))


@pytest.mark.parametrize("stage", ["anneal", "finish"])
def test_late_stages_leave_traces_out_the_more_the_harder(stage: str) -> None:
    hasty: dict[int, list[bool]] = {band: [] for band in BANDS}
    for item in islice(documents(11, MIXES[stage]), 1500):
        if item.kind in ("solve_o", "solve_i"):
            hasty[item.band].append(item.completion.startswith(ANSWER))
    shares = MIXES[stage].haste
    assert shares is not None
    for band, found in hasty.items():
        sigma = (shares[band] * (1 - shares[band]) / len(found)) ** 0.5
        assert abs(sum(found) / len(found) - shares[band]) < 4 * sigma
