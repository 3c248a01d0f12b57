"""Intervals and tests against scipy, closed forms, slow loops, and their promised coverage."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from redqueen.compare.inference import (
    crossed_interval,
    monotone_fit,
    monotone_trend,
    reversals,
    seed_interval,
    sign_flip,
    t_quantile,
)
from redqueen.report.statistics import bootstrap_means, percentile_interval

Numbers = st.lists(st.floats(-10, 10).map(lambda x: round(x, 3)), min_size=2, max_size=12)


@given(st.floats(0.6, 0.9999), st.integers(1, 60))
def test_quantile_is_scipys(probability: float, df: int) -> None:
    assert t_quantile(probability, df) == pytest.approx(stats.t.ppf(probability, df), rel=1e-9)


@given(st.floats(1, 200))
def test_quantile_of_a_fractional_df_is_close_to_scipys(df: float) -> None:
    assert t_quantile(0.975, df) == pytest.approx(stats.t.ppf(0.975, df), rel=0.03)


def test_quantile_refuses_nonsense() -> None:
    for probability, df in ((0.5, 3), (1.0, 3), (0.9, 0.5)):
        with pytest.raises(ValueError, match="no quantile"):
            t_quantile(probability, df)


@given(Numbers)
def test_interval_over_seeds_is_students(values: list[float]) -> None:
    ours = seed_interval(np.array(values))
    spread = stats.sem(values)
    low, high = np.mean(values) + stats.t.ppf([0.025, 0.975], len(values) - 1) * spread
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=1e-8)


def test_one_seed_has_no_interval() -> None:
    for estimate in (
        seed_interval(np.array([0.4])),
        crossed_interval(np.full((1, 30), 0.4), np.random.default_rng(0)),
    ):
        assert estimate.value == pytest.approx(0.4)
        assert (estimate.low, estimate.high) == (-math.inf, math.inf)


def test_crossed_interval_has_the_variance_of_both_sources() -> None:
    # Additive effects: the variance of the mean is that of the seeds' plus that of the tasks'.
    generator = np.random.default_rng(3)
    seeds, tasks = generator.normal(0, 0.03, 12), generator.normal(0, 0.5, 400)
    values = 0.1 + seeds[:, None] + tasks[None, :]
    ours = crossed_interval(values, np.random.default_rng(0), resamples=8000)
    a, b = seeds.var(ddof=1) / 12, tasks.var(ddof=1) / 400
    df = (a + b) ** 2 / (a**2 / 11 + b**2 / 399)
    half = stats.t.ppf(0.975, df) * math.sqrt(a + b)
    assert ours.value == pytest.approx(values.mean())
    assert (ours.high - ours.low) / 2 == pytest.approx(half, rel=0.03)


def test_without_differences_between_tasks_it_is_the_interval_over_seeds() -> None:
    seeds = np.array([0.1, 0.14, 0.08, 0.2])
    ours = crossed_interval(np.repeat(seeds[:, None], 50, 1), np.random.default_rng(1), 20_000)
    wanted = seed_interval(seeds)
    assert (ours.low, ours.high) == pytest.approx((wanted.low, wanted.high), abs=2e-3)


def test_coverage_with_four_seeds() -> None:
    """The reason for all this: the percentile bootstrap would not cover."""
    generator = np.random.default_rng(11)
    ours = percentile = 0
    for _ in range(300):
        seeds, tasks = generator.normal(0, 0.02, 4), generator.normal(0, 0.2, 60)
        values = seeds[:, None] + tasks[None, :] + generator.normal(0, 0.3, (4, 60))
        estimate = crossed_interval(values, generator, 300)
        ours += estimate.low <= 0 <= estimate.high
        draws = bootstrap_means(generator.normal(0, 1, (4, 1)), generator, 300)
        low, high = percentile_interval(draws[:, 0])
        percentile += low <= 0 <= high
    assert ours >= 280  # 285 expected of 300, at least
    assert percentile <= 255


@given(Numbers)
def test_sign_flips_are_scipys_permutation_test(values: list[float]) -> None:
    ours = sign_flip(np.array(values), np.random.default_rng(0))
    exact = [sum(s * v for s, v in zip(signs, values, strict=True))
             for signs in product((1, -1), repeat=len(values))]  # fmt: skip
    count = sum(total >= sum(values) - 1e-9 for total in exact)
    assert ours == pytest.approx(count / 2 ** len(values))
    if len(values) <= 6:
        other = stats.permutation_test(
            (values,), np.sum, permutation_type="samples", alternative="greater",
            n_resamples=np.inf,
        ).pvalue  # fmt: skip
        assert ours == pytest.approx(other)


def test_four_seeds_allow_no_p_below_a_sixteenth() -> None:
    generator = np.random.default_rng(0)
    assert sign_flip(np.array([1.0, 2.0, 3.0, 4.0]), generator) == 1 / 16
    assert sign_flip(np.zeros(4), generator) == 1.0
    many = generator.normal(0.5, 1, 40)
    z = stats.norm.sf(many.sum() / math.sqrt((many**2).sum()))
    assert sign_flip(many, generator) == pytest.approx(z, rel=0.35)


@given(Numbers, st.integers(0, 1000))
def test_monotone_fit_is_scipys(values: list[float], seed: int) -> None:
    weights = np.random.default_rng(seed).uniform(0.2, 3, len(values))
    ours = monotone_fit(np.array(values), weights)
    wanted = optimize.isotonic_regression(np.array(values), weights=weights).x
    np.testing.assert_allclose(ours, wanted, atol=1e-9)


def test_a_monotone_series_fits_either_way() -> None:
    falling = np.linspace(1, 0, 9)
    trend, misfit = monotone_trend(falling, np.full(9, 0.01))
    np.testing.assert_allclose(trend, falling)
    assert misfit == pytest.approx(0.0, abs=1e-20)
    assert monotone_trend(np.array([0.0, 1, 0, 1]), np.ones(4))[1] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("series", "turns"),
    [
        ([0, 1, 2, 3], 0),
        ([3, 2, 1, 0], 0),
        ([0, 3, 0], 1),
        ([0, 3, 0, 3, 0], 3),
        ([0, 3, 2.5, 4, 3.5, 5], 0),  # ripples below the threshold
        ([0, 1.5, 0.8, 3, 1, 1.4, 0.9], 1),
        ([2, 2, 2], 0),
    ],
)
def test_reversals(series: list[float], turns: int) -> None:
    values = np.array(series, dtype=np.float64)
    assert reversals(values, np.ones(len(values))) == turns
    assert reversals(-values, np.ones(len(values))) == turns
