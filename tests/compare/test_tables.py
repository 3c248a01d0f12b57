"""The tables and the page of a made-up study: true and self-contained."""

import re
from dataclasses import replace
from io import StringIO
from typing import Any

import numpy as np
import pytest
from drawn import figures, page_data, sections
from made_up import made_up_runs, made_up_study
from rich.console import Console

from redqueen.compare import Plan, RunResult, plan, terminal_table
from redqueen.compare.page import render_comparison
from redqueen.compare.table import Table, all_tables, base_effects, markdown_table

EVIL = "<script>alert('x')</script>&]]>"


@pytest.fixture(scope="module")
def checked() -> Plan:
    return plan(made_up_study(name=EVIL))


@pytest.fixture(scope="module")
def runs(checked: Plan) -> list[RunResult]:
    return made_up_runs(checked.study)[:-1]  # one is not finished


@pytest.fixture(scope="module")
def tables(checked: Plan, runs: list[RunResult]) -> list[Table]:
    return all_tables(checked.study, checked.work, runs)


@pytest.fixture(scope="module")
def page(checked: Plan, runs: list[RunResult], tables: list[Table]) -> dict[str, Any]:
    text = render_comparison(checked, runs, tables, "redqueen compare x.toml")
    assert text == render_comparison(checked, runs, tables, "redqueen compare x.toml")
    return page_data(text)


def test_figures_against_sums_by_hand(runs: list[RunResult], tables: list[Table]) -> None:
    by_name = {table.name: table for table in tables}
    mine = [run.answers["held-out", "greedy"] for run in runs if run.entry == "uniform"]
    row = next(row for row in by_name["held-out-greedy"].rows if row[0][0] == "uniform")
    mean = np.mean([answers.rates_MT.mean() for answers in mine])
    assert row[1][0] == f"{100 * mean:.1f}"
    assert mine[0].base_T is not None
    assert row[4][0] == f"{100 * (mean - mine[0].base_T.mean()):+.1f}"
    kinds = by_name["held-out-greedy-kinds"]
    row = next(row for row in kinds.rows if row[0][0] == "uniform")
    chosen = mine[0].kinds_T == "code_i"
    value = np.mean([answers.rates_MT[:, chosen].mean() for answers in mine])
    assert row[kinds.head.index("code_i")][0] == f"{100 * value:.1f}"
    cost = {row[0][0]: row for row in by_name["cost"].rows}
    assert [cost["azr-long"][1][0], cost["azr"][1][0]] == ["3 of 4", "4 of 4"]
    assert cost["uniform"][4] == ("15,360", f"{60 * 3 * 72:,} made")


def test_the_best_stands_above_the_weakest(tables: list[Table]) -> None:
    for row in next(t for t in tables if t.name == "held-out-sampled").rows:
        if row[0][0] in ("populora-4x4", "uniform"):
            assert float(row[2][0]) > float(row[1][0]) > float(row[3][0])


def test_another_base_in_one_run_leaves_no_line_for_the_base(runs: list[RunResult]) -> None:
    key = ("held-out", "greedy")
    assert base_effects(runs, *key, ("",)) is not None
    answers = runs[0].answers[key]
    assert answers.base_T is not None
    other = replace(answers, base_T=1 - answers.base_T)
    changed = [*runs[1:], replace(runs[0], answers={key: other})]
    assert base_effects(changed, *key, ("",)) is None


def test_terminal_tables_fit_80_columns(tables: list[Table]) -> None:
    console = Console(file=StringIO(), width=80, highlight=False)
    for table in tables:
        if not table.wide:
            console.print(terminal_table(table))
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "\u2026" not in text
    assert all(word in text for word in ("populora-4x4", "no-evolution", "15,360", "base"))


def test_markdown_tables_are_square(tables: list[Table]) -> None:
    for table in tables:
        lines = [line for line in markdown_table(table).splitlines() if line.startswith("|")]
        assert len(lines) == 2 + len(table.rows)
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {len(table.head) + 1}


def test_page_is_whole(page: dict[str, Any]) -> None:
    assert [name for name, _ in page["menu"]] == ["held-out", "curves", "cost", "setup"]
    assert {"held-out", "curves", "cost", "setup"} == set(sections(page))
    found = set(figures(page))
    assert {"solve", "ast_depth", "cyclomatic", "lines", "coverage"} <= found
    assert {"dots-held-out-sampled", "table-held-out-greedy"} <= found
    assert page["title"] == EVIL
    assert "Not finished: azr-long/seed-3" in page["verdict"]


def test_page_has_the_tables_figures(page: dict[str, Any], tables: list[Table]) -> None:
    for table in tables:
        (shown,) = figures(page)[f"table-{table.name}"]["parts"]
        cells = [[(c["text"], c["small"]) for c in row["cells"]] for row in shown["rows"]]
        assert cells == [list(map(tuple, row)) for row in table.rows]


def test_curves_have_one_line_an_entry(page: dict[str, Any], checked: Plan) -> None:
    for name in ("solve", "lines", "coverage"):
        (chart,) = figures(page)[name]["parts"]
        assert [line["name"] for line in chart["series"]] == [e.name for e in checked.study.entries]
        assert all(line["band"] for line in chart["series"])


def test_a_study_without_runs_has_a_page(checked: Plan) -> None:
    tables = all_tables(checked.study, checked.work, [])
    text = render_comparison(checked, [], tables, "")
    assert "0 finished runs" in text
    assert "No run of this study was measured." in text
