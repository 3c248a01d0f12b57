import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
import trueskill

from redqueen.config.population import PopulationConfig
from redqueen.errors import RedQueenError
from redqueen.population import Population, RatingSystem, match_results
from redqueen.types import Match, MatchResult, Member, Rejection, Role, Verdict
from tests.learner.records import attempts, proposal

CONFIG = PopulationConfig(teachers=2, students=2, self_play=1, beta=3.0, tau=0.2)


def member(mu: float, sigma: float) -> Member:
    return Member(id=0, slot=0, roles=(Role.STUDENT,), mu=mu, sigma=sigma)


def result(student: int, teacher: int, won: bool | None, rate: float | None = 0.5) -> MatchResult:
    return MatchResult(Match(1, 0, teacher, student), 6, 4, rate, 0.5, won)


def test_win_probability_is_the_published_closed_form() -> None:
    ratings = RatingSystem(CONFIG)
    for s, t in [((25, 8), (25, 8)), ((30, 2), (21, 5)), ((10.5, 0.4), (40, 1.5))]:
        spread = math.sqrt(2 * 3.0**2 + s[1] ** 2 + t[1] ** 2)
        expected = NormalDist().cdf((s[0] - t[0]) / spread)
        assert ratings.win_probability(member(*s), member(*t)) == pytest.approx(expected, abs=1e-14)


def test_win_probability_agrees_with_simulated_performances() -> None:
    rng = np.random.default_rng(0)
    student, teacher = member(28, 4), member(24, 2)
    skills = rng.normal([[28], [24]], [[4], [2]], (2, 200_000))
    wins = np.subtract(*rng.normal(skills, 3.0)) > 0
    assert RatingSystem(CONFIG).win_probability(student, teacher) == pytest.approx(
        wins.mean(), abs=0.005
    )


@pytest.mark.parametrize(("won", "rank"), [(True, [0, 1]), (False, [1, 0]), (None, [0, 0])])
def test_update_equals_the_package(won: bool | None, rank: list[int]) -> None:
    population = Population.founders(CONFIG)
    population = population.updated([replace(population.by_id(2), mu=29.0, sigma=3.0)])
    new = RatingSystem(CONFIG).update(population, [result(2, 0, won)])
    env = trueskill.TrueSkill(mu=25, sigma=25 / 3, beta=3.0, tau=0.2, draw_probability=0.1)
    (s,), (t,) = env.rate([(trueskill.Rating(29, 3),), (trueskill.Rating(25, 25 / 3),)], rank)
    assert (new.by_id(2).mu, new.by_id(2).sigma) == (s.mu, s.sigma)
    assert (new.by_id(0).mu, new.by_id(0).sigma) == (t.mu, t.sigma)
    assert [new.by_id(i) for i in (1, 3, 4)] == [population.by_id(i) for i in (1, 3, 4)]


def test_update_is_sequential_and_leaves_the_global_environment_alone() -> None:
    before = vars(trueskill.global_env()).copy()
    population = Population.founders(CONFIG)
    ratings = RatingSystem(CONFIG)
    results = [result(2, 0, True), result(3, 0, False), result(2, 1, None)]
    one_by_one = population
    for item in results:
        one_by_one = ratings.update(one_by_one, [item])
    assert ratings.update(population, results) == one_by_one
    assert vars(trueskill.global_env()) == before


def test_no_outcome_and_self_play_change_nothing() -> None:
    population = Population.founders(CONFIG)
    results = [result(2, 0, None, rate=None), result(4, 4, True), result(4, 4, None)]
    assert RatingSystem(CONFIG).update(population, results) == population


def test_without_draws_a_draw_changes_nothing() -> None:
    config = CONFIG.model_copy(update={"draw_probability": 0.0})
    population = Population.founders(config)
    ratings = RatingSystem(config)
    assert ratings.update(population, [result(2, 0, None)]) == population
    assert ratings.update(population, [result(2, 0, True)]).by_id(2).mu > 25


def test_ratings_beyond_double_precision_stop_with_a_sentence() -> None:
    population = Population.founders(CONFIG)
    population = population.updated(
        [replace(population.by_id(0), mu=900.0, sigma=1.0), replace(population.by_id(2), sigma=1.0)]
    )
    with pytest.raises(RedQueenError, match=r"population\.beta"):
        RatingSystem(CONFIG).update(population, [result(2, 0, True)])


