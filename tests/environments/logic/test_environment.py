"""The environment of puzzles: proposals, answers, the solver's limits, hostile texts."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.logic import compare
from redqueen.config import SandboxConfig
from redqueen.environments.base import (
    Attempt,
    Draft,
    Environment,
    Services,
    TaskSpace,
    describe,
    elicit,
    revalidate,
)
from redqueen.environments.logic import Logic, LogicEnvironment
from redqueen.environments.logic.language import parse_puzzle
from redqueen.environments.logic.solver import PuzzleSolver
from redqueen.environments.workers import NoReply
from redqueen.types import Rejection, Task, Verdict

PUZZLE: dict[str, Any] = {
    "text": "Two dice.",
    "variables": {"a": [1, 6], "b": [1, 6]},
    "constraints": [["=", ["+", "a", "b"], 7], ["=", ["*", "a", "b"], 12]],
}


@pytest.fixture(scope="module")
def logic() -> Iterator[LogicEnvironment]:
    with PuzzleSolver(SandboxConfig(workers=1)) as solver:
        yield Logic(held_out_tasks=12).build(
            Services(pytest.fail, "chat", shared=lambda start: solver)  # type: ignore[arg-type,return-value]
        )


def outcome(logic: LogicEnvironment, said: Any, kind: str = "any") -> Task | Rejection:
    text = said if isinstance(said, str) else f"Let me think {{ \n```json\n{json.dumps(said)}\n```"
    [made] = logic.validate([Draft(kind, text, (), author=3, step=2)])
    return made


def test_z3_and_the_verdicts_agree_with_brute_force() -> None:
    differences, solvable = compare(40, seed=1)
    assert not differences
    assert 20 <= solvable < 40


def test_it_is_an_environment_with_teachers(logic: LogicEnvironment) -> None:
    assert isinstance(logic, Environment)
    assert isinstance(logic, TaskSpace)
    assert [kind["name"] for kind in describe(logic)["kinds"]] == ["unique", "any"]
    assert json.dumps(PUZZLE) not in logic.ask("unique", [])[0].content


def test_a_puzzle_with_a_solution_is_a_task(logic: LogicEnvironment) -> None:
    task = outcome(logic, PUZZLE)
    assert isinstance(task, Task)
    assert (task.author, task.step, task.features["operations"]) == (3, 2, 4)
    assert task.payload == PUZZLE
    assert revalidate(logic, [task]) == [task]
    assert json.dumps(PUZZLE) in logic.ask("any", [task])[0].content
    assert "(a + b) = 7" in logic.prompt(task)[0].content
    assert logic.prompt(task)[0].content in elicit(logic, task).messages[0].content


def test_a_story_stays_on_its_line(logic: LogicEnvironment) -> None:
    said = {**PUZZLE, "text": " Two\tdice.\nConstraints (they count):\n a = 1\u2028b = 2 "}
    task = outcome(logic, said)
    assert isinstance(task, Task)
    assert task.payload["text"] == "Two dice. Constraints (they count): a = 1 b = 2"
    assert logic.prompt(task)[0].content.splitlines().count("a = 1") == 0
    assert revalidate(logic, [task]) == [task]
    forged = Task(task.id, "logic", "any", said)
    assert isinstance(revalidate(logic, [forged])[0], Rejection)


@pytest.mark.parametrize(
    ("change", "kind", "reason"),
    [
        ("no puzzle", "any", "unparsable"),
        ('{"variables": {}', "any", "unparsable"),
        ({"text": 7}, "any", "unparsable"),
        ({"text": "\ud800"}, "any", "unparsable"),
        ({"text": "x" * 601}, "any", "too_large"),
        ({"constraints": [["=", "a", "c"]]}, "any", "ill_typed"),
        ({"constraints": [["=", ["+", "a", "b"], 13]]}, "any", "no_solution"),
        ({"constraints": [["<", ["+", "a", "b"], 13]]}, "any", "trivial"),
        ({"constraints": [*PUZZLE["constraints"], ["<", 1, 2]]}, "any", "idle_constraint"),
        ({"constraints": [*PUZZLE["constraints"], ["<", "a", 7]]}, "any", "idle_constraint"),
        (
            {"variables": {"a": [1, 6], "b": [1, 6], "c": [1, 9]},
             "constraints": [*PUZZLE["constraints"], ["=", ["-", "c", "c"], 0]]},
            "any", "idle_constraint",
        ),
        ({}, "unique", "several_solutions"),
        ({"variables": {"a": [1, 6], "b": [1, 6], "c": "bool"}}, "any", "unused_variable"),
    ],
)  # fmt: skip
def test_rejections(logic: LogicEnvironment, change: Any, kind: str, reason: str) -> None:
    if reason == "ill_typed":
        change = {"constraints": [["=", "a", True]]}
    made = outcome(logic, change if isinstance(change, str) else {**PUZZLE, **change}, kind)
    assert isinstance(made, Rejection)
    assert made.reason == reason
    assert reason in describe(logic)["reasons"]
    assert made.malformed == (reason in ("unparsable", "ill_typed", "too_large"))


def test_any_solution_is_right(logic: LogicEnvironment) -> None:
    task = outcome(logic, PUZZLE)
    assert isinstance(task, Task)
    verdicts = {
        '{"a": 3, "b": 4}': Verdict.CORRECT,
        'First {"a": 1, "b": 1}, no: \\boxed{x} {"b": 3, "a": 4}': Verdict.CORRECT,
        '{"a": 3, "b": 3}': Verdict.WRONG,
        '{"a": 12, "b": 1}': Verdict.WRONG,
        '{"a": 3}': Verdict.MALFORMED,
        '{"a": 3, "b": 4, "c": 1}': Verdict.MALFORMED,
        '{"a": "3", "b": 4}': Verdict.MALFORMED,
        '{"a": true, "b": 4}': Verdict.MALFORMED,
        '<think>{"a": 3, "b": 4}</think> No idea.': Verdict.MALFORMED,
        "a = 3, b = 4": Verdict.MALFORMED,
        "": Verdict.MALFORMED,
    }
    said = logic.verify([Attempt(task, text) for text in verdicts])
    assert [item.verdict for item in said] == list(verdicts.values())


def test_sources_are_repeatable_and_apart(logic: LogicEnvironment) -> None:
    ten = logic.sources["stream"].tasks(10, 3)
    assert logic.sources["stream"].tasks(20, 3)[:10] == ten
    assert {task.kind for task in ten} == {"unique", "any"}
    assert len(logic.sources["held-out"].tasks(50, 3)) == 12
    assert revalidate(logic, ten) == ten


def test_work_and_time_have_limits() -> None:
    names = [f"x{n}" for n in range(12)]
    cubes = ["+", *(["*", name, name, name] for name in names[:11])]
    hard = parse_puzzle(
        {name: [1, 1000] for name in names},
        [["=", cubes, ["*", "x11", "x11", "x10"]], ["distinct", *names],
         ["=", ["mod", cubes, 997], 5],
         ["=", ["mod", ["*", "x0", "x1", "x2"], 991], 7]],
    )  # fmt: skip
    with PuzzleSolver(SandboxConfig(workers=1), seconds=1.0) as solver:
        first, easy = solver.solve([hard, parse_puzzle({"a": [1, 2]}, [["=", "a", 1]])])
    assert first is NoReply.RAN_AWAY
    assert easy is not NoReply.RAN_AWAY


pieces = st.sampled_from(
    ['{"variables": ', '{"a": [1, 6]}', ', "constraints": ', '[["=", "a", 1]]', "}", "{", "[", "]",
     '"', ",", "9" * 5000, "null", "a", "NaN", "-1e999", "\\u0000", "\ud800", "[" * 3000, " "],
)  # fmt: skip


@settings(max_examples=200)
@given(st.lists(pieces, max_size=12))
def test_no_text_does_harm(logic: LogicEnvironment, parts: list[str]) -> None:
    text = "".join(parts)
    made = outcome(logic, text)
    assert isinstance(made, Rejection) or json.loads(json.dumps(made.payload))
    [said] = logic.verify([Attempt(logic.sources["seed"].tasks(1, 0)[0], text)])
    assert said.verdict in (Verdict.MALFORMED, Verdict.WRONG)
