"""`compare.html`: a study on one self-contained page, from study.db alone."""

from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files

import numpy as np

from redqueen.compare import curves
from redqueen.compare.claims import Finding, Part
from redqueen.compare.data import RunData, StudyData
from redqueen.compare.inference import seed_interval
from redqueen.compare.summary import Cell, EntrySummary, Summary
from redqueen.compare.wording import (
    INTERVALS,
    interval,
    of_claim,
    p_value,
    part_bar,
    part_figures,
    points,
    rule,
    share,
)
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
from redqueen.report.heldout import ALL
from redqueen.report.markup import (
    FULL,
    HALF,
    empty_figure,
    figure,
    legend,
    plural,
    responsive,
    section,
)
from redqueen.report.statistics import Estimate

COLORS = (*(f"var(--k{i})" for i in range(5)), "var(--teacher)", "var(--student)", "var(--s7)")
CHAPTERS = (
    ("claims", "Claims"),
    ("held-out", "Held-out"),
    ("curves", "Curves"),
    ("cost", "Cost"),
    ("setup", "Setup"),
)
Value = Callable[[RunData, range], float]
"""A figure of a run over some of its steps; not-a-number if there is none."""
POINTS = 40
"""Points of a curve: steps are pooled into so many bins."""


def _colors(data: StudyData) -> dict[str, str]:
    names = [entry.name for entry in data.study.entries]
    return {name: COLORS[i % len(COLORS)] for i, name in enumerate(names)}


# ── claims ──────────────────────────────────────────────────────────────────────────────────────


def _css(verdict: str) -> str:
    return verdict.replace(" ", "-")


def _claim_list(findings: Sequence[Finding]) -> str:
    items = []
    for finding in findings:
        view = [tag("small", esc(finding.view))] if finding.view else []
        items.append(
            tag(
                "li",
                tag("span", f"({finding.claim.letter})"),
                tag("span", esc(finding.sentence), *view),
                tag("b", finding.verdict, class_=_css(finding.verdict)),
            )
        )
    return tag("ul", *items, class_="claim-list")


def _part(name: str, part: Part, also: bool) -> str:
    value, between = part_figures(part)
    return tag(
        "tr",
        tag("th", esc(part.text), tag("small", esc(name)), scope="row"),
        tag("td", esc(part_bar(part)), class_="number"),
        tag("td", esc(value), tag("small", esc(between)), class_="number"),
        tag("td", p_value(part), tag("small", f"n={part.estimate.n}"), class_="number"),
        tag("td", part.verdict, class_=_css(part.verdict)),
        class_="also" if also else None,
    )


def _claims(data: StudyData, findings: Sequence[Finding]) -> str:
    if not findings:
        return section("claims", "Claims", "This study names no claims.")
    rows = []
    for finding in findings:
        name = of_claim(finding)
        rows += [_part(name, part, False) for part in finding.parts]
        rows += [_part(f"{name}, beside: does not count", part, True) for part in finding.also]
    head = tag("tr", *(tag("th", word, scope="col") for word in
                       ("statistic", "claimed", "value", "p", "verdict")))  # fmt: skip
    body = tag(
        "div",
        tag("table", tag("thead", head), tag("tbody", *rows), class_="claims"),
        class_="scroll",
    )
    return section(
        "claims",
        "Claims",
        rule(data),
        tag("div", _claim_list(findings), class_="full"),
        figure("statistics", "The statistics behind them", body, INTERVALS, full=True),
    )


# ── held-out results ────────────────────────────────────────────────────────────────────────────


def _dots(data: StudyData, summary: Summary, suite: str, mode: str) -> str:
    colors, panels, high = _colors(data), [], 0.0
    for kind in summary.kinds[suite]:
        shown: list[tuple[str, Estimate, str]] = []
        base = summary.base.get((suite, mode, kind))
        if base is not None:
            shown.append(("base", base, "var(--base)"))
        for entry in summary.entries:
            cell = entry.cells.get((suite, mode, kind, "mean"))
            if cell is not None:
                shown.append((entry.name, cell.rate, colors[entry.name]))
        dots = []
        for name, e, color in shown:
            low, top = (e.low, e.high) if np.isfinite(e.low) else (e.value, e.value)
            low, top = max(low, 0.0), min(top, 1.0)
            high = max(high, top)
            hover = f"{name}, {kind}: {e.value:.1%} ({interval(e)})"
            dots.append(Dot(name, e.value, low, top, color, hover, strong=kind == ALL))
        if dots:
            panels.append(Panel("all kinds" if kind == ALL else kind, dots))
    title = f"{suite}, {mode}: solve rate of the average student"
    if not panels:
        return empty_figure(f"dots-{suite}-{mode}", title, "No run was measured.", full=True)
    chart = responsive(lambda width: dot_panels(panels, title, high, width), FULL)
    count = summary.tasks[suite, ALL]
    caption = f"{plural(count, 'task')}, {plural(len(data.study.seeds), 'seed')}. {INTERVALS}"
    return figure(f"dots-{suite}-{mode}", title, chart, caption, full=True)


