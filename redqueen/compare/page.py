"""`compare.html`: a comparison on one self-contained page."""

from collections.abc import Callable, Sequence

import numpy as np

from redqueen.compare.plan import Plan
from redqueen.compare.results import FEATURES, MODES, RunResult
from redqueen.compare.study import Study
from redqueen.compare.table import (
    NOTE,
    Table,
    base_effects,
    held_out,
    interval,
    of_entry,
    page_table,
)
from redqueen.formatting import plural
from redqueen.report.figures import (
    Code,
    Dot,
    Dots,
    Figure,
    Lines,
    Page,
    Panel,
    Section,
    Series,
    finite,
)
from redqueen.report.heldout import ALL, kind_order
from redqueen.report.html import document, to_json
from redqueen.report.statistics import Effect, mean_over_runs
from redqueen.store import config_toml

CHAPTERS = (("held-out", "Held-out"), ("curves", "Curves"), ("cost", "Cost"), ("setup", "Setup"))
COLORS = (*(f"var(--k{i})" for i in range(5)), "var(--teacher)", "var(--student)", "var(--s7)")
POINTS = 40
"""Points of a curve: steps are pooled into so many bins."""
Value = Callable[[RunResult, range], float]
"""A figure of a run over some of its steps; not-a-number if there is none."""


def _colors(study: Study) -> dict[str, str]:
    """The same colour for an entry everywhere on the page."""
    return {entry.name: COLORS[i % len(COLORS)] for i, entry in enumerate(study.entries)}


# ── held-out results ────────────────────────────────────────────────────────────────────────────


def _dot(name: str, kind: str, effect: Effect, color: str) -> Dot:
    e = effect.estimate()
    low, high = (e.low, e.high) if np.isfinite(e.low) else (e.value, e.value)
    hover = f"{name}, {kind}: {e.value:.1%} ({interval(e)})"
    low, high = max(low, 0.0), min(high, 1.0)
    return Dot(name, e.value, low, high, color, hover, strong=kind == ALL)


def _dots(study: Study, runs: Sequence[RunResult], suite: str, mode: str) -> list[Figure]:
    measured = [run.answers[suite, mode] for run in runs if (suite, mode) in run.answers]
    if not measured:
        return []
    panels = []
    for kind in (*kind_order(measured[0].kinds_T.tolist()), ALL):
        dots = []
        chosen = "" if kind == ALL else kind
        base = base_effects(runs, suite, mode, (chosen,))
        if base is not None:
            dots.append(_dot("base", kind, base[0], "var(--base)"))
        for name, color in _colors(study).items():
            figures = held_out(of_entry(runs, name), suite, mode, kind=chosen)
            if figures:
                dots.append(_dot(name, kind, figures[0], color))
        panels.append(Panel("all kinds" if kind == ALL else kind, dots))
    high = max(dot.high for panel in panels for dot in panel.dots)
    title = f"{suite}, {mode}: solve rate of the average student"
    chart = Dots(title, panels, high)
    return [Figure(f"dots-{suite}-{mode}", title, [chart], NOTE, full=True)]


def _table(table: Table, caption: str = NOTE) -> Figure:
    return Figure(f"table-{table.name}", table.title, [page_table(table)], caption, full=True)


def _held_out(study: Study, runs: Sequence[RunResult], tables: Sequence[Table]) -> Section:
    parts: list[Figure] = []
    for suite in study.evaluation.suites:
        for mode in MODES:
            parts += _dots(study, runs, suite, mode)
            names = (f"{suite}-{mode}", f"{suite}-{mode}-kinds")
            parts += [_table(table) for table in tables if table.name in names]
    lead = "" if parts else "No run of this study was measured."
    return Section("held-out", "Held-out results", lead, parts)


# ── curves ──────────────────────────────────────────────────────────────────────────────────────