def test_results_follow_the_outcome_rule() -> None:
    ratings, population = RatingSystem(CONFIG), Population.founders(CONFIG)
    match = Match(3, 1, teacher=0, student=2)  # equal ratings: expectation 0.5

    def decide(rates: list[float | None], infra: int = 0) -> MatchResult:
        return ratings.result(population, match, rates, proposed=6, infra_rejections=infra)

    assert decide([1.0, 0.25]).student_won is True
    assert decide([1.0, 0.25]).solve_rate == 0.625
    assert decide([0.0, 0.25, None]).student_won is False
    assert decide([0.0, 0.25, None]).valid == 3
    drawn = decide([0.25, 0.75])
    assert (drawn.student_won, drawn.solve_rate, drawn.expected) == (None, 0.5, 0.5)
    assert decide([]).student_won is True
    assert decide([], infra=5).student_won is True
    assert decide([], infra=6).student_won is None
    lost = decide([None, None])
    assert (lost.student_won, lost.solve_rate) == (None, None)
    strong = population.updated([replace(population.by_id(2), mu=35.0)])
    assert ratings.result(strong, match, [0.6], proposed=1).student_won is False


def test_matches_against_the_stream_are_not_rated() -> None:
    ratings, population = RatingSystem(CONFIG), Population.founders(CONFIG)
    match = Match(3, 0, None, 2)
    made = ratings.result(population, match, [1.0, None, 0.5], proposed=0)
    assert made == MatchResult(match, 0, 3, 0.75, None, None)
    assert ratings.update(population, [made]) == population


def test_a_further_student_is_rated_by_its_own_attempts_and_by_tasks_only() -> None:
    ratings, population = RatingSystem(CONFIG), Population.founders(CONFIG)
    further = Match(3, 2, 0, 3, tasks_of=1)
    won = ratings.result(population, further, [1.0, 0.5], proposed=0)
    assert won.student_won is True
    after = ratings.update(population, [won])
    assert after.by_id(3).mu > population.by_id(3).mu
    assert after.by_id(0).mu < population.by_id(0).mu
    # The matched student has won for the lack of tasks; nobody else has.
    nothing = ratings.result(population, further, [], proposed=0)
    assert nothing.student_won is None
    assert ratings.update(population, [nothing]) == population


STUDENTS = PopulationConfig(teachers=1, students=3)
CAST, RULES = Population.founders(STUDENTS), RatingSystem(STUDENTS)
SHARED = (Match(1, 0, 0, 2), Match(1, 1, 0, 1, tasks_of=0), Match(1, 2, 0, 3, tasks_of=0))
C, W, X = Verdict.CORRECT, Verdict.WRONG, Verdict.INFRA_ERROR
BAD = Rejection("syntax", malformed=True)


def test_a_match_is_decided_by_the_attempts_of_its_own_student() -> None:
    rollouts = [
        *attempts(SHARED[0], "a", C, C, C, C),
        *attempts(SHARED[1], "a", W, W, W, W),
        *attempts(SHARED[2], "a", C, W, X, X),
        *attempts(SHARED[0], "b", W, W, W, W),
        *attempts(SHARED[1], "b", W, W, W, W),
        *attempts(SHARED[2], "b", X, X, X, X),
    ]
    proposals = [proposal("a"), proposal("b"), proposal(BAD)]
    results = match_results(RULES, CAST, SHARED, proposals, rollouts)
    assert [(r.proposed, r.valid, r.solve_rate) for r in results] == [
        (3, 2, 0.5), (0, 2, 0.0), (0, 2, 0.5),
    ]  # fmt: skip
    assert [r.student_won for r in results] == [None, False, None]
    assert [r.match for r in results] == list(SHARED)


def test_the_same_task_in_two_matches_is_two_tasks() -> None:
    matches = (Match(1, 0, 0, 2), Match(1, 1, 0, 3))
    rollouts = [*attempts(matches[0], "a", C, C), *attempts(matches[1], "a", C, W, W, W)]
    results = match_results(RULES, CAST, matches, [proposal("a"), proposal("a", 1)], rollouts)
    assert [r.solve_rate for r in results] == [1.0, 0.25]


def test_no_valid_task_is_lost_once() -> None:
    results = match_results(RULES, CAST, SHARED, [proposal(BAD)], [])
    assert [r.student_won for r in results] == [True, None, None]
    lost = [proposal(Rejection("infra_error", malformed=False, infra=True))]
    assert match_results(RULES, CAST, SHARED[:1], lost, [])[0].student_won is None


def test_partial_scores_count_in_a_solve_rate() -> None:
    rollouts = [
        *attempts(SHARED[0], "a", C, X),
        *attempts(SHARED[0], "a", W, partial_score=0.25),
    ]
    (result,) = match_results(RULES, CAST, SHARED[:1], [proposal("a")], rollouts)
    assert result.solve_rate == 0.625
