"""`compare.html`: a comparison on one self-contained page."""

from collections.abc import Callable, Sequence
from importlib.resources import files

import numpy as np

from redqueen.compare.plan import Plan
from redqueen.compare.results import FEATURES, MODES, RunResult
from redqueen.compare.study import Study
from redqueen.compare.table import (
    NOTE,
    Table,
    base_effects,
    held_out,
    html_table,
    interval,
    of_entry,
)
from redqueen.formatting import plural
from redqueen.report.charts import (
    Dot,
    LineStyle,
    Panel,
    Series,
    dot_panels,
    esc,
    line_chart,
    percent,
    tag,
)
from redqueen.report.heldout import ALL, kind_order
from redqueen.report.markup import FULL, HALF, document, figure, legend, responsive, section
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


def _dots(study: Study, runs: Sequence[RunResult], suite: str, mode: str) -> str:
    measured = [run.answers[suite, mode] for run in runs if (suite, mode) in run.answers]
    if not measured:
        return ""
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
    chart = responsive(lambda width: dot_panels(panels, title, high, width), FULL)
    return figure(f"dots-{suite}-{mode}", title, chart, NOTE, full=True)


def _table(table: Table, caption: str = NOTE) -> str:
    return figure(f"table-{table.name}", table.title, html_table(table), caption, full=True)


def _held_out(study: Study, runs: Sequence[RunResult], tables: Sequence[Table]) -> str:
    parts = []
    for suite in study.evaluation.suites:
        for mode in MODES:
            parts.append(_dots(study, runs, suite, mode))
            names = (f"{suite}-{mode}", f"{suite}-{mode}-kinds")
            parts += [_table(table) for table in tables if table.name in names]
    lead = "" if any(parts) else "No run of this study was measured."
    return section("held-out", "Held-out results", lead, *parts)


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
    return Series(name, line, color, band=band)


def _curves(study: Study, runs: Sequence[RunResult]) -> str:
    colors = _colors(study)
    shown = [entry.name for entry in study.entries if not entry.alone]

    def curve(key: str, title: str, value: Value, style: LineStyle, width: float) -> str:
        series = [_series(of_entry(runs, name), name, value, colors[name]) for name in shown]
        series = [line for line in series if line.points]
        if not series:
            return ""
        chart = responsive(lambda wide: line_chart(series, style, wide), width)
        caption = "Mean over kinds of tasks and over runs, with a 95 % band over runs."
        return figure(key, title, chart, caption, full=width == FULL)

    rates = LineStyle("Solve rate over steps", form=percent, low=0.0, high=1.0)
    covered = LineStyle("Coverage over steps", form=percent, low=0.0)
    parts = [
        tag("div", legend((name, colors[name]) for name in shown), class_="full"),
        curve("solve", "Students' solve rate", RunResult.solve_rate, rates, FULL),
        *(
            curve(
                name,
                title.capitalize(),
                lambda run, steps, name=name: run.feature(name, steps),  # type: ignore[misc]
                LineStyle(title),
                HALF,
            )
            for name, title in FEATURES.items()
        ),
        curve("coverage", "Coverage of the task space", RunResult.coverage, covered, HALF),
    ]
    lead = "One line for each entry; no band with one run. Longer runs go further to the right."
    return section("curves", "Curves", lead, *parts)


# ── the page ────────────────────────────────────────────────────────────────────────────────────


def _setup(plan: Plan, command: str) -> str:
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
    return section(
        "setup",
        "Setup",
        words,
        tag("pre", esc("\n".join([command, *views]))),
        *(
            tag(
                "details",
                tag("summary", esc(f"Configuration of {name}")),
                tag("pre", esc(config_toml(run.config.model_dump(mode="json")))),
            )
            for name, run in first.items()
        ),
    )


def render_comparison(
    plan: Plan, runs: Sequence[RunResult], tables: Sequence[Table], command: str
) -> str:
    """The page as HTML that is also well-formed XML."""
    study = plan.study
    style = files("redqueen.report").joinpath("assets/report.css").read_text(encoding="utf-8")
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
    body = tag(
        "main",
        tag(
            "header",
            tag("p", "Red Queen comparison", class_="kicker"),
            tag("h1", esc(study.name)),
            tag("p", esc(line), class_="verdict-line"),
            tag("nav", *(tag("a", esc(name), href=f"#{key}") for key, name in CHAPTERS)),
            class_="top",
        ),
        _held_out(study, runs, tables),
        _curves(study, runs),
        section("cost", "Work and cost", "", _table(cost, caption)),
        _setup(plan, command),
    )
    return document(study.name, style, body)
