"""What each verdict is worth, and that a teacher is paid for all attempts at its task."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redqueen import registry
from redqueen.config.component import build_component
from redqueen.config.learner import LearnerConfig
from redqueen.learner import assign_rewards, step_metrics
from redqueen.learner.assign import rejection_reward, solve_rates, student_reward
from redqueen.learner.teacher_rewards import Guided, Posed
from redqueen.population.ratings import solve_rate
from redqueen.types import Match, Rejection, Verdict
from tests.learner.records import attempts, judgement, proposal

CONFIG = LearnerConfig()
C, W, M, X = Verdict.CORRECT, Verdict.WRONG, Verdict.MALFORMED, Verdict.INFRA_ERROR
MALFORMED = Rejection("syntax", malformed=True)
REJECTED = Rejection("random", malformed=False)
LOST = Rejection("sandbox", malformed=False, infra=True)
SHARED = (Match(1, 0, 0, 2), Match(1, 1, 0, 1, tasks_of=0), Match(1, 2, 0, 3, tasks_of=0))


def test_student_rewards() -> None:
    assert [student_reward(v, None, CONFIG) for v in (C, W, M, X)] == [1.0, -0.5, -1.0, None]
    mild = LearnerConfig(student={"wrong_reward": 0.0}, malformed_reward=-0.25)
    assert [student_reward(v, None, mild) for v in (C, W, M)] == [1.0, 0.0, -0.25]
    assert [student_reward(W, score, CONFIG) for score in (0.0, 0.5)] == [-0.5, 0.25]
    assert student_reward(X, 0.5, CONFIG) is None
    assert student_reward(M, 0.5, CONFIG) == -1.0
    assert student_reward(C, 0.5, CONFIG) == 1.0


def test_solve_rate_counts_no_failure_of_ours() -> None:
    match = SHARED[0]
    assert solve_rate(attempts(match, "a", C, W, M, C)) == 0.5
    assert solve_rate(attempts(match, "a", C, X, X, W)) == 0.5
    assert solve_rate(attempts(match, "a", X, X)) is None
    assert solve_rate([]) is None
    some = [*attempts(match, "a", C, X), *attempts(match, "a", W, X, partial_score=0.25)]
    assert solve_rate(some) == 0.625


def test_rewards_of_what_became_no_task() -> None:
    assert [rejection_reward(r, CONFIG) for r in (MALFORMED, REJECTED, LOST)] == [-1.0, -0.5, None]
    mild = LearnerConfig(teacher={"invalid_reward": -0.25}, malformed_reward=-0.75)
    assert [rejection_reward(r, mild) for r in (MALFORMED, REJECTED)] == [-0.75, -0.25]


EIGHTHS = [i / 8 for i in range(9)]
TABLES = {
    "one_minus": [0.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0],
    "variance": [0.0, 0.4375, 0.75, 0.9375, 1.0, 0.9375, 0.75, 0.4375, 0.0],
    "novelty": [0.0, 0.90625, 0.8125, 0.71875, 0.625, 0.53125, 0.4375, 0.34375, 0.0],
    "guided": [0.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0],
}
"""Of the solve rates 0, 1/8 ... 1; multiples of a power of two, so exact."""


@pytest.mark.parametrize("name", registry.COMPONENTS["teacher_reward"])
def test_teacher_rewards_of_a_valid_task(name: str) -> None:
    reward = build_component("teacher_reward", name)
    assert [reward.of(s) for s in EIGHTHS] == TABLES[name]
    assert [*map(len, (reward.of_step([]), reward.of_step([Posed(0.5)])))] == [0, 1]


@given(st.floats(0.0, 1.0), st.sampled_from(sorted(TABLES)))
def test_teacher_rewards_stay_in_the_unit_interval(s: float, name: str) -> None:
    assert 0.0 <= build_component("teacher_reward", name).of(s) <= 1.0


def test_novelty_pays_for_rare_cells_but_only_where_something_is_learnt() -> None:
    reward = {"type": "novelty", "by": "variance", "weight": 0.5}
    config = LearnerConfig(teacher={"reward": reward})
    # The cell of a task holds three others: novelty 1 / sqrt(4).
    paid = config.teacher.reward.of_step([Posed(s, 4**-0.5) for s in (0.0, 0.25, 1.0)])
    assert paid == [0.0, 0.5 * 0.75 + 0.5 * 0.5, 0.0]
    proposals = [replace(proposal("a"), novelty=0.5), proposal("b"), proposal(REJECTED)]
    assigned = assign_rewards(SHARED, proposals, ROLLOUTS, config).proposals
    assert assigned == (0.5 * 1.0 + 0.5 * 0.5, 0.0, -0.5)


def test_guided_multiplies_difficulty_by_quality_and_scales_within_the_step() -> None:
    tasks = [Posed(s, quality=q) for s, q in ((0.0, 1.0), (0.25, 0.5), (0.5, 0.25), (1.0, 1.0))]
    # Products 0, 3/8, 1/8 and, as one of four is above the rate of all but 30 %, 0.
    assert Guided().of_step(tasks) == [0.0, 1.0, 1 / 3, 0.0]
    unread = [Posed(0.5, quality=0.5), Posed(0.5, quality=None), Posed(0.5, quality=1.0)]
    # An unread judgement counts as the mean of the others: products 1/4, 3/8, 1/2.
    assert Guided().of_step(unread) == [0.0, 0.5, 1.0]
    assert Guided().of_step([Posed(0.5, quality=0.5)] * 3) == [0.25] * 3
    assert Guided().of_step([Posed(0.5)]) == [0.0]


def test_a_judgement_is_of_the_task_of_one_match() -> None:
    matches = (Match(1, 0, 0, 2), Match(1, 1, 0, 3))
    rollouts = [r for m in matches for r in attempts(m, "a", C, W)]
    config = LearnerConfig(teacher={"reward": "guided"})
    judgements = [judgement(match, "a", quality) for match, quality in ((0, 0.25), (1, 0.75))]
    proposals = [proposal("a"), proposal(REJECTED), proposal("a", 1)]
    paid = assign_rewards(matches, proposals, rollouts, config, judgements)
    assert paid.proposals == (0.0, -0.5, 1.0)


ROLLOUTS = [
    *attempts(SHARED[0], "a", C, C, C, C),
    *attempts(SHARED[1], "a", W, W, W, W),
    *attempts(SHARED[2], "a", C, W, X, X),
    *attempts(SHARED[0], "b", W, M, W, W),
    *attempts(SHARED[2], "b", X, X, X, X),
]


def test_the_teacher_is_paid_for_all_attempts_at_its_task() -> None:
    proposals = [proposal("a"), proposal("b"), proposal(MALFORMED), proposal(LOST)]
    rewards = assign_rewards(SHARED, proposals, ROLLOUTS, CONFIG)
    assert rewards.proposals == (1 - 5 / 10, 0.0, -1.0, None)
    assert rewards.rollouts[:8] == (1.0,) * 4 + (-0.5,) * 4
    assert rewards.rollouts[8:16] == (1.0, -0.5, None, None, -0.5, -1.0, -0.5, -0.5)
    assert rewards.rollouts[16:] == (None,) * 4
    assert solve_rates(SHARED, ROLLOUTS) == {(0, "a"): 0.5, (0, "b"): 0.0}
    alone = [r for r in ROLLOUTS if r.match == 0]
    assert assign_rewards(SHARED, proposals[:2], alone, CONFIG).proposals == (0.0, 0.0)


def test_the_same_task_in_two_matches_is_two_tasks() -> None:
    matches = (Match(1, 0, 0, 2), Match(1, 1, 0, 3))
    rollouts = [*attempts(matches[0], "a", C, C), *attempts(matches[1], "a", C, W, W, W)]
    proposals = [proposal("a"), proposal("a", 1)]
    assert assign_rewards(matches, proposals, rollouts, CONFIG).proposals == (0.0, 0.75)


def test_a_valid_proposal_that_nobody_attempted_is_an_error() -> None:
    with pytest.raises(KeyError):
        assign_rewards(SHARED, [proposal("a")], [], CONFIG)


def test_the_step_in_numbers_leaves_failures_of_ours_out() -> None:
    metrics = step_metrics([proposal("a"), proposal(MALFORMED), proposal(LOST)], ROLLOUTS)
    assert metrics["valid_rate"] == 0.5
    assert metrics["solve_rate"] == 5 / 14
    assert metrics["infra_rate"] == 7 / 23
    assert metrics["sampled_tokens"] == 2 * 23
    assert metrics["truncated"] == 0.0
    off = [replace(r, completion=replace(r.completion, finished=False)) for r in ROLLOUTS[:5]]
    assert step_metrics([], [*off, *ROLLOUTS[5:]])["truncated"] == 5 / 20
    assert step_metrics([], []) == {"sampled_tokens": 0.0, "infra_rate": 0.0}