def _rate(cell: Cell | None) -> str:
    if cell is None:
        return tag("td", "–")
    return tag("td", share(cell.rate.value), tag("small", esc(interval(cell.rate))))


def _gain(cell: Cell | None) -> str:
    if cell is None or cell.gain is None:
        return tag("td", "–")
    e = cell.gain
    style = "up" if e.low > 0 else "down" if e.high < 0 else None
    between = tag("small", esc(interval(e, signed=True)))
    return tag("td", points(e.value), between, class_=style)


def _entry_row(entry: EntrySummary, summary: Summary, suite: str, mode: str) -> str:
    def cell(standing: str, kind: str = ALL) -> Cell | None:
        return entry.cells.get((suite, mode, kind, standing))

    return tag(
        "tr",
        tag("th", esc(entry.name), scope="row"),
        *(_rate(cell(standing)) for standing in ("mean", "best", "weakest")),
        *(_gain(cell(standing)) for standing in ("mean", "best", "weakest")),
        *(_rate(cell("mean", kind)) for kind in summary.kinds[suite] if kind != ALL),
    )


def _held_out_table(summary: Summary, suite: str, mode: str) -> str:
    kinds = [kind for kind in summary.kinds[suite] if kind != ALL]
    words = ["% solved", "mean", "best", "weakest", "mean − base", "best − base", "weakest − base"]
    head = [tag("th", word, scope="col") for word in words]
    head += [
        tag("th", esc(kind), tag("small", f"mean, n={summary.tasks[suite, kind]}"), scope="col")
        for kind in kinds
    ]
    rows = []
    base = summary.base.get((suite, mode, ALL))
    if base is not None:
        cells = [_rate(Cell(base, None)), *[tag("td", "")] * 5]
        for kind in kinds:
            e = summary.base.get((suite, mode, kind))
            cells.append(_rate(Cell(e, None) if e else None))
        rows.append(tag("tr", tag("th", "base", scope="row"), *cells))
    for entry in summary.entries:
        if (suite, mode, ALL, "mean") in entry.cells:
            rows.append(_entry_row(entry, summary, suite, mode))
    body = tag(
        "div",
        tag("table", tag("thead", tag("tr", *head)), tag("tbody", *rows)),
        class_="scroll",
    )
    caption = (
        "Mean: the average living student. Best and weakest of each run were picked on these same "
        "tasks, which widens their distance. Differences to the base are paired by task. The "
        "base's interval is over tasks."
    )
    return figure(f"table-{suite}-{mode}", f"{suite}, {mode}", body, caption, full=True)


def _held_out(data: StudyData, summary: Summary) -> str:
    parts = []
    for suite in summary.kinds:
        for mode in data.modes:
            parts += [_dots(data, summary, suite, mode), _held_out_table(summary, suite, mode)]
    lead = "" if parts else "No run of this study was measured."
    return section("held-out", "Held-out results", lead, *parts)


# ── curves ──────────────────────────────────────────────────────────────────────────────────────


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
    colors = _colors(data)
    measured = [entry.name for entry in data.study.entries if not entry.alone]
    found = [_series(data, entry, value, colors[entry]) for entry in measured]
    series = [line for line in found if line is not None and line.points]
    full = width == FULL
    if not series:
        return empty_figure(name, title, "No run has finished.", full=full)
    chart = responsive(lambda w: line_chart(series, style, w), width)
    return figure(name, title, chart, caption, full=full)


def _curves(data: StudyData) -> str:
    colors = _colors(data)
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


# ── cost and set-up ─────────────────────────────────────────────────────────────────────────────


def _number(e: Estimate | None, digits: int, scale: float = 1.0) -> str:
    if e is None:
        return tag("td", "–")
    between = tag("small", esc(interval(e, scale=scale, digits=digits)))
    return tag("td", f"{scale * e.value:,.{digits}f}", between)


def _count(planned: float | None, made: float | None) -> str:
    if planned is None:
        return tag("td", "–")
    below = [] if made is None else [tag("small", f"{made:,.0f} made")]
    return tag("td", f"{planned:,.0f}", *below)


