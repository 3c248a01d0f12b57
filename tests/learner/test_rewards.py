from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redqueen.config import LearnerConfig
from redqueen.learner import (
    TEACHER_REWARDS,
    make_trajectories,
    solve_rate,
    student_reward,
    teacher_reward,
)
from redqueen.types import (
    Completion,
    Member,
    Proposal,
    Rejection,
    Role,
    Rollout,
    Task,
    Trajectory,
    Verdict,
)

CONFIG = LearnerConfig()
TASK = Task("t1", "code", "code_o", {})
C, W, M, X = Verdict.CORRECT, Verdict.WRONG, Verdict.MALFORMED, Verdict.INFRA_ERROR


def test_student_rewards() -> None:
    assert [student_reward(v, CONFIG) for v in (C, W, M, X)] == [1.0, -0.5, -1.0, None]
    mild = LearnerConfig(student_wrong_reward=0.0, malformed_reward=-0.25)
    assert [student_reward(v, mild) for v in (C, W, M)] == [1.0, 0.0, -0.25]
    assert [student_reward(W, CONFIG, share) for share in (0.0, 0.5)] == [-0.5, 0.25]
    assert student_reward(X, CONFIG, 0.5) is None
    assert student_reward(M, CONFIG, 0.5) == -1.0
    assert student_reward(C, CONFIG, 0.5) == 1.0


def test_solve_rate_counts_no_failure_of_ours() -> None:
    assert solve_rate([C, W, M, C]) == 0.5
    assert solve_rate([C, X, X, W]) == 0.5
    assert solve_rate([X, X]) is None
    assert solve_rate([]) is None
    assert solve_rate([W, C, X], [0.25, 1.0, 1.0]) == 0.625


@pytest.mark.parametrize(
    ("outcome", "rate", "reward"),
    [
        (TASK, 0.0, 0.0),
        (TASK, 0.125, 0.875),
        (TASK, 1.0, 0.0),
        (TASK, None, None),
        (Rejection("syntax", malformed=True), None, -1.0),
        (Rejection("random", malformed=False), None, -0.5),
        (Rejection("sandbox", malformed=False, infra=True), None, None),
    ],
)
def test_teacher_rewards(outcome: Task | Rejection, rate: float | None, reward: float) -> None:
    assert teacher_reward(outcome, rate, CONFIG) == reward


EIGHTHS = [i / 8 for i in range(9)]
TABLES = {
    "one_minus": [0.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0],
    "azr": [0.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0],
    "variance": [0.0, 0.4375, 0.75, 0.9375, 1.0, 0.9375, 0.75, 0.4375, 0.0],
}
"""Of the solve rates 0, 1/8 ... 1; multiples of a power of two, so exact."""


@pytest.mark.parametrize("name", TEACHER_REWARDS)
def test_teacher_rewards_of_a_valid_task(name: str) -> None:
    config = LearnerConfig(teacher_reward=name)
    assert [teacher_reward(TASK, s, config) for s in EIGHTHS] == TABLES[name]
    assert teacher_reward(TASK, None, config) is None
    assert teacher_reward(Rejection("syntax", malformed=True), None, config) == -1.0
    assert teacher_reward(Rejection("random", malformed=False), None, config) == -0.5


def test_the_registry_is_what_the_configuration_accepts() -> None:
    accepted = LearnerConfig.model_fields["teacher_reward"].annotation
    assert set(get_args(accepted)) == set(TEACHER_REWARDS) == set(TABLES)


@given(st.floats(0.0, 1.0))
def test_teacher_rewards_stay_in_the_unit_interval_and_azr_is_one_minus(s: float) -> None:
    assert all(0.0 <= reward(s) <= 1.0 for reward in TEACHER_REWARDS.values())
    assert TEACHER_REWARDS["azr"](s) == TEACHER_REWARDS["one_minus"](s)


def completion(slot: int, tokens: tuple[int, ...] = (5, 6)) -> Completion:
    return Completion(slot, (1, 2), tokens, (-0.5,) * len(tokens), "x", True)


MEMBERS = (
    Member(7, 0, (Role.TEACHER,), 25.0, 8.0),
    Member(9, 1, (Role.STUDENT,), 25.0, 8.0),
)


def test_trajectories_are_what_has_a_reward_and_tokens() -> None:
    def proposal(reward: float | None) -> Proposal:
        return Proposal(3, 1, 7, "code_o", (), completion(0), TASK, reward)

    def rollout(task: str, reward: float | None, slot: int = 1, tokens=(5, 6)) -> Rollout:
        return Rollout(3, 1, 9, task, "code_o", 0, completion(slot, tokens), C, None, reward)

    made = make_trajectories(
        [proposal(0.5), proposal(None)],
        [rollout("a", 1.0), rollout("a", None), rollout("b", -1.0), rollout("a", -0.5, tokens=())],
        MEMBERS,
    )
    assert made[0] == Trajectory(
        0, 7, Role.TEACHER, "code_o", "propose/3/1/7/code_o", (1, 2), (5, 6), (-0.5, -0.5), 0.5
    )
    assert [(t.member, t.slot, t.role, t.group, t.reward) for t in made[1:]] == [
        (9, 1, Role.STUDENT, "solve/3/1/9/a", 1.0),
        (9, 1, Role.STUDENT, "solve/3/1/9/b", -1.0),
    ]
    with pytest.raises(ValueError, match="slot 0 was filed under member 9"):
        make_trajectories([], [rollout("a", 1.0, slot=0)], MEMBERS)
    with pytest.raises(KeyError):
        make_trajectories([proposal(0.5)], [], MEMBERS[1:])
