"""Intervals against closed forms, scipy, and their promised coverage."""

import numpy as np
import pytest
from scipy import stats

from redqueen.report.statistics import (
    bootstrap_means,
    cluster_bootstrap,
    gain_estimate,
    mean_over_runs,
    percentile_interval,
    rate_estimate,
    wilson,
)


def test_wilson_closed_forms() -> None:
    z2 = stats.norm.ppf(0.975) ** 2
    assert wilson(0, 10) == (0.0, pytest.approx(z2 / (10 + z2)))
    assert wilson(10, 10) == (pytest.approx(10 / (10 + z2)), 1.0)
    assert wilson(0, 0) == (0.0, 1.0)


def test_bootstrap_means_are_those_of_a_slow_loop() -> None:
    values = np.random.default_rng(1).random((7, 3))
    draws = np.random.default_rng(5).integers(7, size=(50, 7))
    wanted = np.array([[values[row, s].mean() for s in range(3)] for row in draws])
    np.testing.assert_allclose(bootstrap_means(values, np.random.default_rng(5), 50), wanted)


def test_columns_share_their_draws() -> None:
    values = np.random.default_rng(1).random((40, 1))
    means = bootstrap_means(np.hstack([values, values + 0.25]), np.random.default_rng(0), 200)
    np.testing.assert_allclose(means[:, 1] - means[:, 0], 0.25)


def test_blocks_change_nothing_of_the_distribution() -> None:
    values = np.random.default_rng(2).random((2000, 1))
    means = bootstrap_means(values, np.random.default_rng(3), 2000)  # four blocks
    assert means.std() == pytest.approx(values.std() / np.sqrt(2000), rel=0.06)
    assert means.mean() == pytest.approx(values.mean(), abs=1e-3)


def test_interval_agrees_with_scipys_bootstrap_and_the_normal_limit() -> None:
    rates = np.random.default_rng(4).beta(1, 2, size=400)
    ours = cluster_bootstrap(rates, np.random.default_rng(0))
    other = stats.bootstrap(
        (rates,), np.mean, method="percentile", rng=np.random.default_rng(9)
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((other.low, other.high), abs=2e-3)
    half = 1.96 * rates.std() / 20
    assert (ours.low, ours.high) == pytest.approx(
        (rates.mean() - half, rates.mean() + half), abs=2e-3
    )
    assert (ours.value, ours.n) == (pytest.approx(rates.mean()), 400)


def test_clusters_are_what_is_resampled() -> None:
    # Ten attempts a task that all go the same way carry no more information than one.
    rates = np.repeat([0.0, 1.0], 30)
    interval = cluster_bootstrap(rates, np.random.default_rng(0))
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * 0.5 / np.sqrt(60), rel=0.1)


def test_no_certainty_without_variation() -> None:
    for value in (0.0, 1.0):
        estimate = cluster_bootstrap(np.full(20, value), np.random.default_rng(0))
        assert (estimate.low, estimate.high) == pytest.approx(wilson(round(20 * value), 20))


@pytest.mark.parametrize("n", [1, 2, 20, 300])
def test_equal_tasks_leave_room_for_those_that_were_not_drawn(n: int) -> None:
    """As good as the bound on how many others there may be: Wilson's for none among n."""
    unseen = wilson(0, n)[1]
    draws = np.full(50, 0.5)
    rate = rate_estimate(np.full(n, 0.5), draws)
    assert (rate.low, rate.high) == pytest.approx((0.5 - unseen / 2, 0.5 + unseen / 2))
    none = gain_estimate(np.zeros(n), np.zeros(50))
    assert (none.low, none.high) == pytest.approx((-unseen, unseen))
    whole = gain_estimate(np.ones(n), np.ones(50))
    assert (whole.low, whole.high) == pytest.approx((1 - 2 * unseen, 1.0))


def test_gains_of_rare_differences_are_covered() -> None:
    """One task in 200 differs by a whole point: 60 tasks are often all alike."""
    rng, share, hits, alike = np.random.default_rng(0), 0.005, 0, 0
    for _ in range(400):
        gains = (rng.random(60) < share).astype(float)
        alike += not gains.any()
        draws = bootstrap_means(gains[:, None], rng, 300)[:, 0]
        estimate = gain_estimate(gains, draws)
        hits += estimate.low <= share <= estimate.high
    assert alike > 250
    assert hits > 0.9 * 400


def test_without_variation_a_value_on_the_bar_is_on_neither_side() -> None:
    none = mean_over_runs(np.zeros(5))
    assert [none.p_above(bar) for bar in (-0.1, 0.0, 0.1)] == [0.0, 0.5, 1.0]


def test_seeded_and_refusing_nothing() -> None:
    rates = np.random.default_rng(4).random(30)
    one, two = (cluster_bootstrap(rates, np.random.default_rng(7), 300) for _ in range(2))
    assert one == two
    assert one != cluster_bootstrap(rates, np.random.default_rng(8), 300)
    with pytest.raises(ValueError, match="nothing to resample"):
        cluster_bootstrap(np.array([]), np.random.default_rng(0))


def test_coverage() -> None:
    generator = np.random.default_rng(11)
    hits = 0
    for _ in range(200):
        rates = generator.binomial(4, generator.beta(2, 3, size=80)) / 4
        draws = bootstrap_means(rates[:, None], generator, 400)
        low, high = percentile_interval(draws[:, 0])
        hits += low <= 0.4 <= high
    assert 178 <= hits <= 198  # 95 % of 200, give or take 4 standard deviations below
