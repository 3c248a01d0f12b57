"""The table of a comparison: for an 80-column terminal, and as Markdown."""

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from redqueen.compare.claims import Finding, Part
from redqueen.compare.data import StudyData
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
from redqueen.report.heldout import ALL
from redqueen.report.statistics import Estimate

STYLES = {"supported": "green", "not supported": "red", "undecided": "yellow"}


def _two(value: str, below: str) -> Text:
    text = Text(value)
    text.append(f"\n{below}", style="dim")
    return text


def _rate(cell: Cell | None) -> Text:
    if cell is None:
        return Text("-", style="dim")
    return _two(share(cell.rate.value), interval(cell.rate))


def _gain(cell: Cell | None) -> Text:
    if cell is None or cell.gain is None:
        return Text("-", style="dim")
    return _two(points(cell.gain.value), interval(cell.gain, signed=True))


def _frame(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )


def held_out_table(summary: Summary, suite: str, mode: str) -> Table:
    """Mean, best, weakest and the mean minus base, over all kinds."""
    count = summary.tasks[suite, ALL]
    table = _frame(f"{suite}, {mode}: % of {count:,} tasks solved, 95 % interval")
    table.add_column("", overflow="fold", max_width=22)
    for name in ("mean", "best", "weakest", "mean vs base"):
        table.add_column(name, justify="right", no_wrap=True)
    base = summary.base.get((suite, mode, ALL))
    if base is not None:
        table.add_row("base", _two(share(base.value), interval(base)), "", "", "")
    for entry in summary.entries:
        cells = [entry.cells.get((suite, mode, ALL, s)) for s in ("mean", "best", "weakest")]
        if cells[0] is not None:
            table.add_row(entry.name, *map(_rate, cells), _gain(cells[0]))
    return table


def _mean(e: Estimate | None, form: str, scale: float = 1.0) -> str:
    return "-" if e is None else format(scale * e.value, form)


def cost_table(data: StudyData, summary: Summary) -> Table:
    """Work and price of each entry."""
    table = _frame("work and cost of a run")
    table.add_column("", overflow="fold", max_width=22)
    for name in ("seeds", "adap-\nters", "steps", "attempts\na student", "attempts\nin all",
                 "s/step", "peak\nMiB", "cove-\nrage %"):  # fmt: skip
        table.add_column(name, justify="right", no_wrap=True)
    for entry in summary.entries:
        work = data.work[entry.name]
        table.add_row(
            entry.name,
            f"{entry.runs}/{len(data.study.seeds)}",
            str(work.adapters),
            str(work.steps),
            f"{work.attempts_per_student:,.0f}",
            f"{work.attempts:,}",
            _mean(entry.seconds, ".2f"),
            _mean(entry.memory, ",.0f"),
            _mean(entry.coverage, ".1f", 100.0),
        )
    return table


def claims_table(data: StudyData, findings: Sequence[Finding]) -> RenderableType:
    """One block a claim: its sentence, its verdict, its parts."""
    blocks: list[RenderableType] = []
    for finding in findings:
        head = Text(f"({finding.claim.letter}) {finding.sentence} ")
        head.append(finding.verdict, style=f"bold {STYLES[finding.verdict]}")
        if finding.view:
            head.append(f" [{finding.view}]", style="dim")
        blocks.append(head)
        for part in finding.parts:
            value, between = part_figures(part)
            blocks.append(
                Text(
                    f"    {part.text}: {value} ({between}), claimed {part_bar(part)}; "
                    f"p = {p_value(part)}, {part.estimate.n} seeds",
                    style="dim",
                )
            )
        if not finding.parts:
            blocks.append(Text("    no data", style="dim"))
    return Group(*blocks, Text(""), Text(rule(data), style="dim"))


def study_table(data: StudyData, summary: Summary, findings: Sequence[Finding]) -> RenderableType:
    """Everything for the terminal; fits 80 columns."""
    parts: list[RenderableType] = []
    for suite in summary.kinds:
        for mode in data.modes:
            parts += [held_out_table(summary, suite, mode), Text("")]
    parts.append(cost_table(data, summary))
    if findings:
        parts += [Text(""), claims_table(data, findings)]
    for entry, seed, reason in data.failed:
        parts.append(Text(f"failed: {entry}, seed {seed}: {reason}", style="red"))
    return Group(*parts, Text(INTERVALS, style="dim"))


# ── Markdown ────────────────────────────────────────────────────────────────────────────────────


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule_ = "|---|" + "---:|" * (len(head) - 1)
    return [_row(head), rule_, *(_row(row) for row in rows), ""]


def _cell_text(cell: Cell | None, *, gain: bool = False) -> str:
    e = None if cell is None else cell.gain if gain else cell.rate
    if e is None:
        return "–"
    shown = points(e.value) if gain else share(e.value)
    return f"{shown} ({interval(e, signed=gain)})"


