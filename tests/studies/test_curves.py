"""Statistics of curves on made-up runs whose truth is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from redqueen.compare import KindRow, RunResult, StepRow
from studies import curves


def series(means: list[float], spread: float = 0.1, tasks: int = 20) -> RunResult:
    """A run of one kind with these solve rates by step; half the tasks above, half below."""
    kinds, steps = [], []
    features = {"ast_depth": 5.0, "cyclomatic": 2.0, "lines": 9.0}
    for i, mean in enumerate(means, start=1):
        rates = np.tile([mean - spread, mean + spread], tasks // 2)
        squares = float((rates**2).sum())
        kinds.append(
            KindRow(i, "code_o", tasks, features, 8 * tasks, tasks, float(rates.sum()), squares)
        )
        steps.append(StepRow(i, 1.0, tasks, 0.01 * i))
    return RunResult("x", 0, tuple(steps), {"code_o": tuple(kinds)}, {})


def test_complexity_change_is_within_kind() -> None:
    # Each kind stays as it is; only the mixture moves to the deeper one.
    def rows(kind: str, depth: float, counts: list[int]) -> tuple[KindRow, ...]:
        features = {"ast_depth": depth, "cyclomatic": 2.0, "lines": 9.0}
        return tuple(
            KindRow(i, kind, n, features, 8, n, 1.0, 1.0) for i, n in enumerate(counts, start=1)
        )

    run = series([0.5] * 6)
    mixed = {"a": rows("a", 4, [9, 9, 9, 1, 1, 1]), "b": rows("b", 8, [1, 1, 1, 9, 9, 9])}
    assert curves.complexity_change(replace(run, kinds=mixed)) == pytest.approx(0.0)
    deeper = tuple(
        replace(row, features={**row.features, "ast_depth": 5.0 * (1 + row.step)})
        for row in run.kinds["code_o"]
    )
    # Thirds of six steps: depths 10, 15 and 30, 35; two of three features stay.
    change = curves.complexity_change(replace(run, kinds={"a": deeper}))
    assert change == pytest.approx(math.log(32.5 / 12.5) / 3)
    assert math.isnan(curves.complexity_change(replace(run, kinds={})))


def test_swings_are_told_from_trends() -> None:
    steps = np.arange(24)
    waves = curves.oscillation(series(list(0.5 + 0.3 * np.sin(steps / 2))))
    assert waves.excess > 1.5
    assert waves.misfit > 1
    noise = np.random.default_rng(0).normal(0, 0.1 / math.sqrt(20), 24)
    for trend in (steps / 30 + 0.1, 0.9 - steps / 30, 0.9 - 0.8 * np.exp(-steps / 4)):
        swings = curves.oscillation(series(list(trend + noise)))
        assert abs(swings.excess) < 1
        assert swings.misfit < 0.7
    saturated = curves.oscillation(series([0.2] * 8 + [0.95] * 16))
    assert (saturated.early, saturated.late) == (pytest.approx(0.2), pytest.approx(0.95))


def test_false_swings_are_rare_under_noise() -> None:
    generator = np.random.default_rng(2)
    excess = [
        curves.oscillation(series(list(0.5 + generator.normal(0, 0.1 / math.sqrt(20), 20)))).excess
        for _ in range(20)
    ]
    assert abs(np.mean(excess)) < 0.2


def test_too_short_runs_have_no_swings() -> None:
    assert math.isnan(curves.oscillation(series([0.5, 0.6])).excess)


def test_block_noise_is_that_of_tasks() -> None:
    rates, noise = curves.block_rates(series([0.5] * 6, spread=0.2, tasks=10))
    np.testing.assert_allclose(rates, 0.5)
    # Ten tasks at 0.3 or 0.7: variance 0.04 * 10 / 9.
    np.testing.assert_allclose(noise, 0.04 * 10 / 9 / 10)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_the_trend_is_the_best_monotone_one(values: list[float]) -> None:
    """Against a general optimizer over series that rise (or fall)."""
    y = np.array(values)
    variances = np.linspace(0.5, 1.5, len(y))
    fit, misfit = curves.monotone_trend(y, variances)
    assert (np.diff(fit) >= -1e-12).all() or (np.diff(fit) <= 1e-12).all()
    root = 1 / np.sqrt(variances)
    best = math.inf
    for sign in (1, -1):
        steps = np.tril(np.ones((len(y), len(y))))
        low = np.r_[-np.inf, np.zeros(len(y) - 1)]
        solution = optimize.lsq_linear(root[:, None] * steps, root * sign * y, (low, np.inf))
        best = min(best, 2 * solution.cost)
    assert misfit == pytest.approx(best, abs=1e-6)


def test_reversals_count_turns_beyond_the_threshold() -> None:
    ripples = np.array([0.0, 0.5, 0.45, 0.9, 0.3, 0.32, 0.28, 0.8])
    assert curves.reversals(ripples, np.full(8, 0.2)) == 2
    assert curves.reversals(ripples, np.full(8, 0.01)) == 6
    assert curves.reversals(ripples, np.full(8, 2.0)) == 0


def test_coverage_growth() -> None:
    run = series([0.5] * 9)
    assert curves.coverage_growth(run).slope == pytest.approx(1.0)
    assert curves.coverage_growth(run).late_share == pytest.approx(3 / 8)
    flat = tuple(replace(row, coverage=min(row.coverage or 0, 0.06)) for row in run.steps)
    grown = curves.coverage_growth(replace(run, steps=flat))
    assert (grown.slope, grown.late_share) == (pytest.approx(0.0), pytest.approx(0.0))
    none = tuple(replace(row, coverage=None) for row in run.steps)
    assert math.isnan(curves.coverage_growth(replace(run, steps=none)).slope)
