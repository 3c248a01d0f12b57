"""The figures of the table: each entry's held-out result, cost and work, over its seeds."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from redqueen.compare import curves
from redqueen.compare.data import Results, RunData, StudyData
from redqueen.compare.inference import crossed_interval, seed_interval
from redqueen.report.heldout import ALL, kind_order
from redqueen.report.statistics import Estimate
from redqueen.rng import numpy_rng

Floats = NDArray[np.float64]

STANDINGS = ("mean", "best", "weakest")


@dataclass(frozen=True, slots=True)
class Cell:
    """A solve rate over seeds and tasks, and its paired difference to the base."""

    rate: Estimate
    gain: Estimate | None


@dataclass(frozen=True, slots=True)
class EntrySummary:
    """One entry of the comparison."""

    name: str
    runs: int
    cells: Mapping[tuple[str, str, str, str], Cell]
    """By (suite, mode, kind, standing), kind `all` included."""
    seconds: Estimate | None
    """Median wall clock of a step."""
    memory: Estimate | None
    """Peak MiB of a run's process."""
    coverage: Estimate | None
    """At the end."""
    solve_rate: Estimate | None
    """Of the last third."""
    attempts: float | None
    """Made, mean over runs."""
    proposals: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """All entries, and the base."""

    entries: tuple[EntrySummary, ...]
    base: Mapping[tuple[str, str, str], Estimate]
    """By (suite, mode, kind): the base's rate, with an interval over tasks."""
    kinds: Mapping[str, tuple[str, ...]]
    """Of each suite, `all` last."""
    tasks: Mapping[tuple[str, str], int]
    """By (suite, kind)."""


def _pick(results: Results, standing: str) -> Floats:
    if standing == "mean":
        return results.mean_T
    row: Floats = results.rates_MT[results.order[0 if standing == "best" else -1]]
    return row


def _draws(suite: str, kind: str) -> np.random.Generator:
    """The same resamples for all entries and standings, so that their intervals are alike."""
    return numpy_rng("summary", suite, kind)


def _clipped(e: Estimate) -> Estimate:
    """Student's interval knows no ends; a share lies in [0, 1]."""
    if not np.isfinite(e.low):
        return e
    return Estimate(e.value, max(e.low, 0.0), min(e.high, 1.0), e.n)


def _shares(values: list[float]) -> Estimate | None:
    return _clipped(seed_interval(np.array(values))) if values else None


def _cells(data: StudyData, runs: list[RunData]) -> dict[tuple[str, str, str, str], Cell]:
    cells = {}
    for suite, tasks in data.suites.items():
        for mode in data.modes:
            own = [run.results[suite, mode] for run in runs if (suite, mode) in run.results]
            if not own:
                continue
            for kind in (*kind_order(tasks.kinds.tolist()), ALL):
                chosen = tasks.kinds == kind if kind != ALL else np.ones(len(tasks.kinds), bool)
                for standing in STANDINGS:
                    rates_ST = np.array([_pick(results, standing)[chosen] for results in own])
                    bases = [results.base_T for results in own]
                    gain = None
                    if all(base is not None for base in bases):
                        base_ST = np.array([base[chosen] for base in bases if base is not None])
                        gain = crossed_interval(rates_ST - base_ST, _draws(suite, kind))
                    cells[suite, mode, kind, standing] = Cell(
                        _clipped(crossed_interval(rates_ST, _draws(suite, kind))), gain
                    )
    return cells


def _over_seeds(values: list[float]) -> Estimate | None:
    return seed_interval(np.array(values)) if values else None


def _entry(data: StudyData, name: str) -> EntrySummary:
    runs = data.of(name)
    covered = [run.steps[-1].coverage for run in runs]
    rates = [curves.solve_rate(run, curves.thirds(run.last)[1]) for run in runs]
    return EntrySummary(
        name=name,
        runs=len(runs),
        cells=_cells(data, runs) if runs else {},
        seconds=_over_seeds([run.step_seconds for run in runs]),
        memory=_over_seeds([run.memory["host"] for run in runs if "host" in run.memory]),
        coverage=_shares([value for value in covered if value is not None]),
        solve_rate=_shares([value for value in rates if np.isfinite(value)]),
        attempts=fmean(run.attempts for run in runs) if runs else None,
        proposals=fmean(run.proposals for run in runs) if runs else None,
    )


def _base(data: StudyData) -> dict[tuple[str, str, str], Estimate]:
    found: dict[tuple[str, str, str], Estimate] = {}
    for suite, tasks in data.suites.items():
        for mode in data.modes:
            bases = [
                results.base_T
                for run in data.runs
                if (results := run.results.get((suite, mode))) and results.base_T is not None
            ]
            # With several bases in one study there is no one line to draw.
            if not bases or any(not np.array_equal(bases[0], base) for base in bases):
                continue
            for kind in (*kind_order(tasks.kinds.tolist()), ALL):
                chosen = bases[0] if kind == ALL else bases[0][tasks.kinds == kind]
                found[suite, mode, kind] = _clipped(seed_interval(chosen))
    return found


def summarize_study(data: StudyData) -> Summary:
    """Every figure of the table; seeded, so that the same data give the same figures."""
    kinds = {s: (*kind_order(tasks.kinds.tolist()), ALL) for s, tasks in data.suites.items()}
    return Summary(
        entries=tuple(_entry(data, entry.name) for entry in data.study.entries),
        base=_base(data),
        kinds=kinds,
        tasks={
            (suite, kind): int((tasks.kinds == kind).sum()) if kind != ALL else len(tasks.kinds)
            for suite, tasks in data.suites.items()
            for kind in kinds[suite]
        },
    )