def _series(runs: Sequence[RunResult], name: str, value: Value, color: str) -> Series:
    line, band = [], []
    last = max((run.last for run in runs), default=0)
    width = -(-last // POINTS) or 1
    for start in range(1, last + 1, width):
        steps = range(start, min(start + width, last + 1))
        values = np.array([value(run, steps) for run in runs])
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        x, e = (steps[0] + steps[-1]) / 2, mean_over_runs(values).estimate()
        line.append((x, e.value))
        if np.isfinite(e.low):
            band.append((x, e.low, e.high))
    return Series(name, finite(line), color, finite(band))


def _curves(study: Study, runs: Sequence[RunResult]) -> Section:
    colors = _colors(study)
    shown = [entry.name for entry in study.entries if not entry.alone]
    caption = "Mean over kinds of tasks and over runs, with a 95 % band over runs."

    def curve(
        key: str, title: str, value: Value, form: str = "number", *,
        low: float | None = None, high: float | None = None,
    ) -> list[Figure]:  # fmt: skip
        series = [_series(of_entry(runs, name), name, value, colors[name]) for name in shown]
        series = [line for line in series if line.points]
        chart = Lines(f"{title} over steps", series, form, low=low, high=high)
        return [Figure(key, title, [chart], caption, full=key == "solve")] if series else []

    parts = [
        Figure("entries", "", (), full=True, legend=[(name, colors[name]) for name in shown]),
        *curve("solve", "Students' solve rate", RunResult.solve_rate, "percent", low=0, high=1),
        *(
            figure
            for name, title in FEATURES.items()
            for figure in curve(
                name,
                title.capitalize(),
                lambda run, steps, name=name: run.feature(name, steps),  # type: ignore[misc]
            )
        ),
        *curve("coverage", "Coverage of the task space", RunResult.coverage, "percent", low=0),
    ]
    lead = "One line for each entry; no band with one run. Longer runs go further to the right."
    return Section("curves", "Curves", lead, parts)


# ── the page ────────────────────────────────────────────────────────────────────────────────────


def _setup(plan: Plan, command: str) -> Section:
    study, first = plan.study, {run.entry.name: run for run in reversed(plan.runs)}
    evaluation = study.evaluation
    words = (
        f"Seeds {', '.join(map(str, study.seeds))}; suites {', '.join(evaluation.suites)}, "
        f"{evaluation.tasks} tasks each, one greedy and {evaluation.samples} sampled attempts at "
        f"each, suite seed {evaluation.seed}; {plural(study.threads, 'thread')} a run."
    )
    views = [
        f"{view.name} (match = {view.match}): {', '.join(view.entries)}" for view in study.views
    ]
    parts = [
        Code("\n".join([command, *views])),
        *(
            Code(config_toml(run.config.model_dump(mode="json")), f"Configuration of {name}")
            for name, run in first.items()
        ),
    ]
    return Section("setup", "Setup", words, [Figure("config", "", parts, full=True)])


def render_comparison(
    plan: Plan, runs: Sequence[RunResult], tables: Sequence[Table], command: str
) -> str:
    """Return the page as one HTML file with its data inside."""
    study = plan.study
    cost = next(table for table in tables if table.name == "cost")
    missing = [run.key for run in plan.runs if (run.entry.name, run.seed) not in
               {(result.entry, result.seed) for result in runs}]  # fmt: skip
    line = f"{len(study.entries)} entries, {plural(len(runs), 'finished run')}."
    if missing:
        line += f" Not finished: {', '.join(missing)}."
    caption = (
        "Attempts and proposals as planned, if every proposal is valid, and as made. Seconds: "
        "median over a run's steps but the first. Late: last third of the steps."
    )
    sections = [
        _held_out(study, runs, tables),
        _curves(study, runs),
        Section("cost", "Work and cost", "", [_table(cost, caption)]),
        _setup(plan, command),
    ]
    page = Page("Red Queen comparison", study.name, line, (), CHAPTERS, sections)
    return document(study.name, to_json({"page": page}))
