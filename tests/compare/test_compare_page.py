"""The page and the table of a made-up study: well-formed, complete, self-contained, true."""

import re
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from made_up import made_up_study, make_up
from rich.console import Console

from redqueen.cli import main
from redqueen.compare import Comparison, report, study_table
from redqueen.compare.database import StudyDatabase
from redqueen.errors import ConfigError

EVIL = "<script>alert('x')</script>&]]>"


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("study")
    make_up(folder / "study.db", made_up_study(name=EVIL), failed=True)
    return report(folder)


def tree(page: Path) -> ElementTree.Element:
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>\n")
    return ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>\n"))


def plain(element: ElementTree.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def test_page_is_whole_and_fetches_nothing(result: Comparison) -> None:
    root = tree(result.page)
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    assert {"claims", "held-out", "curves", "cost", "setup"} <= set(ids)
    assert {"solve", "ast_depth", "cyclomatic", "lines", "coverage"} <= set(ids)
    assert {"dots-held-out-sampled", "table-held-out-greedy"} <= set(ids)
    assert not [e for e in root.iter() if e.tag in ("script", "link", "img", "iframe")]
    style = plain(next(e for e in root.iter("style")))
    assert "url(" not in style
    assert "@import" not in style
    assert plain(next(e for e in root.iter("h1"))) == EVIL
    links = {e.get("href") for e in root.iter("a")}
    assert {link.removeprefix("#") for link in links if link} <= set(ids)


def test_page_says_every_verdict_and_every_failure(result: Comparison) -> None:
    root = tree(result.page)
    items = [plain(e) for e in root.iter("li")]
    for finding in result.findings:
        assert any(finding.sentence in text and finding.verdict in text for text in items)
    text = plain(root)
    assert "azr-long, seed 3: the sandbox failed on all 8 attempts" in text
    assert "redqueen compare studies/made-up.toml --jobs 2" in text
    assert "1/16" in text


def test_page_shows_the_summarys_figures(result: Comparison) -> None:
    rows = {
        plain(row[0]): [plain(cell) for cell in row]
        for table in tree(result.page).iter("figure")
        if table.get("id") == "table-held-out-sampled"
        for row in table.iter("tr")
    }
    for entry in result.summary.entries:
        cell = entry.cells["held-out", "sampled", "all", "mean"]
        assert rows[entry.name][1].startswith(f"{100 * cell.rate.value:.1f}")
        assert cell.gain is not None
        assert rows[entry.name][4].startswith(f"{100 * cell.gain.value:+.1f}")


def test_curves_have_one_line_an_entry(result: Comparison) -> None:
    for figure in tree(result.page).iter("figure"):
        if figure.get("id") in ("solve", "lines", "coverage"):
            wide = next(e for e in figure.iter("div") if e.get("class") == "wide")
            paths = [e for e in wide.iter() if e.tag.endswith("}path")]
            titles = [plain(p) for p in paths if p.get("class") == "line"]
            assert titles == [entry.name for entry in result.data.study.entries]
            assert sum(p.get("class") == "band" for p in paths) == len(titles)


def test_terminal_table_fits_80_columns(result: Comparison) -> None:
    console = Console(file=StringIO(), width=80, highlight=False)
    console.print(study_table(result.data, result.summary, result.findings))
    assert isinstance(console.file, StringIO)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert "\u2026" not in text
    for entry in result.summary.entries:
        assert entry.name in text


def test_markdown_has_square_tables(result: Comparison) -> None:
    text = result.table.read_text(encoding="utf-8")
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert len(blocks) == 5  # claims, two modes, cost, failures
    for block in blocks:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1
    assert "| base |" in text


def test_the_same_data_give_the_same_page(result: Comparison) -> None:
    before = result.page.read_bytes()
    assert report(result.page.parent).page.read_bytes() == before


def test_a_study_without_runs_has_a_page(tmp_path: Path) -> None:
    study = made_up_study()
    make_up(tmp_path / "study.db", study)
    with StudyDatabase.open(tmp_path / "study.db") as db:
        db.forget_results()
    root = tree(report(tmp_path).page)
    assert "0 finished runs" in plain(root)


def test_report_of_failed_runs_has_status_1(
    result: Comparison, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "--report", str(result.page.parent)]) == 1
    assert "failed: azr-long, seed 3" in capsys.readouterr().out


def test_the_file_is_small_and_readable_elsewhere(result: Comparison) -> None:
    path = result.page.parent / "study.db"
    assert path.stat().st_size < 1_000_000
    with StudyDatabase.open(path) as db:
        rows = db.rows(
            "SELECT sum(correct), sum(attempts) FROM evaluation_summary "
            "WHERE entry = 'azr' AND seed = 1 AND mode = 'sampled' AND subject = 'member:0'"
        )
    (run,) = (run for run in result.data.of("azr") if run.seed == 1)
    rates = run.results["held-out", "sampled"].rates_MT
    assert rows == [(round(2 * rates.sum()), 180)]


def test_not_a_study_database(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text("no database at all, but text")
    with pytest.raises(ConfigError, match="not a"):
        report(tmp_path)
