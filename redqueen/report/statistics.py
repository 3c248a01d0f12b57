"""Intervals for rates: Wilson's for proportions, the cluster bootstrap over tasks."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
RESAMPLES = 4000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval; `n` is the number of independent units (tasks)."""

    value: float
    low: float
    high: float
    n: int


def wilson(successes: float, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval for a proportion (Wilson 1927, without continuity correction).

    Args:
        successes: successes among `n` trials; may be fractional (a mean of rates times n).
        n: trials; 0 gives (0, 1).
        confidence: coverage, in (0, 1).

    Raises:
        ValueError: `successes` is not in [0, n] or `confidence` not in (0, 1).
    """
    if not 0 <= successes <= n or not 0 < confidence < 1:
        raise ValueError(f"no proportion: {successes} of {n} at confidence {confidence}")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share, z2 = successes / n, z * z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # At 0 and n the closed form gives 0 and 1 exactly; rounding need not.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    return low, 1.0 if successes == n else min(1.0, centre + half)


def bootstrap_means(
    values_nS: NDArray[np.float64], generator: np.random.Generator, resamples: int = RESAMPLES
) -> NDArray[np.float64]:
    """Means over clusters drawn with replacement, the same draw for all S columns.

    The columns share each draw, so differences of the result's columns are the bootstrap
    distribution of the *paired* difference.

    Args:
        values_nS: one row per cluster (task), one column per subject.
        generator: draws the clusters.
        resamples: number R of draws.

    Returns:
        Array (R, S).

    Raises:
        ValueError: no cluster.
    """
    n, subjects = values_nS.shape
    if n == 0:
        raise ValueError("nothing to resample: no tasks")
    means = np.empty((resamples, subjects))
    # In blocks, so that memory stays near 8 MiB however many tasks there are.
    block = max(1, min(resamples, 1_000_000 // n))
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        draws = generator.integers(n, size=(rows, n)) + n * np.arange(rows)[:, None]
        counts = np.bincount(draws.ravel(), minlength=rows * n).reshape(rows, n)
        means[start : start + rows] = counts @ values_nS / n
    return means


def percentile_interval(
    draws: NDArray[np.float64], confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """The central `confidence` share of bootstrap draws."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def rate_estimate(
    rates: NDArray[np.float64], draws: NDArray[np.float64], confidence: float = CONFIDENCE
) -> Estimate:
    """Mean of per-task rates with its bootstrap interval.

    When all tasks have the rate 0, or all 1, every draw is the same and the bootstrap would claim
    certainty; Wilson's interval over the tasks stands in.
    """
    value, n = float(rates.mean()), len(rates)
    if value in (0.0, 1.0):
        return Estimate(value, *wilson(value * n, n, confidence), n)
    return Estimate(value, *percentile_interval(draws, confidence), n)


def cluster_bootstrap(
    rates: NDArray[np.float64],
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """`rate_estimate` of one subject: `rates` has one success rate in [0, 1] per task."""
    draws = bootstrap_means(np.asarray(rates, dtype=np.float64)[:, None], generator, resamples)
    return rate_estimate(np.asarray(rates, dtype=np.float64), draws[:, 0], confidence)
