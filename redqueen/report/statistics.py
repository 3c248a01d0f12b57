"""Intervals: Wilson's for proportions, the cluster bootstrap over tasks, Student's over runs.

Shapes: R runs, T tasks, M members, n clusters, S subjects.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from scipy.stats import t as student_t

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
RESAMPLES = 4000
EVEN = 1e-12
"""Values that differ by no more are equal: sums in another order differ by rounding."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval; `n` is the number of independent units (tasks)."""

    value: float
    low: float
    high: float
    n: int


def wilson(successes: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval for a proportion (Wilson 1927, without continuity correction).

    Args:
        successes: successes among `n` trials.
        n: trials; 0 gives (0, 1).
        confidence: coverage, in (0, 1).

    Raises:
        ValueError: `successes` is not in [0, n] or `confidence` not in (0, 1).
    """
    if n == 0:
        return 0.0, 1.0
    interval = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def bootstrap_means(
    values_nS: Floats, generator: np.random.Generator, resamples: int = RESAMPLES
) -> Floats:
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
    # In blocks that a core's cache holds: four times as fast as in blocks of some MiB.
    block = max(1, min(resamples, 32_768 // n))
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        draws = generator.integers(n, size=(rows, n)) + n * np.arange(rows)[:, None]
        counts = np.bincount(draws.ravel(), minlength=rows * n).reshape(rows, n)
        means[start : start + rows] = counts @ values_nS / n
    return means


def percentile_interval(draws: Floats, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The central `confidence` share of bootstrap draws."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def mean_estimate(
    values_n: Floats, draws: Floats, least: float, confidence: float = CONFIDENCE
) -> Estimate:
    """Mean of one value in [least, 1] for each task with its bootstrap interval.

    When all tasks have the same value, as a single task has, every draw is the same and the
    bootstrap would claim certainty. Then the interval allows for the tasks that were not drawn: a
    share of them, up to Wilson's bound for none among n, may be anywhere in [least, 1]. With values
    of 0, or of 1, that is Wilson's interval for a rate.
    """
    value, n = float(values_n.mean()), len(values_n)
    if np.ptp(values_n) > EVEN:
        return Estimate(value, *percentile_interval(draws, confidence), n)
    _, unseen = wilson(0, n, confidence)
    return Estimate(value, value - unseen * (value - least), value + unseen * (1.0 - value), n)


def rate_estimate(rates: Floats, draws: Floats, confidence: float = CONFIDENCE) -> Estimate:
    """`mean_estimate` of per-task rates, in [0, 1]."""
    return mean_estimate(rates, draws, 0.0, confidence)


def gain_estimate(gains: Floats, draws: Floats, confidence: float = CONFIDENCE) -> Estimate:
    """`mean_estimate` of per-task differences of rates, in [-1, 1]."""
    return mean_estimate(gains, draws, -1.0, confidence)


def cluster_bootstrap(
    rates: Floats,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """`rate_estimate` of one subject: `rates` has one success rate in [0, 1] per task."""
    draws = bootstrap_means(np.asarray(rates, dtype=np.float64)[:, None], generator, resamples)
    return rate_estimate(np.asarray(rates, dtype=np.float64), draws[:, 0], confidence)


@dataclass(frozen=True, slots=True)
class Effect:
    """A mean or a difference of means with its standard error and Student's degrees of freedom.

    `n` counts runs. With one run `se` is infinite: nothing is known of how runs differ.
    """

    value: float
    se: float
    df: float
    n: int

    def estimate(self, confidence: float = CONFIDENCE) -> Estimate:
        """The value with Student's interval."""
        half = self.se * float(student_t.ppf(0.5 + confidence / 2, self.df)) if self.se else 0.0
        return Estimate(self.value, self.value - half, self.value + half, self.n)

    def p_above(self, bar: float) -> float:
        """One-sided p of the null hypothesis that the truth is at most `bar`.

        Without any variation, as when no run has a turning point, a value on the bar itself is on
        neither side of it.
        """
        if not self.se:
            return 0.5 if self.value == bar else float(self.value < bar)
        return float(student_t.sf((self.value - bar) / self.se, self.df))


def mean_over_runs(values_R: Floats) -> Effect:
    """Mean of one value per run: Student's interval.

    Raises:
        ValueError: no run.
    """
    R = len(values_R)
    if R == 0:
        raise ValueError("no runs")
    if R == 1:
        return Effect(float(values_R[0]), math.inf, 1.0, 1)
    return Effect(float(values_R.mean()), float(values_R.std(ddof=1)) / math.sqrt(R), R - 1, R)


def variance_parts(values_RT: Floats) -> tuple[float, float, float]:
    """Variances of the grand mean by runs, by tasks, and by the residual alone.

    The mean squares of the two-way layout over R T (Searle, Casella and McCulloch, "Variance
    Components", 1992, chapter 4). The first two hold the residual each, so the variance of the mean
    is their sum minus the third.
    """
    R, T = values_RT.shape
    run_R, task_T = values_RT.mean(axis=1), values_RT.mean(axis=0)
    if T == 1:
        return float(run_R.var(ddof=1)) / R, 0.0, 0.0
    rest_RT = values_RT - run_R[:, None] - task_T + values_RT.mean()
    residual = float((rest_RT**2).sum()) / ((R - 1) * (T - 1))
    return float(run_R.var(ddof=1)) / R, float(task_T.var(ddof=1)) / T, residual / (R * T)


def crossed_mean(values_RT: Floats) -> Effect:
    """Mean over runs and tasks, both drawn from more; all runs share the tasks.

    The variance is in closed form (`variance_parts`) and never below the residual's; the degrees of
    freedom are Satterthwaite's.
    """
    R, T = values_RT.shape
    value = float(values_RT.mean())
    if R < 2:
        return Effect(value, math.inf, 1.0, R)
    runs, tasks, rest = variance_parts(values_RT)
    variance = max(runs + tasks - rest, rest)
    spread = runs**2 / (R - 1) + (tasks**2 + rest**2 / (R - 1)) / max(T - 1, 1)
    return Effect(value, math.sqrt(variance), variance**2 / spread if spread else R - 1, R)


def cross_fitted(
    rates_MT: Floats,
    weakest: bool,
    generator: np.random.Generator,
    folds: int = 10,
    repeats: int = 20,
) -> Floats:
    """The weakest (or best) member's rate on each task, picked on other tasks (T,).

    A member picked on the tasks on which it is judged looks weaker (better) than it is. Here the
    tasks of a fold are answered by the member that is weakest on all other folds; the mean over
    `repeats` random partitions.
    """
    M, T = rates_MT.shape
    folds = min(folds, T)
    pick = np.argmin if weakest else np.argmax
    if M == 1 or folds < 2:
        only_T: Floats = rates_MT[pick(rates_MT.mean(axis=1))]
        return only_T
    total_M1, place_T = rates_MT.sum(axis=1, keepdims=True), np.arange(T)
    sum_T = np.zeros(T)
    for _ in range(repeats):
        fold_T = generator.permutation(T) % folds
        inside_MK = rates_MT @ np.eye(folds)[fold_T]
        outside_MK = (total_M1 - inside_MK) / (T - np.bincount(fold_T))
        sum_T += rates_MT[pick(outside_MK, axis=0)[fold_T], place_T]
    rates_T: Floats = sum_T / repeats
    return rates_T
