"""The claims, each one sentence with its statistic, fixed before the data are seen.

A claim has parts. Each part is one number per seed with an interval over seeds and a side of a bar
that it must lie on: wholly on that side it is supported, wholly on the other it is not supported,
else undecided. A claim is supported if all of its parts are, not supported if one part is not, else
undecided. Parts under `also` are shown with their own verdicts and do not count. docs/compare.md
says why each statistic is what it is.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from redqueen.compare import curves
from redqueen.compare.data import RunData, StudyData
from redqueen.compare.database import FEATURES
from redqueen.compare.inference import crossed_interval, seed_interval, sign_flip
from redqueen.compare.study import ClaimSpec, Study
from redqueen.errors import ConfigError
from redqueen.report.statistics import Estimate
from redqueen.rng import numpy_rng

Floats = NDArray[np.float64]
Verdict = Literal["supported", "not supported", "undecided"]

SATURATED = 0.9
"""A mean solve rate at or above this is called saturated."""
STILL_GROWING = 0.1
"""Share of all coverage growth that the last third must bring (even growth: 1/3)."""
COST_BAR = 1.31
"""The paper's price of eight adapters in wall clocks of one."""


@dataclass(frozen=True, slots=True)
class Part:
    """One statistic of a claim. Ratios are estimated on the log scale and shown as ratios."""

    text: str
    estimate: Estimate
    """Over seeds; `n` counts them."""
    side: Literal["above", "below"]
    bar: float
    p: float
    """One-sided sign-flip test over seeds that the value lies on the claim's side of the bar."""
    unit: Literal["points", "ratio", "number"] = "number"

    @property
    def verdict(self) -> Verdict:
        """By where the interval lies; see the module."""
        e = self.estimate
        if self.side == "above":
            good, bad = e.low > self.bar, e.high < self.bar
        else:
            good, bad = e.high < self.bar, e.low > self.bar
        return "supported" if good else "not supported" if bad else "undecided"


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of a claim."""

    claim: "Claim"
    spec: ClaimSpec
    view: str | None
    parts: tuple[Part, ...]
    also: tuple[Part, ...]

    @property
    def sentence(self) -> str:
        """The claim with its entries' names."""
        return self.claim.sentence.format(of=self.spec.of, against=self.spec.against)

    @property
    def verdict(self) -> Verdict:
        """Over the parts; without data: undecided."""
        verdicts = [part.verdict for part in self.parts]
        if "not supported" in verdicts:
            return "not supported"
        return "supported" if verdicts and set(verdicts) == {"supported"} else "undecided"


Parts = tuple[list[Part], list[Part]]


@dataclass(frozen=True, slots=True)
class Claim:
    """An entry of the registry."""

    letter: str
    sentence: str
    """With {of} and {against} where the entries' names go."""
    test: Callable[[StudyData, ClaimSpec], Parts]
    pairs: bool = True
    """Whether it compares two entries at matched work."""
    evaluated: bool = False
    """Whether it needs held-out results."""

    def check(self, spec: ClaimSpec, study: Study) -> None:
        """Refuse a claim that the study cannot test.

        Raises:
            ConfigError: an entry is missing, unknown, not measured, or not matched.
        """
        names = {entry.name: entry for entry in study.entries}
        wanted = [spec.of] if spec.against is None else [spec.of, spec.against]
        if self.pairs and spec.against is None:
            raise ConfigError(f"claim {spec.claim!r} compares two entries: set `against`")
        for name in wanted:
            if name not in names:
                raise ConfigError(
                    f"claim {spec.claim!r}: no entry {name!r}; there are: {', '.join(names)}"
                )
            if self.evaluated and not names[name].evaluate:
                raise ConfigError(
                    f"claim {spec.claim!r} is about held-out results, but {name} has "
                    "evaluate = false"
                )
        if spec.against is not None and matching_view(spec, study) is None:
            raise ConfigError(
                f"claim {spec.claim!r} compares {spec.of} with {spec.against}, but no view "
                "matches their work; put both into one"
            )


