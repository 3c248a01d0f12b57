"""The account of what members did, and that it survives a checkpoint with every bit."""

import json
from dataclasses import replace

import pytest

from redqueen.evolution import Activity, BehaviourLog, step_activity
from redqueen.evolution.behaviour import IDLE, total
from redqueen.types import Completion, Proposal, Rejection, Request, Rollout, Task, Verdict, user

REQUEST = Request(0, user("x"), 1)
TEXT = Completion(0, (1,), (2,), (-0.1,), "", True)


def task(number: int, kind: str, depth: float) -> Task:
    return Task(f"t{number}", "code", kind, {}, {"ast_depth": depth}, 0)


def proposal(teacher: int, kind: str, outcome: Task | Rejection) -> Proposal:
    return Proposal(1, 0, teacher, kind, (), REQUEST, TEXT, outcome)


def rollout(student: int, verdict: Verdict, partial_score: float | None = None) -> Rollout:
    return Rollout(
        1, 0, student, "t0", "code_f", 0, "g", REQUEST, TEXT, verdict, partial_score=partial_score
    )


PROPOSALS = [
    proposal(0, "code_o", task(0, "code_o", 3.0)),
    proposal(0, "code_o", task(1, "code_o", 3.0)),
    proposal(0, "code_i", task(2, "code_i", 5.5)),
    proposal(0, "code_i", Rejection("syntax", malformed=True)),
    proposal(0, "code_i", Rejection("infra_error", malformed=False, infra=True)),
    proposal(5, "code_f", Rejection("trivial", malformed=False)),
]
REWARDS = (0.25, 0.0, 0.75, -1.0, None, -0.5)
ROLLOUTS = [
    rollout(3, Verdict.CORRECT),
    rollout(3, Verdict.WRONG, 0.5),
    rollout(3, Verdict.MALFORMED),
    rollout(3, Verdict.INFRA_ERROR),
    rollout(0, Verdict.WRONG),
]


def cell(task: Task) -> str:
    return f"{task.kind}:{int(task.features['ast_depth'])}"


def test_a_step_is_counted_member_by_member() -> None:
    assert step_activity(PROPOSALS, REWARDS, ROLLOUTS, cell) == {
        0: Activity(
            proposals=4,
            reward=0.0,
            attempts=1,
            cells={"code_i:5": 1, "code_o:3": 2},
            verdicts={"code_f": {"wrong": 1}},
        ),
        5: Activity(proposals=1, reward=-0.5),
        3: Activity(
            attempts=3,
            solved=1.5,
            verdicts={"code_f": {"correct": 1, "malformed": 1, "wrong": 1}},
        ),
    }
    assert step_activity([], [], [], cell) == {}


def test_the_generation_and_the_window_are_two_accounts() -> None:
    log = BehaviourLog(window=2)
    one = Activity(attempts=1, solved=1.0, verdicts={"code_o": {"correct": 1}})
    for step in range(1, 5):
        log.add({7: one, 8: one} if step % 2 else {7: one})
    assert log.since_generation(7) == total([one] * 4)
    assert log.since_generation(8).attempts == 2
    assert (log.recent(7).attempts, log.recent(8).attempts) == (2, 1)
    log.begin_generation([8, 9])
    assert log.since_generation(8) == log.since_generation(9) == IDLE
    assert log.recent(8) == one
    # Member 7 is dead: nothing of it is left.
    assert log.recent(7) == IDLE
    assert "7" not in json.dumps(log.state()["recent"])


def test_state_survives_json_and_goes_on_with_the_same_bits() -> None:
    whole, resumed = BehaviourLog(3), BehaviourLog(3)
    third = Activity(proposals=1, reward=1 / 3, verdicts={"code_o": {"wrong": 2}}, cells={"a": 1})
    for _ in range(4):
        whole.add({1: third, 2: replace(third, reward=0.1)})
    resumed.restore(json.loads(json.dumps(whole.state())))
    for log in (whole, resumed):
        log.add({1: third})
    assert resumed.state() == whole.state()
    assert resumed.since_generation(1) == whole.since_generation(1)
    assert resumed.since_generation(1).reward == pytest.approx(5 / 3)
    assert resumed.recent(2).reward == 0.1 + 0.1
