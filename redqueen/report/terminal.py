"""The result of a run as a table for an 80-column terminal."""

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from redqueen.formatting import points, span, visible
from redqueen.report.benchmarks import rate_text
from redqueen.report.health import Word, health
from redqueen.report.heldout import (
    ALL,
    HeldOut,
    verdict_sentence,
)
from redqueen.report.progress import progress_text
from redqueen.report.queries import results_of
from redqueen.report.results import name_of
from redqueen.report.statistics import Estimate
from redqueen.store import RunReader


def _gain(estimate: Estimate | None) -> Text:
    if estimate is None:
        return Text("-", style="dim")
    style = "green" if estimate.low > 0 else "red" if estimate.high < 0 else ""
    text = Text(points(estimate.value, signed=True), style=style)
    text.append(f"\n{span(estimate.low, estimate.high, signed=True)}", style="dim")
    return text


def _table(result: HeldOut, mode: str) -> Table:
    table = Table(
        title=f"{escape(visible(result.suite))}, {mode} ({result.samples[mode]} per task): "
        "% solved, 95% interval",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        expand=False,
    )
    table.add_column("", no_wrap=True)
    for kind in result.kinds:
        count = result.tasks.get((mode, kind), 0)
        table.add_column(Text(f"{visible(kind)}\nn={count}"), justify="right", no_wrap=True)
    table.add_column(Text("vs base\npoints"), justify="right", no_wrap=True)
    for line in result.standings:
        if not any(key[0] == mode for key in line.rates):
            continue
        table.add_row(
            Text(name_of(line), style="bold" if line is result.headline else ""),
            *(rate_text(line.rates.get((mode, kind))) for kind in result.kinds),
            _gain(line.gains.get((mode, ALL))),
        )
    return table


def final_table(result: HeldOut) -> RenderableType:
    """Verdict sentence, one table a mode, and how the figures were made.

    Rows: base, elicited base, population mean, best student, weakest; columns: task kinds, all, and
    the paired difference to the base over all tasks. Fits 80 columns with three task kinds.
    """
    note = (
        f"n: tasks. {result.students} living students. Intervals: bootstrap over tasks; "
        "'vs base' is paired over all tasks."
    )
    if result.students > 1:
        note += " Best and weakest were picked on these tasks, which widens their distance."
    return Group(
        Text(visible(verdict_sentence(result)), style="bold"),
        *(renderable for mode in result.modes for renderable in (Text(""), _table(result, mode))),
        Text(note, style="dim"),
    )


def brief_table(result: HeldOut) -> RenderableType:
    """A further suite: verdict sentence and the table of the first mode; at most 80 columns."""
    return Group(
        Text(""),
        Text(visible(verdict_sentence(result)), style="bold"),
        Text(""),
        _table(result, result.modes[0]),
    )


WORD_STYLES = {
    Word.FINE: "green", Word.WATCH: "yellow", Word.BROKEN: "bold red", Word.UNKNOWN: "dim",
}  # fmt: skip


def signs_table(run: RunReader) -> RenderableType:
    """Whether a run works: a line for each sign, then what to change; at most 80 columns."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    for _ in range(3):
        table.add_column()
    signs = health(run)
    for sign in signs:
        word = Text(sign.word.value, style=WORD_STYLES[sign.word])
        table.add_row(Text(sign.title), Text(sign.text or "-"), word)
    advice = [Text(f"\n{s.title}: {s.word.value}. {s.advice}") for s in signs if s.advice]
    return Group(table, *advice)


def print_status(run: RunReader, console: Console) -> None:
    """Print how far a run is and whether it works; at most 80 columns."""
    console.print(Text(progress_text(run), style="bold"))
    console.print(signs_table(run))


def print_results(run: RunReader, console: Console) -> bool:
    """Print the tables of a run, suite by suite; False (and a line saying so) if there are none."""
    results = results_of(run)
    if not results:
        console.print(
            f"No held-out result yet; measure one with `redqueen eval {run.directory}`.",
            markup=False,
            highlight=False,
        )
        return False
    console.print(final_table(results[0]))
    for result in results[1:]:
        console.print(brief_table(result))
    return True
