"""The held-out result of a run: base, best student, population mean, weakest member."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from redqueen.formatting import points, span
from redqueen.report.statistics import (
    Estimate,
    Floats,
    bootstrap_means,
    gain_estimate,
    rate_estimate,
)
from redqueen.rng import numpy_rng
from redqueen.store import AVERAGE, BASE, ELICITED, TEAM, EvaluationRow
from redqueen.types import Member, Role

ALL = "all"
HELPED = "elicited base"
Estimates = dict[tuple[str, str], Estimate]
_Parts = dict[str, tuple[Estimates, Estimates, Estimates]]
"""By label: rates, gains over the base, gains over the elicited base."""


def kind_order(kinds: Iterable[str], order: Sequence[str] = ()) -> tuple[str, ...]:
    """Return task kinds without repeats: those of `order` first, then the others by name."""
    present = set(kinds)
    return (*(kind for kind in order if kind in present), *sorted(present - set(order)))


class EvaluatedRun(Protocol):
    """What is read of a run; `RunReader` fits."""

    def load_members(self) -> list[Member]:
        """Every member there ever was."""
        ...

    def load_evaluations(self, suite: str | None = None) -> list[EvaluationRow]:
        """Held-out results."""
        ...

    def evaluated_step(self, suite: str) -> int | None:
        """The step that was measured."""
        ...


NO_MEMBERS = frozenset({BASE, ELICITED, AVERAGE, TEAM})
"""Subjects of an evaluation that are no member of the population."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One line of the result table.

    `rates` and `gains` are keyed by (mode, kind), kind `all` included; a gain is the paired
    difference to the base over the same tasks, `over_elicited` to the elicited base; missing
    without one.
    """

    label: str
    member: int | None
    rates: Mapping[tuple[str, str], Estimate]
    gains: Mapping[tuple[str, str], Estimate]
    over_elicited: Mapping[tuple[str, str], Estimate]


@dataclass(frozen=True, slots=True)
class BandPoint:
    """Solve rates of base and population mean on one difficulty band; None: not measured."""

    band: int
    base: Estimate | None
    mean: Estimate


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Held-out results of one suite; see `summarize`."""

    suite: str
    step: int | None
    """The run's step that was measured."""
    kinds: tuple[str, ...]
    """Task kinds, then `all`."""
    modes: tuple[str, ...]
    """Of `sampled`, `greedy` and `vote`, those that were measured, in this order."""
    samples: Mapping[str, int]
    """Attempts per task in each mode."""
    tasks: Mapping[tuple[str, str], int]
    """Number of tasks by (mode, kind)."""
    students: int
    standings: tuple[Standing, ...]
    """Base, elicited base, population mean, best, weakest (with one student: the bases, that
    student)."""
    bands: tuple[BandPoint, ...]
    """By difficulty, in the first mode."""

    def standing(self, label: str) -> Standing | None:
        """The line with this label, or None."""
        return next((line for line in self.standings if line.label == label), None)

    @property
    def headline(self) -> Standing:
        """The line that speaks for the run: the population mean, or the only student."""
        return self.standing("population mean") or self.standings[-1]


@dataclass(frozen=True, slots=True)
class _Table:
    """Per-task success rates of one mode on the tasks that every subject attempted."""

    subjects: tuple[str, ...]
    rates_nS: NDArray[np.float64]
    kinds: NDArray[np.str_]
    bands: NDArray[np.int64]


def _tabulate(rows: Sequence[EvaluationRow], subjects: Sequence[str]) -> _Table:
    rates: dict[str, dict[str, float]] = {subject: {} for subject in subjects}
    about: dict[str, tuple[str, int]] = {}
    for row in rows:
        if row.subject in rates:
            rates[row.subject][row.task_id] = row.correct / row.samples
            about[row.task_id] = (row.kind, row.band)
    present = tuple(subject for subject in subjects if rates[subject])
    common = sorted(set.intersection(*(set(rates[s]) for s in present))) if present else []
    return _Table(
        present,
        np.array([[rates[s][task] for s in present] for task in common]).reshape(
            len(common), len(present)
        ),
        np.array([about[task][0] for task in common], dtype=np.str_),
        np.array([about[task][1] for task in common], dtype=np.int64),
    )


