"""The tables of a comparison, made once and written three ways: terminal, Markdown, HTML."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from rich import box
from rich import table as rich_table
from rich.text import Text

from redqueen.compare.plan import Work
from redqueen.compare.results import MODES, Answers, Floats, RunResult, thirds
from redqueen.compare.study import Study
from redqueen.formatting import plural, points, span
from redqueen.report import figures
from redqueen.report.heldout import kind_order
from redqueen.report.statistics import Effect, Estimate, cross_fitted, crossed_mean, mean_over_runs
from redqueen.rng import numpy_rng

NOTE = (
    "Intervals are 95 %, over runs and tasks (Student's t, variances of runs and tasks in closed "
    "form); figures without tasks: over runs. Best and weakest are picked on other tasks than they "
    "are judged on."
)
Cell = tuple[str, str]
"""A figure, and what stands below it."""
EMPTY: Cell = ("–", "")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of figures under a title; the first cell of a row is its name."""

    name: str
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    wide: bool = False
    """Has no room in a terminal of 80 columns."""
    terse: bool = False
    """Has room there for the figures alone, without what stands below them."""


# ── figures ─────────────────────────────────────────────────────────────────────────────────────


def interval(e: Estimate, *, signed: bool = False, scale: float = 100.0, digits: int = 1) -> str:
    """`low to high`; `no interval` with one run, which has none."""
    if not np.isfinite(e.low):
        return "no interval"
    return span(e.low, e.high, signed, scale, digits)


def _share(effect: Effect | None) -> Cell:
    if effect is None:
        return EMPTY
    e = effect.estimate()
    if np.isfinite(e.low):  # a share lies in [0, 1]; Student's interval knows no ends
        e = Estimate(e.value, max(e.low, 0.0), min(e.high, 1.0), e.n)
    return f"{100 * e.value:.1f}", interval(e)


def _gain(effect: Effect | None) -> Cell:
    if effect is None:
        return EMPTY
    e = effect.estimate()
    return points(e.value, signed=True), interval(e, signed=True)


def _over_runs(values: Sequence[float]) -> Effect | None:
    finite = np.array([value for value in values if np.isfinite(value)])
    return mean_over_runs(finite) if len(finite) else None


def _seconds(effect: Effect | None) -> Cell:
    if effect is None:
        return EMPTY
    e = effect.estimate()
    return f"{e.value:,.2f}", interval(e, scale=1.0, digits=2)


Standing = Callable[[Answers, str, str], Floats]


def average(answers: Answers, suite: str, mode: str) -> Floats:
    """The average student's rate on each task."""
    mean_T: Floats = answers.rates_MT.mean(axis=0)
    return mean_T


def best(answers: Answers, suite: str, mode: str) -> Floats:
    """The best student's, picked on other tasks."""
    return cross_fitted(answers.rates_MT, False, numpy_rng("best", suite, mode))


def weakest(answers: Answers, suite: str, mode: str) -> Floats:
    """The weakest student's, picked on other tasks."""
    return cross_fitted(answers.rates_MT, True, numpy_rng("weakest", suite, mode))


def held_out(
    runs: Sequence[RunResult], suite: str, mode: str, standing: Standing = average, kind: str = ""
) -> tuple[Effect, Effect | None] | None:
    """Solve rate over runs and tasks (of one kind), and its difference to the base."""
    rows, gaps = [], []
    for run in runs:
        answers = run.answers.get((suite, mode))
        if answers is None:
            continue
        chosen_T = answers.kinds_T == kind if kind else np.ones(len(answers.kinds_T), dtype=bool)
        rates_T = standing(answers, suite, mode)
        rows.append(rates_T[chosen_T])
        if answers.base_T is not None:
            gaps.append((rates_T - answers.base_T)[chosen_T])
    if not rows or not rows[0].size:
        return None
    gain = crossed_mean(np.array(gaps)) if len(gaps) == len(rows) else None
    return crossed_mean(np.array(rows)), gain


def base_effects(
    runs: Sequence[RunResult], suite: str, mode: str, kinds: Sequence[str]
) -> list[Effect] | None:
    """The base's solve rate over tasks of each kind ('': all); None unless runs share one base."""
    measured = [run.answers[suite, mode] for run in runs if (suite, mode) in run.answers]
    bases = [answers.base_T for answers in measured if answers.base_T is not None]
    if not bases or len(bases) < len(measured):
        return None
    if any(not np.array_equal(base_T, bases[0]) for base_T in bases):
        return None
    kinds_T = measured[0].kinds_T
    return [mean_over_runs(bases[0][kinds_T == kind] if kind else bases[0]) for kind in kinds]


# ── the tables ──────────────────────────────────────────────────────────────────────────────────


def of_entry(runs: Sequence[RunResult], name: str) -> list[RunResult]:
    """The finished runs of an entry, by seed."""
    return sorted((run for run in runs if run.entry == name), key=lambda run: run.seed)


