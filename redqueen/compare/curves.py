"""What is read off a run's curves: complexity over time, swings of the solve rate, coverage.

The kinds of tasks come by turns, a little unevenly from step to step, and differ in difficulty
and in length. So everything here is taken within a kind and averaged over kinds: a change of the
mixture is not a change of the tasks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from redqueen.compare.data import RunData
from redqueen.compare.database import FEATURES, KindRow
from redqueen.compare.inference import monotone_trend, reversals
from redqueen.rng import numpy_rng

Floats = NDArray[np.float64]

TITLES = {
    "ast_depth": "depth of the syntax tree",
    "cyclomatic": "cyclomatic complexity",
    "lines": "lines of code",
}
NULL_DRAWS = 500
"""Simulated series without swings, for the expectation of what noise alone gives."""
TURN = 3.0
"""A turning point must come back by this many standard errors of a difference."""


def thirds(last: int) -> tuple[range, range]:
    """Steps of the first and of the last third of a run."""
    size = max(1, last // 3)
    return range(1, size + 1), range(last - size + 1, last + 1)


def mean_feature(rows: Sequence[KindRow], feature: str, steps: range) -> float:
    """Mean over the tasks of some steps; not-a-number without any."""
    found = [
        (row.tasks, getattr(row, feature))
        for row in rows
        if row.step in steps and getattr(row, feature) is not None
    ]
    total = sum(tasks for tasks, _ in found)
    return sum(tasks * value for tasks, value in found) / total if total else math.nan


def complexity_change(run: RunData, features: Sequence[str] = FEATURES) -> float:
    """Log of late over early complexity: mean over features and kinds; thirds of the run.

    Not-a-number if no kind has valid tasks in both thirds.
    """
    early, late = thirds(run.last)
    logs = [
        math.log(mean_feature(rows, feature, late) / mean_feature(rows, feature, early))
        for rows in run.kinds.values()
        for feature in features
    ]
    known = [value for value in logs if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


@dataclass(frozen=True, slots=True)
class Swings:
    """How a run's solve rate moved."""

    excess: float
    """Turning points minus their expected number under a monotone trend with the same noise."""
    misfit: float
    """Log of the misfit of the best monotone trend over its expectation under noise alone."""
    early: float
    late: float
    """Mean solve rates of the first and the last third."""


def block_rates(run: RunData) -> tuple[Floats, Floats]:
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
        found = {kind: blocks.get(block, (0, 0.0)) for kind, blocks in totals.items()}
        if found and all(n for n, _ in found.values()):
            values.append(sum(rates / n for n, rates in found.values()) / len(found))
            noise.append(
                sum(variances[kind] / n for kind, (n, _) in found.items()) / len(found) ** 2
            )
    return np.array(values), np.array(noise)


def solve_rate(run: RunData, steps: range) -> float:
    """Mean over tasks within kinds, then over kinds; not-a-number without attempts."""
    rates = []
    for rows in run.kinds.values():
        own = [row for row in rows if row.step in steps]
        attempted = sum(row.attempted for row in own)
        if attempted:
            rates.append(sum(row.rates for row in own) / attempted)
    return sum(rates) / len(rates) if rates else math.nan


def oscillation(run: RunData) -> Swings:
    """Compare the run's swings with those that noise makes of its best monotone trend.

    The null series are trend + normal noise of the blocks' own variances; seeded by the run. With
    fewer than four blocks, or without noise to compare with, excess and misfit are not numbers.
    """
    early, late = thirds(run.last)
    rates = solve_rate(run, early), solve_rate(run, late)
    values, noise = block_rates(run)
    if len(values) < 4 or not (np.isfinite(noise).all() and (noise > 0).all()):
        return Swings(math.nan, math.nan, *rates)
    trend, misfit = monotone_trend(values, noise)
    threshold = TURN * np.sqrt(2 * noise)
    rng = numpy_rng("oscillation", run.entry, run.seed)
    null = trend + np.sqrt(noise) * rng.standard_normal((NULL_DRAWS, len(values)))
    turns = np.mean([reversals(series, threshold) for series in null])
    misfits = np.mean([monotone_trend(series, noise)[1] for series in null])
    ratio = math.log(misfit / misfits) if misfit > 0 and misfits > 0 else math.nan
    return Swings(reversals(values, threshold) - float(turns), ratio, *rates)


@dataclass(frozen=True, slots=True)
class Growth:
    """How coverage grew at the end of a run."""

    slope: float
    """Least-squares slope over the last third, in coverage per 100 steps."""
    late_share: float
    """Share of the run's growth that fell into the last third; 0 if there was none."""


def coverage_growth(run: RunData) -> Growth:
    """Slope and share; not-a-number if coverage was not recorded."""
    known = {row.step: row.coverage for row in run.steps if row.coverage is not None}
    late = [step for step in thirds(run.last)[1] if step in known]
    before = [step for step in known if step < late[0]] if late else []
    if not before:
        return Growth(math.nan, math.nan)
    total = known[max(known)] - known[min(known)]
    share = (known[max(known)] - known[max(before)]) / total if total else 0.0
    x = np.array(late, dtype=np.float64)
    y = np.array([known[step] for step in late])
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()) \
        if len(late) > 1 else math.nan  # fmt: skip
    return Growth(100 * slope, share)
