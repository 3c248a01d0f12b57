"""The held-out result on the page: dots with intervals, rates by difficulty, the table."""

from collections.abc import Sequence

from redqueen.formatting import plural, points, span
from redqueen.report.figures import (
    Dot,
    Dots,
    Figure,
    Lines,
    Panel,
    Row,
    Series,
    Table,
    Text,
    finite,
)
from redqueen.report.heldout import ALL, HELPED, HeldOut, Standing
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


def panels(
    result: HeldOut, mode: str, kinds: Sequence[str], title: str | None = None
) -> list[Panel]:
    """Rates of all lines in one mode, a panel for each kind; `title` stands in for its name."""
    shown = []
    for kind in kinds:
        dots = [
            Dot(
                name_of(line),
                round(e.value, 5),
                round(e.low, 5),
                round(e.high, 5),
                COLORS[line.label],
                f"{name_of(line)}, {_kind(kind)}: {e.value:.1%} ({_interval(e)}), {e.n} tasks",
                strong=line is result.headline,
            )
            for line in result.standings
            if (e := line.rates.get((mode, kind))) is not None
        ]
        if dots:
            shown.append(Panel(title or _kind(kind), dots))
    return shown


def dots(result: HeldOut, mode: str) -> Figure:
    """Rates of base, mean, best and weakest by task kind in one mode."""
    title = f"{result.suite.capitalize()} solve rate, {MODE_NAMES.get(mode, mode)}"
    high = max(e.high for line in result.standings for e in line.rates.values())
    tasks = plural(result.tasks.get((mode, ALL), 0), f"{result.suite} task")
    caption = (
        f"{tasks}, {plural(result.samples[mode], 'attempt')} each; bars "
        "are 95% intervals (bootstrap over tasks)."
    )
    return Figure(
        f"{result.suite}-{mode}",
        title,
        [Dots(title, panels(result, mode, result.kinds), high)],
        caption,
        full=True,
    )


def by_band(result: HeldOut, difficulty: str) -> list[Figure]:
    """Base and population mean over the difficulty dial; nothing with a single band."""
    if len(result.bands) < 2:
        return []
    who = "average student" if result.students > 1 else "student"
    lines = [(who, "var(--accent)", [(p.band, p.mean) for p in result.bands])]
    if all(p.base is not None for p in result.bands):
        base = [(p.band, p.base) for p in result.bands if p.base is not None]
        lines.append(("base", "var(--base)", base))
    series = [
        Series(
            name,
            finite((band, e.value) for band, e in points),
            color,
            band=finite((band, e.low, e.high) for band, e in points),
            label=name,
        )
        for name, color, points in lines
    ]
    chart = Lines(
        "Solve rate by difficulty", series, "percent", x_title=difficulty.lower(), low=0.0
    )
    first, last = result.bands[0], result.bands[-1]
    caption = (
        f"Solve rate when {result.modes[0]} by {difficulty.lower()}, areas are 95% intervals. The "
        f"{who} goes from {first.mean.value:.0%} on {first.band} to {last.mean.value:.0%} "
        f"on {last.band}."
    )
    name = "bands" if result.suite == "held-out" else f"{result.suite}-bands"
    return [Figure(name, "Easy to hard", [chart], caption)]


def rate_cell(e: Estimate | None) -> Text:
    """Return a rate in per cent with its interval below, for a page."""
    return Text("\u2013") if e is None else Text(f"{100 * e.value:.1f}", _interval(e))


def _gain_cell(e: Estimate | None) -> Text:
    if e is None:
        return Text("\u2013")
    look = "up" if e.low > 0 else "down" if e.high < 0 else ""
    return Text(points(e.value, signed=True), span(e.low, e.high, signed=True), look)


def table(result: HeldOut) -> Figure:
    """All figures with intervals, both modes, and the paired differences to the bases."""
    # What matters most stands first: on a telephone the task kinds scroll.
    kinds = [ALL, *(kind for kind in result.kinds if kind != ALL)]
    head = [Text(_kind(k), f"n={result.tasks.get((result.modes[0], k), 0)}") for k in kinds]
    helped = result.standing(HELPED) is not None
    references = ["vs base", "vs elicited"] if helped else ["vs base"]
    head[1:1] = [Text(name, "points") for name in references]
    rows = []
    for mode in result.modes:
        rows.append(Row([Text(MODE_NAMES.get(mode, mode))]))
        for line in result.standings:
            if any(key[0] == mode for key in line.rates):
                cells = [rate_cell(line.rates.get((mode, kind))) for kind in kinds]
                over = (line.gains, line.over_elicited)[: len(references)]
                cells[1:1] = [_gain_cell(gains.get((mode, ALL))) for gains in over]
                rows.append(Row([Text(name_of(line)), *cells], line is result.headline))
    body = Table([Text("% solved"), *head], rows)
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
    return Figure(f"{result.suite}-table", "The same in numbers", [body], caption)


def held_out_figures(result: HeldOut, difficulty: str) -> list[Figure]:
    """All figures of the result, in order; `difficulty` names what its bands are of."""
    return [
        *(dots(result, mode) for mode in result.modes),
        table(result),
        *by_band(result, difficulty),
    ]