def _held_out_markdown(summary: Summary, suite: str, mode: str) -> list[str]:
    head = ["% solved", "mean − base", *(
        f"mean, {kind} (n={summary.tasks[suite, kind]})" for kind in reversed(summary.kinds[suite])
    ), "best", "weakest", "best − base", "weakest − base"]  # fmt: skip
    rows = []
    kinds = list(reversed(summary.kinds[suite]))
    bases = [summary.base.get((suite, mode, kind)) for kind in kinds]
    if bases[0] is not None:
        shown = [f"{share(e.value)} ({interval(e)})" if e else "–" for e in bases]
        rows.append(["base", "", *shown, "", "", "", ""])
    for entry in summary.entries:

        def cell(standing: str, kind: str = ALL, entry: EntrySummary = entry) -> Cell | None:
            return entry.cells.get((suite, mode, kind, standing))

        if cell("mean") is not None:
            rows.append(
                [
                    entry.name,
                    _cell_text(cell("mean"), gain=True),
                    *(_cell_text(cell("mean", kind)) for kind in kinds),
                    _cell_text(cell("best")),
                    _cell_text(cell("weakest")),
                    _cell_text(cell("best"), gain=True),
                    _cell_text(cell("weakest"), gain=True),
                ]
            )
    return [f"### {suite}, {mode}", "", *_markdown_table(head, rows)]


def _estimate(e: Estimate | None, digits: int, scale: float = 1.0) -> str:
    if e is None:
        return "–"
    return f"{scale * e.value:,.{digits}f} ({interval(e, scale=scale, digits=digits)})"


def _cost_markdown(data: StudyData, summary: Summary) -> list[str]:
    head = ["run", "seeds", "adapters", "steps", "attempts a student", "proposals a teacher",
            "attempts in all", "made", "proposals in all", "written", "s/step", "peak MiB",
            "coverage %", "late solve rate %"]  # fmt: skip
    rows = []
    for entry in summary.entries:
        work = data.work[entry.name]
        each, total = work.proposals_per_teacher, work.proposals
        rows.append(
            [
                entry.name,
                f"{entry.runs} of {len(data.study.seeds)}",
                str(work.adapters),
                str(work.steps),
                f"{work.attempts_per_student:,.0f}",
                "–" if each is None else f"{each:,.0f}",
                f"{work.attempts:,}",
                "–" if entry.attempts is None else f"{entry.attempts:,.0f}",
                "–" if total is None else f"{total:,}",
                "–" if entry.proposals is None else f"{entry.proposals:,.0f}",
                _estimate(entry.seconds, 2),
                _estimate(entry.memory, 0),
                _estimate(entry.coverage, 1, 100.0),
                _estimate(entry.solve_rate, 1, 100.0),
            ]
        )
    return _markdown_table(head, rows)


def _part_row(name: str, part: Part, verdict: str) -> list[str]:
    value, between = part_figures(part)
    seeds = str(part.estimate.n)
    return [name, part.text, part_bar(part), f"{value} ({between})", p_value(part), seeds, verdict]


def _claims_markdown(data: StudyData, findings: Sequence[Finding]) -> list[str]:
    lines = []
    for finding in findings:
        view = f" [{finding.view}]" if finding.view else ""
        lines += [f"**({finding.claim.letter}) {finding.sentence}** {finding.verdict}{view}", ""]
    head = ["claim", "statistic", "claimed", "value (95 %)", "p", "seeds", "verdict"]
    rows = []
    for finding in findings:
        rows += [_part_row(of_claim(finding), part, part.verdict) for part in finding.parts]
        rows += [_part_row(f"{of_claim(finding)}, beside", p, p.verdict) for p in finding.also]
    return [*lines, *_markdown_table(head, rows), rule(data), ""]


def markdown(data: StudyData, summary: Summary, findings: Sequence[Finding]) -> str:
    """The same and more as Markdown: kinds, differences to the base, every part of a claim."""
    lines = [f"# {data.study.name}", ""]
    if findings:
        lines += ["## Claims", "", *_claims_markdown(data, findings)]
    if summary.kinds:
        lines += ["## Held-out results", ""]
    for suite in summary.kinds:
        for mode in data.modes:
            lines += _held_out_markdown(summary, suite, mode)
    lines += ["## Work and cost", "", *_cost_markdown(data, summary)]
    if data.failed:
        failures = [[entry, str(seed), reason] for entry, seed, reason in data.failed]
        lines += ["## Failed runs", "", *_markdown_table(["run", "seed", "why"], failures)]
    lines += [INTERVALS, "", "## Commands", "", "```sh", *data.commands, "```", ""]
    return "\n".join(lines)
