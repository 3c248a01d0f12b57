"""The account of what members did, and that it survives a checkpoint with every bit."""

import json
from dataclasses import replace

import pytest

from redqueen.evolution import Activity, Chronicle, step_activity
from redqueen.evolution.activity import IDLE, total
from redqueen.types import Completion, Proposal, Rejection, Rollout, Task, Verdict

TEXT = Completion(0, (1,), (2,), (-0.1,), "", True)


def task(number: int, kind: str, depth: float) -> Task:
    return Task(f"t{number}", "code", kind, {}, {"ast_depth": depth}, 0)


def proposal(teacher: int, kind: str, outcome: Task | Rejection, reward: float | None) -> Proposal:
    return Proposal(1, 0, teacher, kind, (), TEXT, outcome, reward)


def rollout(student: int, verdict: Verdict, share: float | None = None) -> Rollout:
    return Rollout(1, 0, student, "t0", "code_f", 0, TEXT, verdict, share=share)


PROPOSALS = [
    proposal(0, "code_o", task(0, "code_o", 3.0), 0.25),
    proposal(0, "code_o", task(1, "code_o", 3.0), 0.0),
    proposal(0, "code_i", task(2, "code_i", 5.5), 0.75),
    proposal(0, "code_i", Rejection("syntax", malformed=True), -1.0),
    proposal(0, "code_i", Rejection("infra_error", malformed=False, infra=True), None),
    proposal(5, "code_f", Rejection("trivial", malformed=False), -0.5),
]
ROLLOUTS = [
    rollout(3, Verdict.CORRECT),
    rollout(3, Verdict.WRONG, share=0.5),
    rollout(3, Verdict.MALFORMED),
    rollout(3, Verdict.INFRA_ERROR),
    rollout(0, Verdict.WRONG),
]


def cell(task: Task) -> str:
    return f"{task.kind}:{int(task.features['ast_depth'])}"


def test_a_step_is_counted_member_by_member() -> None:
    assert step_activity(PROPOSALS, ROLLOUTS, cell) == {
        0: Activity(
            proposals=4,
            reward=0.0,
            attempts=1,
            kinds={"code_i": 2, "code_o": 2},
            cells={"code_i:5": 1, "code_o:3": 2},
            features={"ast_depth": 11.5},
            verdicts={"code_f/wrong": 1},
        ),
        5: Activity(proposals=1, reward=-0.5, kinds={"code_f": 1}),
        3: Activity(
            attempts=3,
            solved=1.5,
            verdicts={"code_f/correct": 1, "code_f/malformed": 1, "code_f/wrong": 1},
        ),
    }
    assert step_activity([], [], cell) == {}


def test_the_generation_and_the_window_are_two_accounts() -> None:
    chronicle = Chronicle(window=2)
    one = Activity(attempts=1, solved=1.0, verdicts={"code_o/correct": 1})
    for step in range(1, 5):
        chronicle.add({7: one, 8: one} if step % 2 else {7: one})
    assert chronicle.since_generation(7) == total([one] * 4)
    assert chronicle.since_generation(8).attempts == 2
    assert (chronicle.recent(7).attempts, chronicle.recent(8).attempts) == (2, 1)
    chronicle.begin_generation([8, 9])
    assert chronicle.since_generation(8) == chronicle.since_generation(9) == IDLE
    assert chronicle.recent(8) == one
    # Member 7 is dead: nothing of it is left.
    assert chronicle.recent(7) == IDLE
    assert "7" not in json.dumps(chronicle.state()["recent"])


def test_state_survives_json_and_goes_on_with_the_same_bits() -> None:
    whole, resumed = Chronicle(3), Chronicle(3)
    third = Activity(proposals=1, reward=1 / 3, features={"x": 0.1}, cells={"a": 1})
    for _ in range(4):
        whole.add({1: third, 2: replace(third, reward=0.1)})
    resumed.restore(json.loads(json.dumps(whole.state())))
    for chronicle in (whole, resumed):
        chronicle.add({1: third})
    assert resumed.state() == whole.state()
    assert resumed.since_generation(1) == whole.since_generation(1)
    assert resumed.since_generation(1).reward == pytest.approx(5 / 3)
    assert resumed.recent(2).reward == 0.1 + 0.1
