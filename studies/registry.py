"""The registry of claims: each one sentence with its statistic, fixed before the data are seen."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from redqueen.compare.results import FEATURES, MODES, Floats
from redqueen.compare.table import average, weakest
from redqueen.report.statistics import Effect, Estimate, mean_over_runs
from studies import curves
from studies.data import StudyData
from studies.published import published_difference, published_weakest
from studies.statistics import crossed_difference, difference

Side = Literal["above", "below"]
Unit = Literal["points", "ratio", "number"]

SATURATED = 0.9
"""A mean solve rate at or above this is called saturated."""
STILL_GROWING = 0.1
"""Share of all coverage growth that the last third must bring (even growth: 1/3)."""
COST_BAR = 1.31
"""The paper's price of eight adapters in wall clocks of one."""


@dataclass(frozen=True, slots=True)
class Part:
    """One statistic of a claim. Ratios are on the log scale, their bar too."""

    text: str
    effect: Effect | None
    """None: no data."""
    side: Side
    bar: float = 0.0
    unit: Unit = "number"
    shown: Estimate | None = None
    """Another interval than the effect's: that of the published rule."""

    @property
    def estimate(self) -> Estimate:
        """The value with its interval, on the scale of the unit."""
        if self.effect is None:
            return Estimate(math.nan, -math.inf, math.inf, 0)
        e = self.shown or self.effect.estimate()
        if self.unit != "ratio":
            return e
        high = math.exp(e.high) if e.high < 700 else math.inf
        return Estimate(math.exp(e.value), math.exp(e.low), high, e.n)

    @property
    def p_supported(self) -> float:
        """One-sided, that the truth is not on the claim's side."""
        if self.effect is None:
            return 1.0
        above = self.effect.p_above(self.bar)
        return above if self.side == "above" else 1.0 - above

    @property
    def published_verdict(self) -> str:
        """By where the interval lies."""
        e, bar = self.estimate, math.exp(self.bar) if self.unit == "ratio" else self.bar
        good, bad = e.low > bar, e.high < bar
        if self.side == "below":
            good, bad = bad, good
        return "supported" if good else "not supported" if bad else "undecided"


@dataclass(frozen=True, slots=True)
class Spec:
    """A claim of the study file: `of` against `against`."""

    claim: str
    of: str
    against: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """How held-out differences are estimated."""

    estimate: Callable[
        [Sequence[Floats], Sequence[Floats], tuple[str, ...]], tuple[Effect, Estimate]
    ]
    """(rates of the one, of the other, names to seed draws with) -> effect, interval shown."""
    weakest: Callable[..., Floats]


def _welch(
    one: Sequence[Floats], two: Sequence[Floats], names: tuple[str, ...]
) -> tuple[Effect, Estimate]:
    effect = crossed_difference(np.array(one), np.array(two))
    return effect, effect.estimate()


CLOSED = Rule(_welch, weakest)
PUBLISHED = Rule(published_difference, published_weakest)
Parts = tuple[list[Part], list[Part]]
"""Those that decide, and those that are shown beside."""


def _part(
    text: str, values: Sequence[float], side: Side, bar: float = 0.0, unit: Unit = "number"
) -> Part:
    """A part from one value per run; runs without a value are left out."""
    finite = np.array([value for value in values if math.isfinite(value)])
    return Part(text, mean_over_runs(finite) if len(finite) else None, side, bar, unit)


# ── the claims ──────────────────────────────────────────────────────────────────────────────────


def _held_out(
    data: StudyData, spec: Spec, rule: Rule, what: str, standing: Callable[..., Floats]
) -> Parts:
    """Differences by suite and mode; the first suite in the first mode decides."""
    assert spec.against is not None
    parts = []
    for suite in data.study.evaluation.suites:
        for mode in MODES:
            rows: list[list[Floats]] = []
            for entry, which in ((spec.of, standing), (spec.against, average)):
                measured = [run.answers.get((suite, mode)) for run in data.of(entry)]
                rows.append([which(answers, suite, mode) for answers in measured if answers])
            text = f"{spec.of} {what} minus {spec.against}, {suite}, {mode}"
            if all(rows):
                names = (spec.claim, spec.of, spec.against, suite, mode)
                effect, shown = rule.estimate(rows[0], rows[1], names)
                parts.append(Part(text, effect, "above", 0.0, "points", shown))
            else:
                parts.append(Part(text, None, "above", 0.0, "points"))
    return parts[:1], parts[1:]


def mean_beats(data: StudyData, spec: Spec, rule: Rule) -> Parts:
    """Solve rate of the average member, minus the other entry's, on the same tasks."""
    return _held_out(data, spec, rule, "mean", average)


def weakest_beats(data: StudyData, spec: Spec, rule: Rule) -> Parts:
    """The same for the weakest member."""
    return _held_out(data, spec, rule, "weakest", rule.weakest)


