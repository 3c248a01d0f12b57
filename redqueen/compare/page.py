"""`compare.html`: a study on one self-contained page, from study.db alone."""

from collections.abc import Iterable, Sequence
from importlib.resources import files

import numpy as np

from redqueen.compare.claims import Finding, Part
from redqueen.compare.data import StudyData
from redqueen.compare.page_curves import curves_section, entry_colors
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
from redqueen.formatting import plural
from redqueen.report.charts import (
    Dot,
    Panel,
    dot_panels,
    esc,
    tag,
)
from redqueen.report.heldout import ALL
from redqueen.report.markup import (
    FULL,
    document,
    empty_figure,
    figure,
    responsive,
    section,
)
from redqueen.report.statistics import Estimate

CHAPTERS = (
    ("claims", "Claims"),
    ("held-out", "Held-out"),
    ("curves", "Curves"),
    ("cost", "Cost"),
    ("setup", "Setup"),
)


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
    colors, panels, high = entry_colors(data), [], 0.0
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
        curves_section(data),
        _cost(data, summary),
        _setup(data),
    )
    return document(data.study.name, style, body)
