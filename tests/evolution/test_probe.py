"""The probe: reliabilities against brute force and simulation, fitness counted by hand."""

from itertools import combinations

import numpy as np
import pytest

from redqueen.config.population import PopulationConfig
from redqueen.config.rollout import RolloutConfig
from redqueen.evolution import BehaviourLog, ProbeResult, probe_result, survey, with_probe
from redqueen.evolution.fitness import DominatedNovelty, Mean, Probe
from redqueen.evolution.probe import crossed_reliability, nested_reliability
from redqueen.population import Population
from redqueen.types import Match, Rejection, Verdict
from tests.evolution.test_fitness import SIGMA, group
from tests.evolution.toy_slots import Slots
from tests.learner.records import attempts, proposal

RNG = np.random.default_rng(0)


def split_halves(scores_MT: np.ndarray) -> float:
    """The mean of Flanagan's coefficient over all splits of the tasks into halves."""
    T = scores_MT.shape[1]
    coefficients = []
    for half in combinations(range(T), T // 2):
        one = scores_MT[:, list(half)].sum(1)
        other = scores_MT.sum(1) - one
        total = scores_MT.sum(1).var(ddof=1)
        coefficients.append(2 * (1 - (one.var(ddof=1) + other.var(ddof=1)) / total))
    return float(np.mean(coefficients))


@pytest.mark.parametrize("seed", range(5))
def test_crossed_reliability_is_the_mean_of_all_split_halves(seed: int) -> None:
    scores_MT = np.random.default_rng(seed).integers(0, 5, (4, 6)) / 4
    assert crossed_reliability(scores_MT) == pytest.approx(split_halves(scores_MT))


def test_reliability_is_the_share_of_true_variance() -> None:
    """Means over T tasks with noise s: true variance / (true variance + s^2 / T)."""
    M, T, true, noise = 4000, 20, 0.5, 2.0
    skill_M1 = RNG.normal(0, true, (M, 1))
    scores_MT = skill_M1 + RNG.normal(0, 1, T) + RNG.normal(0, noise, (M, T))
    expected = true**2 / (true**2 + noise**2 / T)
    assert crossed_reliability(scores_MT) == pytest.approx(expected, abs=0.03)
    nested = [row - scores_MT.mean(0) for row in scores_MT]
    assert nested_reliability(nested) == pytest.approx(expected, abs=0.03)


def test_reliability_of_noise_and_of_equals() -> None:
    noise = [crossed_reliability(np.random.default_rng(i).random((4, 20))) for i in range(300)]
    assert np.median(noise) < 0.3
    assert crossed_reliability(np.ones((3, 4))) == 0.0
    assert nested_reliability([np.ones(3), np.ones(2)]) == 0.0
    assert crossed_reliability(np.ones((1, 4))) is None
    assert crossed_reliability(np.ones((4, 1))) is None
    assert nested_reliability([np.ones(3), np.ones(1)]) is None
    # Equal but for the rounding of sums in another order.
    scores = np.array([[1 / 3, 2 / 3, 0.1, 0], [2 / 3, 0.1, 0, 1 / 3], [0.1, 0, 1 / 3, 2 / 3]])
    assert crossed_reliability(scores) == 0.0
    assert nested_reliability([np.full(3, 0.1), np.full(7, 0.1)]) == 0.0
    assert nested_reliability(list(scores)) == 0.0
    # By hand: means 1 and 3, MS between 4 x 2 / 1, MS within (2 + 2) / 2.
    assert nested_reliability([np.array([0.0, 2.0]), np.array([2.0, 4.0])]) == 1 - 2 / 4


def test_fitness_is_the_mean_on_common_tasks() -> None:
    right, wrong, lost = Verdict.CORRECT, Verdict.WRONG, Verdict.INFRA_ERROR
    population = Population.founders(PopulationConfig(teachers=2, students=2))
    own = Match(1, 0, 0, 2), Match(1, 1, 1, 3)
    further = Match(1, 2, 0, 3, tasks_of=0), Match(1, 3, 1, 2, tasks_of=1)
    bad = Rejection("unparsable", malformed=True)
    proposals = [proposal("a"), proposal(bad), proposal("b", 1, 1), proposal("c", 1, 1)]
    rollouts = [
        *attempts(own[0], "a", right, wrong), *attempts(further[0], "a", right, right),
        *attempts(own[1], "b", right, wrong), *attempts(further[1], "b", wrong, wrong),
        # Student 2 has no attempt at c that counts, so that c is not common.
        *attempts(own[1], "c", right, right), *attempts(further[1], "c", lost, lost),
    ]  # fmt: skip
    result = probe_result(
        population, (*own, *further), proposals, (0.25, -1.0, 0.75, None), rollouts
    )
    assert result.fitness == {2: 0.25, 3: 0.75, 0: -0.375, 1: 0.75}
    # Students' scores (.5, 0) and (1, .5): no residual. Teacher 1 has one value.
    assert result.reliability == {"student": pytest.approx(1.0)}
    assert result.metrics()["member/3/fitness"] == 0.75
    slots = Slots(4)
    seen = survey(population, BehaviourLog(5), slots.get)
    teachers, students = with_probe(seen, result).groups
    assert Probe().of(teachers, SIGMA).tolist() == [-0.375, 0.75]
    assert Probe().of(students, SIGMA).tolist() == [0.25, 0.75]
    with pytest.raises(ValueError, match="without a probe"):
        Probe().of(seen.groups[0], SIGMA)


def test_a_student_without_a_countable_attempt_does_not_make_the_others_equal() -> None:
    right, wrong, lost = Verdict.CORRECT, Verdict.WRONG, Verdict.INFRA_ERROR
    population = Population.founders(PopulationConfig(teachers=1, students=3))
    first, *others = (Match(1, i, 0, i + 1, tasks_of=0 if i else None) for i in range(3))
    rollouts = [
        *attempts(first, "a", right, wrong),
        *attempts(others[0], "a", right, right),
        *attempts(others[1], "a", lost, lost),
    ]
    result = probe_result(population, (first, *others), [proposal("a")], (0.5,), rollouts)
    assert result.fitness == {0: 0.5, 1: 0.5, 2: 1.0}
    assert [task for _, task in result.common] == ["a"]


KINDS = ("code_o", "code_i", "code_f")


def rewarded(rewards: dict[int, list[tuple[str, float]]], *environments: str) -> ProbeResult:
    """The result of a probe in which each teacher has one match and these rewards, by kind."""
    population = Population.founders(PopulationConfig(teachers=len(rewards), students=1))
    names = environments or ("code",) * len(rewards)
    matches = [Match(1, t, t, len(rewards), environment=names[t]) for t in rewards]
    pairs = [
        (proposal(f"{t}/{i}", t, t, kind), reward)
        for t, some in rewards.items()
        for i, (kind, reward) in enumerate(some)
    ]
    proposals, values = zip(*pairs, strict=True)
    return probe_result(population, matches, proposals, values, [])


def test_the_kind_that_comes_up_once_less_does_not_count_against_a_teacher() -> None:
    """Eight proposals of three kinds, in turns from another kind on: equals are equal."""
    worth = {"code_o": 0.2, "code_i": 0.5, "code_f": -0.4}
    turns = {t: [KINDS[(t + i) % 3] for i in range(8)] for t in range(4)}
    equals = rewarded({t: [(kind, worth[kind]) for kind in turns[t]] for t in turns})
    mean = np.mean([worth[kind] for kinds in turns.values() for kind in kinds])
    np.testing.assert_allclose(list(equals.fitness.values()), mean)
    assert equals.reliability == {"teacher": 0.0}
    # What one is worth more of every kind is what sets it apart; kinds are no noise.
    better = rewarded(
        {t: [(kind, worth[kind] + 0.3 * (t == 2)) for kind in KINDS * 3] for t in turns}
    )
    fitness = better.fitness
    assert fitness[2] - fitness[0] == pytest.approx(0.3)
    assert better.reliability["teacher"] == pytest.approx(1.0)


def test_teachers_of_two_environments_are_compared_each_with_its_own() -> None:
    rewards = {0: [("x", 0.9)] * 4, 1: [("x", 0.7)] * 4, 2: [("x", 0.1)] * 4, 3: [("x", 0.3)] * 4}
    fitness = rewarded(rewards, "code", "code", "math", "math").fitness
    np.testing.assert_allclose([fitness[t] for t in range(4)], [0.6, 0.4, 0.4, 0.6])


def test_reliability_of_teachers_is_not_dragged_down_by_kinds() -> None:
    """True variance over true and error variance, with kinds that differ widely."""
    rng, count, true, noise = np.random.default_rng(3), 1500, 0.2, 0.4
    skill = rng.normal(0, true, count)
    result = rewarded({
        t: [(kind, s + 2 * KINDS.index(kind) + rng.normal(0, noise)) for kind in KINDS * 2]
        for t, s in enumerate(skill.tolist())
    })  # fmt: skip
    expected = true**2 / (true**2 + noise**2 / 6)
    assert result.reliability["teacher"] == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(
    ("matches", "teachers", "environments", "planned"),
    [(4, 4, 1, 4), (2, 4, 1, 4), (8, 3, 1, 9), (4, 0, 1, 4), (2, 4, 3, 12), (1, 0, 2, 2)],
)
def test_in_a_probe_all_teachers_write_equally_many(
    matches: int, teachers: int, environments: int, planned: int
) -> None:
    rollout = RolloutConfig(matches=matches)
    step = Probe(tasks=5, attempts=3).step(rollout, teachers, environments)
    assert (step.matches, step.tasks_per_match, step.attempts) == (planned, 5, 3)
    assert step.students_per_task == "all"


def test_dominated_novelty_is_the_distance_to_the_fitter() -> None:
    nan = np.nan
    distances = np.array(
        [[0.0, 0.2, 0.6, nan], [0.2, 0.0, 0.5, 0.9], [0.6, 0.5, 0.0, nan], [nan, 0.9, nan, 0.0]]
    )
    four = group([None] * 4, behaviour=distances)  # type: ignore[list-item]
    # mu rises with the number. 0: nearest two of 1, 2, 3; 2: only 3, not known; 3: the fittest.
    found = DominatedNovelty(by=Mean(), neighbours=2).of(four, SIGMA)
    np.testing.assert_allclose(found, [0.4, 0.7, 0.0, 2.0])
    # Behaviours that have nothing in common are at the greatest distance, 1.
    strangers = group([None] * 4, behaviour=1.0 - np.eye(4))  # type: ignore[list-item]
    assert DominatedNovelty(by=Mean()).of(strangers, SIGMA).tolist() == [1.0, 1.0, 1.0, 2.0]
    assert DominatedNovelty(by="probe").probe == Probe()
    assert DominatedNovelty(by="mean").needs_ratings
    assert not DominatedNovelty(by="solve_rate").needs_ratings