def matching_view(spec: ClaimSpec, study: Study) -> str | None:
    """The first view that holds both entries of a claim."""
    both = {spec.of, spec.against}
    return next((view.name for view in study.views if both <= set(view.entries)), None)


def _part(
    text: str,
    values: Sequence[float] | Floats,
    side: Literal["above", "below"],
    bar: float = 0.0,
    unit: Literal["points", "ratio", "number"] = "number",
) -> Part:
    """A part from one value per seed. Ratios come as logarithms, with a log bar.

    Seeds without a value (not a number) are left out; without any the part is undecided.
    """
    values_S = np.array([value for value in values if math.isfinite(value)], dtype=np.float64)
    if len(values_S):
        sign = 1.0 if side == "above" else -1.0
        p = sign_flip(sign * (values_S - bar), numpy_rng("sign flips", text))
        part = Part(text, seed_interval(values_S), side, bar, p, unit)
    else:
        part = Part(text, Estimate(math.nan, -math.inf, math.inf, 0), side, bar, 1.0, unit)
    return _as_ratio(part) if unit == "ratio" else part


def _as_ratio(part: Part) -> Part:
    """From the log scale."""
    e = part.estimate
    high = math.exp(min(e.high, 700.0)) if e.high < math.inf else math.inf
    shown = Estimate(math.exp(e.value), math.exp(e.low), high, e.n)
    return replace(part, estimate=shown, bar=math.exp(part.bar))


def _held_out(
    data: StudyData,
    spec: ClaimSpec,
    what: str,
    pick: Callable[[RunData, str, str], Floats],
) -> Parts:
    """Paired differences, by suite and mode; the first suite in the first mode decides."""
    assert spec.against is not None
    parts: list[Part] = []
    for suite in data.study.evaluation.suites:
        for mode in data.modes:
            rows = [
                pick(one, suite, mode) - two.results[suite, mode].mean_T
                for one, two in data.pairs(spec.of, spec.against)
                if (suite, mode) in one.results and (suite, mode) in two.results
            ]
            text = f"{what}, {suite}, {mode}"
            if not rows:
                parts.append(_part(text, [], "above", 0.0, "points"))
                continue
            values_ST = np.array(rows)
            rng = numpy_rng("claim", spec.claim, spec.of, spec.against, suite, mode)
            estimate = crossed_interval(values_ST, rng)
            p = sign_flip(values_ST.mean(axis=1), rng)
            parts.append(Part(text, estimate, "above", 0.0, p, "points"))
    return parts[:1], parts[1:]


def mean_beats(data: StudyData, spec: ClaimSpec) -> Parts:
    """Solve rate of the average member, minus the other entry's, on the same tasks."""

    def mean(run: RunData, suite: str, mode: str) -> Floats:
        return run.results[suite, mode].mean_T

    return _held_out(data, spec, f"{spec.of} mean minus {spec.against}", mean)


def weakest_beats(data: StudyData, spec: ClaimSpec) -> Parts:
    """The same for the weakest member, which is picked on these tasks (so it looks weaker)."""

    def weakest(run: RunData, suite: str, mode: str) -> Floats:
        results = run.results[suite, mode]
        row: Floats = results.rates_MT[results.order[-1]]
        return row

    return _held_out(data, spec, f"{spec.of} weakest minus {spec.against}", weakest)