def _weights(subjects: Sequence[str], averaged: Sequence[str]) -> NDArray[np.float64]:
    """Return column weights that average some of the subjects."""
    return np.array([1.0 / len(averaged) if s in averaged else 0.0 for s in subjects])


def _gain(rates_nS: Floats, draws_RS: Floats, difference_S: Floats) -> Estimate:
    """Return a paired difference between averages of subjects, with its interval."""
    return gain_estimate(rates_nS @ difference_S, draws_RS @ difference_S)


def _estimates(table: _Table, weights: Mapping[str, NDArray[np.float64]], mode: str) -> _Parts:
    """Rates of each weighted average of subjects, and its gains over the two bases, by kind."""
    parts: _Parts = {label: ({}, {}, {}) for label in weights}
    for kind in (*kind_order(table.kinds.tolist()), ALL):
        chosen = slice(None) if kind == ALL else table.kinds == kind
        rates_nS = table.rates_nS[chosen]
        draws_RS = bootstrap_means(rates_nS, numpy_rng("held-out", mode, kind))
        for label, weight in weights.items():
            rates, gains, over = parts[label]
            rates[mode, kind] = rate_estimate(rates_nS @ weight, draws_RS @ weight)
            if BASE in weights and label != BASE:
                gains[mode, kind] = _gain(rates_nS, draws_RS, weight - weights[BASE])
            if HELPED in weights and label not in (BASE, HELPED):
                over[mode, kind] = _gain(rates_nS, draws_RS, weight - weights[HELPED])
    return parts


def _bands(table: _Table, weights: Mapping[str, NDArray[np.float64]], mean: str) -> list[BandPoint]:
    curve = []
    for band in sorted(set(table.bands.tolist())):
        rates_nS = table.rates_nS[table.bands == band]
        draws_RS = bootstrap_means(rates_nS, numpy_rng("held-out band", band))
        estimates = {
            label: rate_estimate(rates_nS @ weights[label], draws_RS @ weights[label])
            for label in ("base", mean)
            if label in weights
        }
        curve.append(BandPoint(band, estimates.get("base"), estimates[mean]))
    return curve


def _lines(table: _Table) -> dict[str, list[str]]:
    """Return the subjects that each line of the result averages, by its label."""
    measured = [s for s in table.subjects if s not in NO_MEMBERS]
    means = table.rates_nS.mean(axis=0)
    order = sorted(measured, key=lambda s: (-means[table.subjects.index(s)], s))
    bases = {BASE: [BASE], HELPED: [ELICITED]}
    chosen = {label: names for label, names in bases.items() if names[0] in table.subjects}
    if len(measured) == 1:
        chosen["student"] = measured
    else:
        chosen |= {"population mean": measured, "best student": order[:1], "weakest": order[-1:]}
    if AVERAGE in table.subjects:
        chosen["average adapter"] = [AVERAGE]
    return chosen


def _parts(tables: Mapping[str, _Table], chosen: Mapping[str, Sequence[str]]) -> _Parts:
    """Return the estimates of each line in all modes."""
    parts: _Parts = {label: ({}, {}, {}) for label in chosen}
    for mode, table in tables.items():
        # A subject that this mode lacks takes its line out of the mode, not a false zero in.
        present = {
            label: _weights(table.subjects, members)
            for label, members in chosen.items()
            if set(members) <= set(table.subjects)
        }
        for label, estimates in _estimates(table, present, mode).items():
            for known, added in zip(parts[label], estimates, strict=True):
                known |= added
    return parts


