"""How a step ends: rewards of all attempts, outcomes of the student's own."""

import pytest

from redqueen.config import LearnerConfig, PopulationConfig
from redqueen.learner import make_trajectories, settle, step_metrics
from redqueen.learner.advantages import compute_advantages
from redqueen.population import Population, RatingSystem
from redqueen.types import Completion, Match, Proposal, Rejection, Rollout, Task, Verdict

SIZES = PopulationConfig(teachers=1, students=3)
POPULATION, RATINGS = Population.founders(SIZES), RatingSystem(SIZES)
C, W, X = Verdict.CORRECT, Verdict.WRONG, Verdict.INFRA_ERROR
SHARED = (Match(1, 0, 0, 2), Match(1, 1, 0, 1, tasks_of=0), Match(1, 2, 0, 3, tasks_of=0))


def text(slot: int) -> Completion:
    return Completion(slot, (1, 2), (5, 6), (-0.5, -0.5), "x", True)


def proposal(outcome: str | Rejection, match: int = 0) -> Proposal:
    made = Task(outcome, "code", "code_o", {}) if isinstance(outcome, str) else outcome
    return Proposal(1, match, 0, "code_o", (), text(0), made)


def attempts(match: Match, task: str, *verdicts: Verdict) -> list[Rollout]:
    return [
        Rollout(
            1, match.index, match.student, task, "code_o", number, text(match.student), verdict,
            None, None if verdict is X else 1.0 if verdict is C else -0.5,
        )
        for number, verdict in enumerate(verdicts)
    ]  # fmt: skip


ROLLOUTS = [
    *attempts(SHARED[0], "a", C, C, C, C),
    *attempts(SHARED[1], "a", W, W, W, W),
    *attempts(SHARED[2], "a", C, W, X, X),
    *attempts(SHARED[0], "b", W, W, W, W),
    *attempts(SHARED[1], "b", W, W, W, W),
    *attempts(SHARED[2], "b", X, X, X, X),
]


def test_the_teacher_is_paid_for_all_attempts_and_each_match_decided_by_its_own() -> None:
    proposals = [proposal("a"), proposal("b"), proposal(Rejection("syntax", malformed=True))]
    settled, results = settle(RATINGS, POPULATION, SHARED, proposals, ROLLOUTS, LearnerConfig())
    assert [p.reward for p in settled] == [pytest.approx(1 - 5 / 10), 0.0, -1.0]
    assert [(r.proposed, r.valid, r.solve_rate) for r in results] == [
        (3, 2, 0.5), (0, 2, 0.0), (0, 2, 0.5),
    ]  # fmt: skip
    assert [r.student_won for r in results] == [None, False, None]
    assert [r.match for r in results] == list(SHARED)


def test_with_one_student_a_task_the_attempts_of_others_do_not_exist() -> None:
    matched = [r for r in ROLLOUTS if r.match == 0]
    proposals = [proposal("a"), proposal("b")]
    settled, results = settle(RATINGS, POPULATION, SHARED[:1], proposals, matched, LearnerConfig())
    assert [p.reward for p in settled] == [0.0, 0.0]
    assert [r.solve_rate for r in results] == [0.5]


def test_the_same_task_in_two_matches_is_two_tasks() -> None:
    matches = (Match(1, 0, 0, 2), Match(1, 1, 0, 3))
    rollouts = [*attempts(matches[0], "a", C, C), *attempts(matches[1], "a", C, W, W, W)]
    settled, results = settle(
        RATINGS, POPULATION, matches, [proposal("a"), proposal("a", 1)], rollouts, LearnerConfig()
    )
    assert [p.reward for p in settled] == [0.0, 0.75]
    assert [r.solve_rate for r in results] == [1.0, 0.25]


def test_no_valid_task_is_lost_once() -> None:
    bad = [proposal(Rejection("syntax", malformed=True))]
    _, results = settle(RATINGS, POPULATION, SHARED, bad, [], LearnerConfig())
    assert [r.student_won for r in results] == [True, None, None]


def test_the_stream_settles_without_proposals() -> None:
    match = Match(1, 0, None, 2)
    rollouts = attempts(match, "a", C, W)
    settled, (result,) = settle(RATINGS, POPULATION, [match], [], rollouts, LearnerConfig())
    assert settled == ()
    assert (result.valid, result.solve_rate, result.student_won) == (1, 0.5, None)
    metrics = step_metrics([], rollouts)
    assert metrics["solve_rate"] == 0.5
    assert "valid_rate" not in metrics


def test_students_who_share_a_task_have_baselines_of_their_own() -> None:
    made = make_trajectories([], ROLLOUTS, POPULATION.members)
    groups = {(t.member, t.group) for t in made}
    assert len(groups) == len({group for _, group in groups}) == 5  # one student lost all of b
    advantages = compute_advantages("grpo", made)
    mixed = [t.member == 3 for t in made]
    assert [a != 0.0 for a in advantages] == mixed  # only member 3 differs from itself