def suite_tables(study: Study, runs: Sequence[RunResult], suite: str, mode: str) -> list[Table]:
    """Standings of all entries on one suite in one mode, and their averages by task kind."""
    measured = [run.answers[suite, mode] for run in runs if (suite, mode) in run.answers]
    if not measured:
        return []
    kinds = kind_order(measured[0].kinds_T.tolist())
    standings: list[tuple[Cell, ...]] = []
    by_kind: list[tuple[Cell, ...]] = []
    base = base_effects(runs, suite, mode, ("", *kinds))
    if base is not None:
        cells = [_share(effect) for effect in base]
        standings.append((("base", ""), cells[0], EMPTY, EMPTY, EMPTY))
        by_kind.append((("base", ""), *cells[1:]))
    for entry in study.entries:
        mine = of_entry(runs, entry.name)
        figures = [held_out(mine, suite, mode, which) for which in (average, best, weakest)]
        if figures[0] is None:
            continue
        shares = [_share(item[0] if item else None) for item in figures]
        standings.append(((entry.name, ""), *shares, _gain(figures[0][1])))
        parts = [held_out(mine, suite, mode, average, kind) for kind in kinds]
        by_kind.append(((entry.name, ""), *(_share(item[0] if item else None) for item in parts)))
    count = plural(len(measured[0].kinds_T), "task")
    return [
        Table(
            f"{suite}-{mode}",
            f"{suite}, {mode}: % of {count} solved",
            ("", "mean", "best", "weakest", "mean vs base"),
            tuple(standings),
        ),
        Table(
            f"{suite}-{mode}-kinds",
            f"{suite}, {mode}: % solved by the average student, by task kind",
            ("", *kinds),
            tuple(by_kind),
            wide=True,
        ),
    ]


def _count(planned: float | None, made: Sequence[int]) -> Cell:
    if planned is None:
        return EMPTY
    return f"{planned:,.0f}", f"{fmean(made):,.0f} made" if made else ""


def cost_table(study: Study, work: Mapping[str, Work], runs: Sequence[RunResult]) -> Table:
    """Work and price of each entry: planned, and made (an attempt needs a valid task)."""
    rows = []
    for entry in study.entries:
        mine, plan = of_entry(runs, entry.name), work[entry.name]
        rows.append(
            (
                (entry.name, f"{plan.steps:,} steps"),
                (f"{len(mine)} of {len(study.seeds)}", ""),
                (str(plan.adapters), ""),
                (f"{plan.attempts_per_student:,.0f}", "planned"),
                _count(plan.attempts, [run.attempts for run in mine]),
                _count(plan.proposals, [run.proposals for run in mine]),
                _seconds(_over_runs([run.step_seconds for run in mine])),
                _share(_over_runs([run.coverage(range(1, run.last + 1)) for run in mine])),
                _share(_over_runs([run.solve_rate(thirds(run.last)[1]) for run in mine])),
            )
        )
    head = ("", "runs", "adap-\nters", "attempts\na student", "attempts", "pro-\nposals", "s/step",
            "cover-\nage %", "late\nsolve %")  # fmt: skip
    return Table("cost", "Work and cost of a run", head, tuple(rows), terse=True)


def all_tables(study: Study, work: Mapping[str, Work], runs: Sequence[RunResult]) -> list[Table]:
    """Everything, held-out results first."""
    tables = [
        table
        for suite in study.evaluation.suites
        for mode in MODES
        for table in suite_tables(study, runs, suite, mode)
    ]
    return [*tables, cost_table(study, work, runs)]


# ── three ways to write one ─────────────────────────────────────────────────────────────────────


def terminal_table(table: Table) -> rich_table.Table:
    """For a terminal of 80 columns."""
    shown = rich_table.Table(
        title=table.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0), pad_edge=False,
    )  # fmt: skip
    shown.add_column("", overflow="fold", max_width=18)
    for word in table.head[1:]:
        shown.add_column(word, justify="right", overflow="fold")
    for row in table.rows:
        below = [f"\n{text}" if text and not table.terse else "" for _, text in row]
        cells = [
            Text(value).append(more, "dim") for (value, _), more in zip(row, below, strict=True)
        ]
        shown.add_row(*cells)
    return shown


def markdown_table(table: Table) -> str:
    """As Markdown, under a heading of the third level."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    head = [word.replace("-\n", "").replace("\n", " ") for word in table.head]
    body = [
        line([f"{value} ({below})" if below else value for value, below in row])
        for row in table.rows
    ]
    rule = "|---|" + "---:|" * (len(head) - 1)
    return "\n".join([f"### {table.title}", "", line(head), rule, *body, ""])


def page_table(table: Table) -> figures.Table:
    """As a page's script draws it."""
    head = [figures.Text(word.replace("-\n", "")) for word in table.head]
    return figures.Table(
        head, [figures.Row([figures.Text(*cell) for cell in row]) for row in table.rows]
    )