def summarize(run: EvaluatedRun, suite: str, kinds: Sequence[str] = ()) -> HeldOut | None:
    """Return the results of the living students against the base in a suite; None without any.

    `kinds` are task kinds in the order of showing.

    Best and weakest are the students with the highest and lowest rate over all tasks when sampled
    (greedy, if sampling was not measured). Intervals: 95 %, bootstrap over tasks with fixed
    seeds, so that the same run gives the same figures.
    """
    students = [
        f"member:{m.id}" for m in run.load_members() if m.died is None and Role.STUDENT in m.roles
    ]
    rows = run.load_evaluations(suite)
    modes = tuple(
        mode for mode in ("sampled", "greedy", "vote") if any(r.mode == mode for r in rows)
    )
    subjects = [BASE, ELICITED, AVERAGE, TEAM, *students]
    tables = {mode: _tabulate([r for r in rows if r.mode == mode], subjects) for mode in modes}
    tables = {
        mode: t for mode, t in tables.items() if t.rates_nS.size and set(t.subjects) - NO_MEMBERS
    }
    if not tables:
        return None
    modes = tuple(tables)
    first = tables[modes[0]]
    chosen = _lines(first)
    if len(students) > 1 and any(TEAM in table.subjects for table in tables.values()):
        chosen["all students"] = [TEAM]
    parts = _parts(tables, chosen)
    mean = next(label for label in ("population mean", "student") if label in chosen)
    return HeldOut(
        suite=suite,
        step=run.evaluated_step(suite),
        kinds=(*kind_order(first.kinds.tolist(), kinds), ALL),
        modes=modes,
        samples={mode: max(r.samples for r in rows if r.mode == mode) for mode in modes},
        tasks={
            (mode, kind): int((t.kinds == kind).sum()) if kind != ALL else len(t.kinds)
            for mode, t in tables.items()
            for kind in (*kind_order(t.kinds.tolist()), ALL)
        },
        students=len(chosen[mean]),
        standings=tuple(
            Standing(
                label,
                int(members[0].removeprefix("member:"))
                if len(members) == 1 and members[0] not in NO_MEMBERS
                else None,
                *parts[label],
            )
            for label, members in chosen.items()
        ),
        bands=tuple(
            _bands(first, {label: _weights(first.subjects, w) for label, w in chosen.items()}, mean)
        ),
    )


def main_suite(suites: Sequence[str]) -> str | None:
    """The suite that speaks for the run: `held-out` if there, else the first."""
    return "held-out" if "held-out" in suites else next(iter(suites), None)


def ordered_suites(suites: Sequence[str]) -> list[str]:
    """The main suite first, then the others."""
    return sorted(suites, key=lambda name: (name != main_suite(suites), name))


def verdict_sentence(result: HeldOut) -> str:
    """What came of the run with size and interval, and over the elicited base if measured."""
    text, key = _over_base(result), (result.modes[0], ALL)
    over = result.headline.over_elicited.get(key)
    if over is None:
        return text
    return (
        f"{text} Over the elicited base: {points(over.value, signed=True)} points "
        f"({span(over.low, over.high, signed=True)})."
    )


def _over_base(result: HeldOut) -> str:
    line, key = result.headline, (result.modes[0], ALL)
    if key not in line.rates:
        return "The run was not measured on held-out tasks."
    who = "The average student" if result.students > 1 else "The student"
    how = "when sampled" if key[0] == "sampled" else "with greedy decoding"
    rate = line.rates[key]
    text = f"{who} solves {rate.value:.1%} of {rate.n:,} {result.suite} tasks {how}"
    gain = line.gains.get(key)
    if gain is None:
        return f"{text} (95% interval {rate.low:.1%} to {rate.high:.1%})."
    interval = f"95% interval {span(gain.low, gain.high, signed=True)}"
    size = f"{points(abs(gain.value))} points"
    if gain.low > 0:
        return f"{text}, {size} more than the base model ({interval})."
    if gain.high < 0:
        return f"{text}, {size} less than the base model ({interval})."
    return (
        f"{text}, no clear difference from the base model "
        f"({points(gain.value, signed=True)} points, {interval})."
    )
