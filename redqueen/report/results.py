"""The held-out result on the page: dots with intervals, rates by difficulty, the table."""

from redqueen.formatting import plural, points, span
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
from redqueen.report.heldout import ALL, HELPED, HeldOut, Standing
from redqueen.report.markup import FULL, figure, responsive
from redqueen.report.statistics import Estimate

MODE_NAMES = {
    "sampled": "sampled at temperature 1",
    "greedy": "greedy",
    "vote": "majority of the sampled attempts",
}
COLORS = {
    "base": "var(--base)",
    HELPED: "var(--base)",
    "population mean": "var(--accent)",
    "student": "var(--accent)",
    "best student": "var(--soft)",
    "weakest": "var(--soft)",
    "average adapter": "var(--soft)",
    "all students": "var(--soft)",
}


def _kind(name: str) -> str:
    return "all kinds" if name == ALL else name


def name_of(line: Standing) -> str:
    """The line's label with its member's number."""
    return line.label if line.member is None else f"{line.label} #{line.member}"


def _interval(e: Estimate) -> str:
    return f"{100 * e.low:.1f}\u2013{100 * e.high:.1f}"


def _panels(result: HeldOut, mode: str) -> list[Panel]:
    panels = []
    for kind in result.kinds:
        dots = []
        for line in result.standings:
            e = line.rates.get((mode, kind))
            if e is not None:
                hover = (
                    f"{name_of(line)}, {_kind(kind)}: {e.value:.1%} ({_interval(e)}), {e.n} tasks"
                )
                dots.append(
                    Dot(
                        name_of(line),
                        e.value,
                        e.low,
                        e.high,
                        COLORS[line.label],
                        hover,
                        strong=line is result.headline,
                    )
                )
        if dots:
            panels.append(Panel(_kind(kind), dots))
    return panels


def dots(result: HeldOut, mode: str) -> str:
    """Rates of base, mean, best and weakest by task kind in one mode."""
    panels = _panels(result, mode)
    title = f"{result.suite.capitalize()} solve rate, {MODE_NAMES.get(mode, mode)}"
    high = max(e.high for line in result.standings for e in line.rates.values())
    tasks = plural(result.tasks.get((mode, ALL), 0), f"{result.suite} task")
    caption = (
        f"{tasks}, {plural(result.samples[mode], 'attempt')} each; bars "
        "are 95% intervals (bootstrap over tasks)."
    )
    chart = responsive(lambda width: dot_panels(panels, title, high, width), FULL)
    return figure(f"{result.suite}-{mode}", title, chart, caption, full=True)


def by_band(result: HeldOut, difficulty: str) -> str:
    """Base and population mean over the difficulty dial; empty with a single band."""
    if len(result.bands) < 2:
        return ""
    who = "average student" if result.students > 1 else "student"
    lines = [(who, "var(--accent)", [(p.band, p.mean) for p in result.bands])]
    if all(p.base is not None for p in result.bands):
        base = [(p.band, p.base) for p in result.bands if p.base is not None]
        lines.append(("base", "var(--base)", base))
    series = [
        Series(
            name,
            [(float(band), e.value) for band, e in points],
            color,
            band=[(float(band), e.low, e.high) for band, e in points],
            label=name,
        )
        for name, color, points in lines
    ]
    style = LineStyle("Solve rate by difficulty", x_title=difficulty.lower(), form=percent, low=0.0)
    first, last = result.bands[0], result.bands[-1]
    caption = (
        f"Solve rate when {result.modes[0]} by {difficulty.lower()}, areas are 95% intervals. The "
        f"{who} goes from {first.mean.value:.0%} on {first.band} to {last.mean.value:.0%} "
        f"on {last.band}."
    )
    chart = responsive(lambda width: line_chart(series, style, width), FULL / 2)
    name = "bands" if result.suite == "held-out" else f"{result.suite}-bands"
    return figure(name, "Easy to hard", chart, caption)


def _rate_cell(e: Estimate | None) -> str:
    if e is None:
        return tag("td", "\u2013")
    return tag("td", f"{100 * e.value:.1f}", tag("small", _interval(e)))


def _gain_cell(e: Estimate | None) -> str:
    if e is None:
        return tag("td", "\u2013")
    kind = "up" if e.low > 0 else "down" if e.high < 0 else None
    interval = tag("small", esc(span(e.low, e.high, signed=True)))
    return tag("td", points(e.value, signed=True), interval, class_=kind)


def table(result: HeldOut) -> str:
    """All figures with intervals, both modes, and the paired difference to the base."""
    # What matters most stands first: on a telephone the task kinds scroll.
    kinds = [ALL, *(kind for kind in result.kinds if kind != ALL)]
    head = [
        tag(
            "th",
            esc(_kind(kind)),
            tag("small", f"n={result.tasks.get((result.modes[0], kind), 0)}"),
            scope="col",
        )
        for kind in kinds
    ]
    helped = result.standing(HELPED) is not None
    references = ["vs base", "vs elicited"] if helped else ["vs base"]
    head[1:1] = [tag("th", name, tag("small", "points"), scope="col") for name in references]
    head.insert(0, tag("th", "% solved", scope="col"))
    rows = []
    for mode in result.modes:
        rows.append(
            tag(
                "tr",
                tag(
                    "th",
                    esc(MODE_NAMES.get(mode, mode)),
                    colspan=len(head),
                    scope="colgroup",
                    class_="mode",
                ),
            )
        )
        for line in result.standings:
            if any(key[0] == mode for key in line.rates):
                cells = [_rate_cell(line.rates.get((mode, kind))) for kind in kinds]
                over = (line.gains, line.over_elicited)[: len(references)]
                cells[1:1] = [_gain_cell(gains.get((mode, ALL))) for gains in over]
                strong = "strong" if line is result.headline else None
                rows.append(
                    tag("tr", tag("th", esc(name_of(line)), scope="row"), *cells, class_=strong)
                )
    body = tag(
        "div",
        tag("table", tag("thead", tag("tr", *head)), tag("tbody", *rows)),
        class_="scroll",
    )
    caption = (
        "Small numbers are 95% intervals, n counts tasks. The difference to the base is over all "
        "kinds and paired: both attempted the same tasks."
    )
    if helped:
        caption += (
            " The elicited base is untrained, with every help that needs no training: its answer "
            "may not come at once, worked examples where they help, twice the room."
        )
    if result.students > 1:
        caption += (
            f" The mean is over {plural(result.students, 'living student')}. Best and weakest were "
            "picked on these same tasks, which widens their distance."
        )
    return figure(f"{result.suite}-table", "The same in numbers", body, caption)


def held_out_figures(result: HeldOut, difficulty: str) -> list[str]:
    """All figures of the result, in order; `difficulty` names what its bands are of."""
    return [
        *(dots(result, mode) for mode in result.modes),
        table(result),
        by_band(result, difficulty),
    ]