def _cost(data: StudyData, summary: Summary) -> str:
    words = ("", "seeds", "adapters", "steps", "attempts a student", "attempts in all",
             "proposals in all", "s/step", "peak MiB", "coverage %")  # fmt: skip
    rows = []
    for entry in summary.entries:
        work = data.work[entry.name]
        rows.append(
            tag(
                "tr",
                tag("th", esc(entry.name), scope="row"),
                tag("td", f"{entry.runs} of {len(data.study.seeds)}"),
                tag("td", str(work.adapters)),
                tag("td", str(work.steps)),
                tag("td", f"{work.attempts_per_student:,.0f}"),
                _count(work.attempts, entry.attempts),
                _count(work.proposals, entry.proposals),
                _number(entry.seconds, 2),
                _number(entry.memory, 0),
                _number(entry.coverage, 1, 100.0),
            )
        )
    head = tag("tr", *(tag("th", esc(word), scope="col") for word in words))
    body = tag("div", tag("table", tag("thead", head), tag("tbody", *rows)), class_="scroll")
    views = [
        f"{view.name}: {', '.join(view.entries)} (equal work "
        f"{'for each adapter' if view.match == 'adapter' else 'in all'})"
        for view in data.study.views
    ]
    caption = (
        "Attempts and proposals as planned, if every proposal is valid; below what was made. "
        "Seconds: median over a run's steps but the first, then over seeds. Memory: of the run's "
        "own process. " + ("Views. " + "; ".join(views) + "." if views else "")
    )
    return section(
        "cost", "Work and cost", "", figure("work", "Each entry", body, caption, full=True)
    )


def _details(heading: str, text: str) -> str:
    return tag("details", tag("summary", esc(heading)), tag("pre", esc(text)))


def _overrides(data: StudyData, name: str) -> str:
    entry = next(entry for entry in data.study.entries if entry.name == name)
    lines = [f"config = {entry.config or 'the defaults'}"]
    lines += [f"{key} = {value!r}" for key, value in entry.overrides.items()]
    if entry.steps is not None:
        lines.append(f"steps = {entry.steps}")
    return "\n".join([*lines, "", *_flat(data.configs[name])])


def _flat(values: object, prefix: str = "") -> Iterable[str]:
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else key)
    else:
        yield f"{prefix} = {values!r}"


def _setup(data: StudyData) -> str:
    machines = {tuple(sorted(run.machine.items())) for run in data.runs}
    text = "\n\n".join("\n".join(f"{k}: {v}" for k, v in machine) for machine in sorted(machines))
    wanted = data.study.evaluation
    parts = [
        tag(
            "p",
            esc(
                f"Seeds {', '.join(map(str, data.study.seeds))}; suites "
                f"{', '.join(wanted.suites)}, {wanted.tasks} tasks each, one greedy and "
                f"{wanted.samples} sampled attempts at each, suite seed {wanted.seed}; "
                f"{plural(data.study.threads, 'thread')} a run."
            ),
        ),
        tag("details", tag("summary", "The commands"), tag("pre", esc("\n".join(data.commands))),
            open="open"),
        _details("Machine and versions", text),
        *(
            _details(f"Configuration of {entry.name}", _overrides(data, entry.name))
            for entry in data.study.entries
        ),
    ]  # fmt: skip
    if data.failed:
        failures = "\n".join(f"{entry}, seed {seed}: {why}" for entry, seed, why in data.failed)
        parts.insert(0, _details(f"{plural(len(data.failed), 'failed run')}", failures))
    return section("setup", "Setup", "", tag("div", *parts, class_="full setup"))


def _header(data: StudyData, findings: Sequence[Finding]) -> str:
    counts = [
        f"{sum(f.verdict == verdict for f in findings)} {verdict}"
        for verdict in ("supported", "not supported", "undecided")
    ]
    line = f"{plural(len(data.study.entries), 'entry').replace('entrys', 'entries')}, " + (
        f"{plural(len(data.runs), 'finished run')}."
    )
    if data.failed:
        line += f" {plural(len(data.failed), 'run')} failed."
    if findings:
        line = f"Of {plural(len(findings), 'claim')}: {', '.join(counts)}. {line}"
    return tag(
        "header",
        tag("p", "Red Queen comparison", class_="kicker"),
        tag("h1", esc(data.study.name)),
        tag("p", esc(line), class_="verdict-line"),
        tag("nav", *(tag("a", esc(name), href=f"#{key}") for key, name in CHAPTERS)),
        class_="top",
    )


def render_comparison(data: StudyData, summary: Summary, findings: Sequence[Finding]) -> str:
    """The page as HTML that is also well-formed XML."""
    style = files("redqueen.report").joinpath("assets/report.css").read_text(encoding="utf-8")
    style += files("redqueen.compare").joinpath("compare.css").read_text(encoding="utf-8")
    body = tag(
        "main",
        _header(data, findings),
        _claims(data, findings),
        _held_out(data, summary),
        _curves(data),
        _cost(data, summary),
        _setup(data),
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", esc(f"{data.study.name} · Red Queen")),
        f"<style>\n{style}</style>",
    )
    return "<!DOCTYPE html>\n" + tag("html", head, tag("body", body), lang="en") + "\n"
