"""The curves of the page: one line for each entry, the mean over seeds with a band."""

from collections.abc import Callable

import numpy as np

from redqueen.compare import curves
from redqueen.compare.data import RunData, StudyData
from redqueen.compare.inference import seed_interval
from redqueen.report.charts import LineStyle, Series, line_chart, percent, tag
from redqueen.report.markup import FULL, HALF, empty_figure, figure, legend, responsive, section

COLORS = (*(f"var(--k{i})" for i in range(5)), "var(--teacher)", "var(--student)", "var(--s7)")
Value = Callable[[RunData, range], float]
"""A figure of a run over some of its steps; not-a-number if there is none."""
POINTS = 40
"""Points of a curve: steps are pooled into so many bins."""


def entry_colors(data: StudyData) -> dict[str, str]:
    """The same colour for an entry everywhere on the page."""
    names = [entry.name for entry in data.study.entries]
    return {name: COLORS[i % len(COLORS)] for i, name in enumerate(names)}


def _windows(last: int) -> list[range]:
    width = -(-last // POINTS)
    return [range(start, min(start + width, last + 1)) for start in range(1, last + 1, width)]


def _rate_in(run: RunData, steps: range) -> float:
    return curves.solve_rate(run, steps)


def _coverage_in(run: RunData, steps: range) -> float:
    found = [row.coverage for row in run.steps if row.step in steps and row.coverage is not None]
    return found[-1] if found else float("nan")


def _feature_in(feature: str, run: RunData, steps: range) -> float:
    means = [curves.mean_feature(rows, feature, steps) for rows in run.kinds.values()]
    known = [value for value in means if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _series(data: StudyData, entry: str, value: Value, color: str) -> Series | None:
    runs = data.of(entry)
    if not runs:
        return None
    line, band = [], []
    for steps in _windows(max(run.last for run in runs)):
        found = [value(run, steps) for run in runs]
        known = np.array([v for v in found if np.isfinite(v)])
        if not len(known):
            continue
        x = (steps[0] + steps[-1]) / 2
        e = seed_interval(known)
        line.append((x, e.value))
        if np.isfinite(e.low):
            band.append((x, e.low, e.high))
    return Series(entry, line, color, band=band)


def _curve(data: StudyData, name: str, title: str, value: Value, style: LineStyle,
           width: float, caption: str) -> str:  # fmt: skip
    colors = entry_colors(data)
    measured = [entry.name for entry in data.study.entries if not entry.alone]
    found = [_series(data, entry, value, colors[entry]) for entry in measured]
    series = [line for line in found if line is not None and line.points]
    full = width == FULL
    if not series:
        return empty_figure(name, title, "No run has finished.", full=full)
    chart = responsive(lambda w: line_chart(series, style, w), width)
    return figure(name, title, chart, caption, full=full)


def curves_section(data: StudyData) -> str:
    """Solve rate, complexity and coverage over steps."""
    colors = entry_colors(data)
    names = [entry.name for entry in data.study.entries if not entry.alone]
    keys = tag("div", legend((name, colors[name]) for name in names), class_="full")
    figures = [
        keys,
        _curve(
            data, "solve", "Students' solve rate", _rate_in,
            LineStyle("Solve rate over steps", form=percent, low=0.0, high=1.0), FULL,
            "Share of attempts at teachers' tasks that were right, mean over kinds and seeds.",
        ),
    ]  # fmt: skip
    panels = []
    for feature, title in curves.TITLES.items():

        def value(run: RunData, steps: range, feature: str = feature) -> float:
            return _feature_in(feature, run, steps)

        panels.append(
            _curve(data, feature, title.capitalize(), value, LineStyle(title), HALF,
                   "Mean of the valid tasks, over kinds and seeds.")
        )  # fmt: skip
    panels.append(
        _curve(data, "coverage", "Coverage of the task space", _coverage_in,
               LineStyle("Coverage over steps", form=percent, low=0.0), HALF,
               "Share of the archive's cells that ever held a task.")
    )  # fmt: skip
    lead = (
        "One line for each entry: the mean over seeds, with a 95 % band over seeds (Student's t); "
        "none with one seed. Entries with more steps go further to the right."
    )
    return section("curves", "Curves", lead, *figures, *panels)