def tasks_diverge(data: StudyData, spec: ClaimSpec) -> Parts:
    """Late over early complexity: log ratio of the last to the first third, within kind."""
    assert spec.against is not None
    changes = {name: _changes(data, name) for name in (spec.of, spec.against)}
    text = "late / early complexity of tasks, {}"
    decided = [
        _part(text.format(spec.against), changes[spec.against]["all"], "below", 0.0, "ratio"),
        _part(text.format(spec.of), changes[spec.of]["all"], "above", 0.0, "ratio"),
    ]
    paired = [
        curves.complexity_change(one) - curves.complexity_change(two)
        for one, two in data.pairs(spec.of, spec.against)
    ]
    also = [_part(f"{spec.of} over {spec.against}, late / early", paired, "above", 0.0, "ratio")]
    for feature in FEATURES:
        text = f"late / early {curves.TITLES[feature]}, {{}}"
        easier, harder = changes[spec.against][feature], changes[spec.of][feature]
        also += [
            _part(text.format(spec.against), easier, "below", 0.0, "ratio"),
            _part(text.format(spec.of), harder, "above", 0.0, "ratio"),
        ]
    return decided, also


def _changes(data: StudyData, entry: str) -> dict[str, list[float]]:
    runs = data.of(entry)
    by_feature = {
        feature: [curves.complexity_change(run, (feature,)) for run in runs] for feature in FEATURES
    }
    return {"all": [curves.complexity_change(run) for run in runs]} | by_feature


def rates_oscillate(data: StudyData, spec: ClaimSpec) -> Parts:
    """Turning points beyond those of a monotone trend with the same noise, and no saturation."""
    runs = data.of(spec.of)
    swings = [curves.oscillation(run) for run in runs]
    name = spec.of
    decided = [
        _part(f"turning points beyond noise, {name}", [s.excess for s in swings], "above"),
        _part(
            f"solve rate in the last third, {name}", [s.late for s in swings], "below", SATURATED,
            "points",
        ),
    ]  # fmt: skip
    also = [
        _part(
            f"misfit of a monotone trend / noise, {name}", [s.misfit for s in swings], "above",
            0.0, "ratio",
        ),
        _part(
            f"late minus early solve rate, {name}", [s.late - s.early for s in swings], "above",
            0.0, "points",
        ),
    ]  # fmt: skip
    return decided, also


def coverage_grows(data: StudyData, spec: ClaimSpec) -> Parts:
    """Slope of coverage in the last third, and the share of all growth that falls there."""
    grown = [curves.coverage_growth(run) for run in data.of(spec.of)]
    decided = [
        _part(
            f"coverage per 100 steps in the last third, {spec.of}", [g.slope for g in grown],
            "above", 0.0, "points",
        ),
        _part(
            f"share of its growth in the last third, {spec.of}", [g.late_share for g in grown],
            "above", STILL_GROWING, "points",
        ),
    ]  # fmt: skip
    return decided, []


def cost_ratio(data: StudyData, spec: ClaimSpec) -> Parts:
    """Median wall clock of a step over that of the other entry, paired by seed."""
    assert spec.against is not None
    pairs = data.pairs(spec.of, spec.against)
    text = f"seconds a step, {spec.of} / {spec.against}"
    logs = [math.log(one.step_seconds / two.step_seconds) for one, two in pairs]
    memory = [
        math.log(one.memory["host"] / two.memory["host"])
        for one, two in pairs
        if "host" in one.memory and "host" in two.memory
    ]
    bar = math.log(COST_BAR)
    return (
        [_part(text, logs, "below", bar, "ratio")],
        [_part(f"peak memory, {spec.of} / {spec.against}", memory, "below", bar, "ratio")],
    )


CLAIMS: dict[str, Claim] = {
    "tasks-diverge": Claim(
        "a",
        "The tasks of {against} get easier while those of {of} get more complex.",
        tasks_diverge,
    ),
    "rates-oscillate": Claim(
        "b", "The students' solve rates in {of} oscillate rather than saturate.", rates_oscillate,
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


def judge(data: StudyData) -> list[Finding]:
    """Every claim of the study, in its order."""
    findings = []
    for spec in data.study.claims:
        claim = CLAIMS[spec.claim]
        parts, also = claim.test(data, spec)
        view = matching_view(spec, data.study) if claim.pairs else None
        findings.append(Finding(claim, spec, view, tuple(parts), tuple(also)))
    return findings
