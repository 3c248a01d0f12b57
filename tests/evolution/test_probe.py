"""The probe: reliabilities against brute force and simulation, fitness counted by hand."""

from itertools import combinations

import numpy as np
import pytest

from redqueen.config.population import PopulationConfig
from redqueen.evolution import BehaviourLog, probe_result, survey, with_probe
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
