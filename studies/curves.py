"""What the claims read off a run's curves: complexity over time, swings, growth of coverage.

The kinds of tasks come by turns, a little unevenly from step to step, and differ in difficulty
and in length. So everything here is taken within a kind and averaged over kinds: a change of the
mixture is not a change of the tasks. Shapes: N blocks of steps.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from redqueen.compare.results import FEATURES, Floats, RunResult, mean_feature, thirds
from redqueen.rng import numpy_rng

NULL_DRAWS = 500
"""Simulated series without swings, for the expectation of what noise alone gives."""
TURN = 3.0
"""A turning point must come back by this many standard errors of a difference."""


def complexity_change(run: RunResult, features: Sequence[str] = tuple(FEATURES)) -> float:
    """Log of late over early complexity: mean over features and kinds; thirds of the run.

    Not-a-number if no kind has valid tasks in both thirds.
    """
    early, late = thirds(run.last)
    logs = [
        math.log(mean_feature(rows, feature, late) / mean_feature(rows, feature, early))
        for rows in run.kinds.values()
        for feature in features
    ]
    finite = [value for value in logs if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan


@dataclass(frozen=True, slots=True)
class Swings:
    """How a run's solve rate moved."""

    excess: float
    """Turning points minus their expected number under a monotone trend with the same noise."""
    spread: float
    """Standard deviation of that number."""
    misfit: float
    """Log of the misfit of the best monotone trend over its expectation under noise alone."""
    early: float
    late: float
    """Mean solve rates of the first and the last third."""


def block_rates(run: RunResult) -> tuple[Floats, Floats]:
    """Solve rates in blocks of as many steps as there are kinds, with their noise variances.

    A rate is the mean over tasks within a kind, then over kinds. Its variance is that of the
    tasks' rates (not of single attempts: attempts at one task share its difficulty), pooled over
    the run within each kind. Blocks in which a kind has no attempted task are left out.
    """
    size = max(1, len(run.kinds))
    totals: dict[str, dict[int, tuple[int, float]]] = {}
    variances: dict[str, float] = {}
    for kind, rows in run.kinds.items():
        blocks = totals.setdefault(kind, {})
        for row in rows:
            n, rates = blocks.get((row.step - 1) // size, (0, 0.0))
            blocks[(row.step - 1) // size] = (n + row.attempted, rates + row.rates)
        squares = sum(row.rates2 for row in rows)
        within = squares - sum(rates**2 / n for n, rates in blocks.values() if n)
        free = sum(n - 1 for n, _ in blocks.values() if n)
        variances[kind] = within / free if free > 0 else math.nan
    values, noise = [], []
    # A last block of fewer steps has fewer tasks, and its variance says so.
    for block in range(-(-run.last // size)):
        parts = {kind: blocks.get(block, (0, 0.0)) for kind, blocks in totals.items()}
        if parts and all(n for n, _ in parts.values()):
            values.append(sum(rates / n for n, rates in parts.values()) / len(parts))
            noise.append(
                sum(variances[kind] / n for kind, (n, _) in parts.items()) / len(parts) ** 2
            )
    return np.array(values), np.array(noise)


def monotone_trend(values_N: Floats, variances_N: Floats) -> tuple[Floats, float]:
    """The better of the never-falling and the never-rising fit, with its chi-square."""
    weights_N = 1.0 / variances_N
    fits = [
        isotonic_regression(values_N, weights=weights_N, increasing=rises).x
        for rises in (True, False)
    ]
    misfits = [float((weights_N * (values_N - fit_N) ** 2).sum()) for fit_N in fits]
    closest = int(np.argmin(misfits))
    return fits[closest], misfits[closest]


def reversals(values_N: Floats, threshold_N: Floats) -> int:
    """Turning points of a series that came back by more than the threshold.

    A zigzag: an extreme counts once the series has moved away from it by more than the threshold
    of where it stands, so that ripples do not count.
    """
    turns, direction = 0, 0
    high = low = float(values_N[0])
    for value, threshold in zip(values_N[1:].tolist(), threshold_N[1:].tolist(), strict=True):
        high, low = max(high, value), min(low, value)
        if direction >= 0 and high - value > threshold:
            turns += direction > 0
            direction, low, high = -1, value, value
        elif direction <= 0 and value - low > threshold:
            turns += direction < 0
            direction, low, high = 1, value, value
    return turns


def oscillation(run: RunResult) -> Swings:
    """Compare the run's swings with those that noise makes of its best monotone trend.

    The null series are trend + normal noise of the blocks' own variances; seeded by the run. With
    fewer than four blocks, or without noise to compare with, excess, spread and misfit are not
    numbers.
    """
    early, late = thirds(run.last)
    rates = run.solve_rate(early), run.solve_rate(late)
    values_N, noise_N = block_rates(run)
    if len(values_N) < 4 or not (np.isfinite(noise_N).all() and (noise_N > 0).all()):
        return Swings(math.nan, math.nan, math.nan, *rates)
    trend_N, misfit = monotone_trend(values_N, noise_N)
    threshold_N = TURN * np.sqrt(2 * noise_N)
    rng = numpy_rng("oscillation", run.entry, run.seed)
    null = trend_N + np.sqrt(noise_N) * rng.standard_normal((NULL_DRAWS, len(values_N)))
    turns = np.array([reversals(series_N, threshold_N) for series_N in null])
    misfits = np.mean([monotone_trend(series_N, noise_N)[1] for series_N in null])
    ratio = math.log(misfit / misfits) if misfit > 0 and misfits > 0 else math.nan
    excess = reversals(values_N, threshold_N) - float(turns.mean())
    return Swings(excess, float(turns.std()), ratio, *rates)


@dataclass(frozen=True, slots=True)
class Growth:
    """How coverage grew at the end of a run."""

    slope: float
    """Least-squares slope over the last third, in coverage per 100 steps."""
    late_share: float
    """Share of the run's growth that fell into the last third; 0 if there was none."""


def coverage_growth(run: RunResult) -> Growth:
    """Slope and share; not-a-number if coverage was not recorded."""
    covered = {row.step: row.coverage for row in run.steps if row.coverage is not None}
    late = [step for step in thirds(run.last)[1] if step in covered]
    before = [step for step in covered if step < late[0]] if late else []
    if not before:
        return Growth(math.nan, math.nan)
    total = covered[max(covered)] - covered[min(covered)]
    share = (covered[max(covered)] - covered[max(before)]) / total if total else 0.0
    slope = math.nan
    if len(late) > 1:
        slope = float(np.polyfit(late, [covered[step] for step in late], 1)[0])
    return Growth(100 * slope, share)