def tasks_diverge(data: StudyData, spec: Spec, rule: Rule) -> Parts:
    """Late over early complexity: log ratio of the last to the first third, within kind."""
    assert spec.against is not None

    def changes(entry: str, *features: str) -> list[float]:
        return [
            curves.complexity_change(run, features or tuple(FEATURES)) for run in data.of(entry)
        ]

    text = "late / early complexity of tasks, {}"
    easier, harder = changes(spec.against), changes(spec.of)
    decided = [
        _part(text.format(spec.against), easier, "below", 0.0, "ratio"),
        _part(text.format(spec.of), harder, "above", 0.0, "ratio"),
    ]
    gap = difference(np.array(harder), np.array(easier)) if easier and harder else None
    also = [Part(f"{spec.of} over {spec.against}, late / early", gap, "above", 0.0, "ratio")]
    for feature, title in FEATURES.items():
        for entry, side in ((spec.against, "below"), (spec.of, "above")):
            values = changes(entry, feature)
            also.append(_part(f"late / early {title}, {entry}", values, side, 0.0, "ratio"))  # type: ignore[arg-type]
    return decided, also


def _turning_points(text: str, swings: Sequence[curves.Swings], rule: Rule) -> Part:
    """Turning points beyond noise, over runs; their error is never below that of noise alone.

    Turning points are few. Runs that happen to have none differ only in what was expected of them,
    and their own deviation would be next to nothing.
    """
    part = _part(text, [s.excess for s in swings], "above")
    if part.effect is None or rule is PUBLISHED:
        return part
    squares = np.array([s.spread**2 for s in swings if math.isfinite(s.spread)])
    noise = math.sqrt(float(squares.mean()) / len(squares))
    return replace(part, effect=replace(part.effect, se=max(part.effect.se, noise)))


def rates_oscillate(data: StudyData, spec: Spec, rule: Rule) -> Parts:
    """Turning points beyond those of a monotone trend with the same noise, and no saturation."""
    swings = [curves.oscillation(run) for run in data.of(spec.of)]
    late, rise = [s.late for s in swings], [s.late - s.early for s in swings]
    misfit, of = [s.misfit for s in swings], spec.of
    decided = [
        _turning_points(f"turning points beyond noise, {of}", swings, rule),
        _part(f"solve rate in the last third, {of}", late, "below", SATURATED, "points"),
    ]
    also = [
        _part(f"misfit of a monotone trend / noise, {of}", misfit, "above", 0.0, "ratio"),
        _part(f"late minus early solve rate, {of}", rise, "above", 0.0, "points"),
    ]
    return decided, also


def coverage_grows(data: StudyData, spec: Spec, rule: Rule) -> Parts:
    """Slope of coverage in the last third, and the share of all growth that falls there."""
    grown = [curves.coverage_growth(run) for run in data.of(spec.of)]
    slopes, shares, of = [g.slope for g in grown], [g.late_share for g in grown], spec.of
    slope = f"coverage per 100 steps in the last third, {of}"
    share = f"share of its growth in the last third, {of}"
    decided = [
        _part(slope, slopes, "above", 0.0, "points"),
        _part(share, shares, "above", STILL_GROWING, "points"),
    ]
    return decided, []


def cost_ratio(data: StudyData, spec: Spec, rule: Rule) -> Parts:
    """Median wall clock of a step over that of the other entry, paired by seed.

    Runs of the same seed were made in turns, so the machine's mood is common to a pair.
    """
    assert spec.against is not None
    others = {run.seed: run for run in data.of(spec.against)}
    pairs = [(run, others[run.seed]) for run in data.of(spec.of) if run.seed in others]
    logs = [math.log(one.step_seconds / two.step_seconds) for one, two in pairs]
    text = f"seconds a step, {spec.of} / {spec.against}"
    return [_part(text, logs, "below", math.log(COST_BAR), "ratio")], []


@dataclass(frozen=True, slots=True)
class Claim:
    """An entry of the registry."""

    letter: str
    sentence: str
    """With {of} and {against} where the entries' names go."""
    test: Callable[[StudyData, Spec, Rule], Parts]
    pairs: bool = True
    """Whether it compares two entries at matched work."""
    evaluated: bool = False
    """Whether it is about held-out results."""


CLAIMS: dict[str, Claim] = {
    "tasks-diverge": Claim(
        "a",
        "The tasks of {against} get easier while those of {of} get more complex.",
        tasks_diverge,
    ),
    "rates-oscillate": Claim(
        "b",
        "The students' solve rates in {of} oscillate rather than saturate.",
        rates_oscillate,
        pairs=False,
    ),
    "coverage-grows": Claim(
        "c", "{of} keeps filling new cells of the task space.", coverage_grows, pairs=False
    ),
    "mean-beats": Claim(
        "d", "The average member of {of} beats {against} on held-out tasks.", mean_beats,
        evaluated=True,
    ),
    "weakest-beats": Claim(
        "e", "Even the weakest member of {of} beats {against} on held-out tasks.", weakest_beats,
        evaluated=True,
    ),
    "cost": Claim(
        "f", "A step of {of} takes at most 1.31 times as long as one of {against}.", cost_ratio
    ),
    "evolution-adds": Claim(
        "g", "Evolution adds something: {of} beats {against}, the same without it, held-out.",
        mean_beats, evaluated=True,
    ),
    "matchmaking-adds": Claim(
        "h", "Prioritized matchmaking adds something: {of} beats {against}, held-out.",
        mean_beats, evaluated=True,
    ),
}  # fmt: skip
"""Name -> claim."""
