"""Differences between groups of runs: against SciPy, brute force, and their promised coverage."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from redqueen.report.statistics import Effect, cross_fitted, crossed_mean, variance_parts
from studies.published import pigeonhole_interval
from studies.statistics import crossed_difference, difference, holm, p_equivalent


def layout(
    rng: np.random.Generator, runs: int, tasks: np.ndarray, run: float, special: float, rest: float
) -> np.ndarray:
    """Rates (R, T): the common tasks, tasks of the group alone, runs, and a residual."""
    return (
        tasks
        + rng.normal(0, special, len(tasks))
        + rng.normal(0, run, (runs, 1))
        + rng.normal(0, rest, (runs, len(tasks)))
    )


def test_without_tasks_it_is_welchs_test() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.normal(0.3, 1, 5), rng.normal(0, 3, 8)
    effect = difference(one, two)
    welch = stats.ttest_ind(one, two, equal_var=False)
    interval = welch.confidence_interval(0.95)
    assert effect.df == pytest.approx(welch.df)
    assert 2 * min(effect.p_above(0), 1 - effect.p_above(0)) == pytest.approx(welch.pvalue)
    e = effect.estimate()
    assert (e.low, e.high) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_variance_parts_are_the_mean_squares_of_a_slow_loop() -> None:
    rng = np.random.default_rng(1)
    y = layout(rng, 4, rng.normal(0, 0.3, 7), 0.1, 0.0, 0.2)
    R, T, m = 4, 7, y.mean()
    runs = sum(T * (y[r].mean() - m) ** 2 for r in range(R)) / (R - 1)
    tasks = sum(R * (y[:, t].mean() - m) ** 2 for t in range(T)) / (T - 1)
    rest = sum(
        (y[r, t] - y[r].mean() - y[:, t].mean() + m) ** 2 for r in range(R) for t in range(T)
    ) / ((R - 1) * (T - 1))
    assert variance_parts(y) == pytest.approx((runs / R / T, tasks / R / T, rest / R / T))


def test_variance_of_the_difference_is_right_on_average() -> None:
    rng = np.random.default_rng(2)
    estimates, values = [], []
    for _ in range(2000):
        tasks = rng.normal(0, 0.3, 60)
        one = layout(rng, 4, tasks, 0.05, 0.2, 0.3)
        two = layout(rng, 6, tasks, 0.03, 0.0, 0.2)
        effect = crossed_difference(one, two)
        estimates.append(effect.se**2)
        values.append(effect.value)
    assert np.mean(estimates) == pytest.approx(np.var(values), rel=0.08)


@pytest.mark.parametrize(
    ("run", "special", "rest", "runs", "tasks"),
    [(0.02, 0.15, 0.3, 5, 500), (0.03, 0.1, 0.3, 4, 300), (0.01, 0.3, 0.3, 4, 300)],
)
def test_coverage_is_nominal(
    run: float, special: float, rest: float, runs: int, tasks: int
) -> None:
    """95 % of 1,000: between 931 and 975 (three binomial standard errors, and one point more)."""
    rng = np.random.default_rng(3)
    hits = mean_hits = 0
    for _ in range(1000):
        common = rng.normal(0, 0.3, tasks)
        one = layout(rng, runs, common, run, special, rest)
        two = layout(rng, runs, common, run, 0.0, rest)
        e = crossed_difference(one, two).estimate()
        hits += e.low <= 0 <= e.high
        e = crossed_mean(one).estimate()
        mean_hits += e.low <= 0 <= e.high
    assert 926 <= hits <= 975
    assert 926 <= mean_hits <= 975


def test_the_published_bootstrap_counts_the_residual_three_times() -> None:
    """Without effects of runs and tasks its variance is three times the truth."""
    rng = np.random.default_rng(4)
    ratios = []
    for _ in range(40):
        y = rng.normal(0, 0.3, (8, 200))
        e = pigeonhole_interval(y, rng)
        runs, tasks, _ = variance_parts(y)
        df = (runs + tasks) ** 2 / (runs**2 / 7 + tasks**2 / 199)
        se = (e.high - e.value) / stats.t.ppf(0.975, df)
        ratios.append(se**2 / (0.3**2 / y.size))
    assert np.mean(ratios) == pytest.approx(3.0, rel=0.15)


def test_equivalence_is_a_90_percent_interval_inside_the_margin() -> None:
    for value in (0.0, 0.005, 0.012, -0.012, 0.03):
        effect = Effect(value, 0.005, 6.0, 4)
        e = effect.estimate(0.90)
        assert (p_equivalent(effect, 0.02) < 0.05) == (e.low > -0.02 and e.high < 0.02)
    one, two = np.array([1.0, 1.2, 0.9, 1.1, 1.05]), np.array([1.02, 1.1, 0.97, 1.15])
    low = stats.ttest_ind(one, two + -0.3, equal_var=False, alternative="greater").pvalue
    high = stats.ttest_ind(one, two + 0.3, equal_var=False, alternative="less").pvalue
    assert p_equivalent(difference(one, two), 0.3) == pytest.approx(max(low, high))


def test_equivalence_is_rarely_claimed_at_the_margin() -> None:
    rng = np.random.default_rng(6)
    false = 0
    for _ in range(400):
        common = rng.normal(0, 0.3, 300)
        one = layout(rng, 5, common + 0.05, 0.005, 0.05, 0.2)
        two = layout(rng, 5, common, 0.005, 0.05, 0.2)
        false += p_equivalent(crossed_difference(one, two), 0.05) < 0.05
    assert false <= 400 * 0.05 + 3 * math.sqrt(400 * 0.05 * 0.95)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_the_sequential_procedure(ps: list[float]) -> None:
    for alpha in (0.01, 0.05, 0.2):
        rejected: set[int] = set()
        for place, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
            if ps[index] * (len(ps) - place) > alpha:
                break
            rejected.add(index)
        assert {i for i, p in enumerate(holm(ps)) if p <= alpha} == rejected


def test_cross_fitting_takes_away_the_bias_of_picking() -> None:
    """Eight members alike: the weakest looks weaker where it was picked, not elsewhere."""
    rng = np.random.default_rng(5)
    naive, fitted = [], []
    for _ in range(200):
        rates_MT = rng.binomial(2, 0.5, (8, 100)) / 2
        naive.append(rates_MT.mean(axis=1).min())
        fitted.append(cross_fitted(rates_MT, True, rng, repeats=2).mean())
    assert np.mean(naive) < 0.46
    assert np.mean(fitted) == pytest.approx(0.5, abs=0.008)


def test_cross_fitting_finds_the_member_that_is_weakest() -> None:
    rng = np.random.default_rng(5)
    rates_MT = rng.binomial(4, np.array([[0.7], [0.3], [0.6]]), (3, 200)) / 4
    np.testing.assert_allclose(cross_fitted(rates_MT, True, rng), rates_MT[1])
    np.testing.assert_allclose(cross_fitted(rates_MT, False, rng), rates_MT[0])
    np.testing.assert_array_equal(cross_fitted(rates_MT[:1], True, rng), rates_MT[0])


def test_one_run_has_no_interval() -> None:
    for effect in (
        crossed_mean(np.ones((1, 5))),
        crossed_difference(np.ones((1, 5)), np.ones((4, 5))),
    ):
        assert effect.estimate().high == math.inf
        assert effect.p_above(0.5) == 0.5
    certain = crossed_mean(np.full((3, 4), 0.5))
    assert (certain.estimate().low, certain.p_above(0.4), certain.p_above(0.6)) == (0.5, 0.0, 1.0)
