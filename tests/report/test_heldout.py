"""The held-out summary against sums by hand, and the terminal table at 80 columns."""

from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from made_up_run import Fabricator, evaluation, fabricate, suite_task
from rich.console import Console

from redqueen.report import final_table, main_suite, print_results, summarize, verdict_sentence
from redqueen.report.heldout import kind_order, ordered_suites
from redqueen.store import EvaluationRow
from redqueen.types import Member, Role


@dataclass
class FakeRun:
    """Just what `summarize` reads."""

    rows: list[EvaluationRow]
    members: list[Member] = field(default_factory=list)

    def load_members(self) -> list[Member]:
        return self.members

    def load_evaluations(self, suite: str | None = None) -> list[EvaluationRow]:
        return [row for row in self.rows if row.suite == suite]

    def evaluated_step(self, suite: str) -> int | None:
        return 12


def student(number: int, died: int | None = None, role: Role = Role.STUDENT) -> Member:
    return Member(number, number, (role,), 25.0, 8.0, died=died)


def rows(subject: str, rates: list[int], mode: str = "sampled", samples: int = 4):
    """Task i is of kind code_o or code_i by turns, band i // 2, solved rates[i] times."""
    return [
        EvaluationRow(
            subject, "s", mode, f"t{i}", ("code_o", "code_i")[i % 2], i // 2, rate, samples
        )
        for i, rate in enumerate(rates)
    ]


def run_of(*groups: list[EvaluationRow]) -> FakeRun:
    everybody = [student(1), student(2), student(3, died=5), student(4, None, Role.TEACHER)]
    return FakeRun([row for group in groups for row in group], everybody)


def test_best_weakest_mean_and_gains_by_hand() -> None:
    run = run_of(
        rows("base", [1, 0, 2, 1]),
        rows("member:1", [2, 1, 2, 2]),
        rows("member:2", [4, 1, 3, 2]),
        rows("member:3", [4, 4, 4, 4]),  # dead
        rows("member:4", [4, 4, 4, 4]),  # a teacher
    )
    result = summarize(run, "s", ["code_o", "code_i"])
    assert result is not None
    assert [(line.label, line.member) for line in result.standings] == [
        ("base", None),
        ("population mean", None),
        ("best student", 2),
        ("weakest", 1),
    ]
    base, mean, best, weakest = result.standings
    assert base.rates["sampled", "all"].value == pytest.approx(4 / 16)
    assert best.rates["sampled", "all"].value == pytest.approx(10 / 16)
    assert weakest.rates["sampled", "all"].value == pytest.approx(7 / 16)
    assert mean.rates["sampled", "all"].value == pytest.approx(17 / 32)
    assert mean.rates["sampled", "code_o"].value == pytest.approx(11 / 16)
    assert mean.gains["sampled", "all"].value == pytest.approx(17 / 32 - 8 / 32)
    assert base.gains == {}
    assert result.kinds == ("code_o", "code_i", "all")
    assert result.tasks == {
        ("sampled", "code_o"): 2,
        ("sampled", "code_i"): 2,
        ("sampled", "all"): 4,
    }
    assert (result.students, result.samples, result.step) == (2, {"sampled": 4}, 12)
    assert [(b.band, b.base and b.base.value, b.mean.value) for b in result.bands] == [
        (0, pytest.approx(1 / 8), pytest.approx(8 / 16)),
        (1, pytest.approx(3 / 8), pytest.approx(9 / 16)),
    ]


def test_gains_are_paired() -> None:
    # Tasks differ a lot, the gain hardly: pairing takes the tasks' spread out of the interval.
    generator = np.random.default_rng(0)
    base = generator.choice([0, 40], 200)
    better = [int(b) + (1 if b < 20 else -1) + 2 * int(b < 20) for b in base]
    run = run_of(rows("base", base.tolist(), samples=40), rows("member:1", better, samples=40))
    result = summarize(run, "s")
    assert result is not None
    line = result.standing("student")
    assert line is not None
    gain, rate = line.gains["sampled", "all"], line.rates["sampled", "all"]
    assert gain.high - gain.low < 0.2 * (rate.high - rate.low)
    assert gain.low < gain.value < gain.high


def test_only_common_tasks_are_compared() -> None:
    run = run_of(rows("base", [4, 0, 0]), rows("member:1", [4, 4]), rows("member:2", [0, 0, 4]))
    result = summarize(run, "s")
    assert result is not None
    assert result.tasks["sampled", "all"] == 2
    base = result.standing("base")
    assert base is not None
    assert base.rates["sampled", "all"].value == pytest.approx(0.5)


def test_a_mode_that_lacks_a_subject_leaves_its_line_out() -> None:
    run = run_of(
        rows("base", [1, 1]),
        rows("member:1", [2, 2]),
        rows("member:2", [3, 3]),
        rows("base", [0, 1], "greedy", 1),
        rows("member:1", [1, 1], "greedy", 1),
    )
    result = summarize(run, "s")
    assert result is not None
    has = {line.label: {mode for mode, _ in line.rates} for line in result.standings}
    assert has == {
        "base": {"sampled", "greedy"},
        "population mean": {"sampled"},
        "best student": {"sampled"},
        "weakest": {"sampled", "greedy"},
    }


def test_without_base_or_members() -> None:
    assert summarize(run_of(rows("base", [1, 1])), "s") is None
    assert summarize(run_of(), "s") is None
    alone = summarize(run_of(rows("member:2", [4, 4])), "s")
    assert alone is not None
    assert [line.label for line in alone.standings] == ["student"]
    assert "solves 100.0% of 2 s tasks when sampled (95% interval" in verdict_sentence(alone)
    assert alone.standings[0].rates["sampled", "all"].low < 0.5


@pytest.mark.parametrize(
    ("base", "member", "words"),
    [
        ([0] * 40, [2] * 20 + [3] * 20, "62.5 points more than"),
        ([3] * 40, [0] * 20 + [1] * 20, "62.5 points less than"),
        ([2] * 40, [1] * 20 + [3] * 20, "no clear difference"),
    ],
)
def test_the_verdict_says_what_the_interval_allows(base, member, words) -> None:
    result = summarize(run_of(rows("base", base), rows("member:1", member)), "s")
    assert result is not None
    assert words in verdict_sentence(result)


def test_main_suite() -> None:
    assert main_suite([]) is None
    assert main_suite(["a", "b"]) == "a"
    assert main_suite(["a", "held-out"]) == "held-out"


def printed(renderable: object) -> list[str]:
    out = StringIO()
    Console(file=out, width=80, force_terminal=False).print(renderable)
    return out.getvalue().splitlines()


def test_the_table_fits_80_columns_and_says_the_figures(tmp_path: Path) -> None:
    with fabricate(tmp_path / "run", 3) as run:
        result = summarize(run, "held-out", ["code_o", "code_i", "code_f"])
        assert result is not None
        out = StringIO()
        assert print_results(run, Console(file=out, width=80))
    lines = out.getvalue().splitlines()
    text = out.getvalue()
    assert lines == printed(final_table(result))
    assert max(map(len, lines)) <= 80
    assert "…" not in text
    for line in result.standings:
        assert line.label in text
        for (_, _), e in line.rates.items():
            assert f"{100 * e.value:.1f}" in text
            assert f"{100 * e.low:.1f}-{100 * e.high:.1f}" in text
        for (_, kind), e in line.gains.items():
            if kind == "all":
                assert f"{100 * e.value:+.1f}" in text
                assert f"{100 * e.low:+.1f} to {100 * e.high:+.1f}" in text
    assert "n=20" in text
    assert "n=60" in text


def test_every_suite_is_shown_the_main_one_first(tmp_path: Path) -> None:
    assert ordered_suites(["beyond", "handwritten", "held-out"]) == [
        "held-out", "beyond", "handwritten",
    ]  # fmt: skip
    with fabricate(tmp_path / "run", 3, tasks=30) as run:
        maker, tasks = Fabricator(run.config(), 0), [suite_task(n) for n in range(30)]
        for suite in ("handwritten", "beyond"):
            run.write_evaluation(evaluation(maker, 30, 4, suite), tasks, step=3)
        run.stage_evaluation(evaluation(maker, 30, 4, "later"), tasks, step=3)
        out = StringIO()
        assert print_results(run, Console(file=out, width=80))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    titles = [line.split(":")[0] for line in lines if "per task):" in line]
    assert titles == [
        "held-out, sampled (4 per task)",
        "held-out, greedy (1 per task)",
        "beyond, sampled (4 per task)",
        "handwritten, sampled (4 per task)",
    ]


def test_kinds_come_in_the_order_that_is_declared() -> None:
    assert kind_order(["b", "a", "c", "a"], ["c", "x", "b"]) == ("c", "b", "a")


def test_no_result_says_how_to_get_one(tmp_path: Path) -> None:
    with fabricate(tmp_path / "run", 1, evaluated=False) as run:
        out = StringIO()
        assert not print_results(run, Console(file=out, width=200))
    assert "redqueen eval" in out.getvalue()


def test_gains_are_quoted_over_the_elicited_base_too() -> None:
    run = run_of(
        rows("base", [0, 0, 1, 1]), rows("elicited", [1, 1, 1, 2]),
        rows("member:1", [2, 1, 2, 2]), rows("member:2", [2, 1, 4, 4]),
    )  # fmt: skip
    result = summarize(run, "s")
    assert result is not None
    assert [line.label for line in result.standings] == [
        "base", "elicited base", "population mean", "best student", "weakest",
    ]  # fmt: skip
    base, helped, mean, best, _ = result.standings
    key = ("sampled", "all")
    assert (result.students, base.member, helped.member, best.member) == (2, None, None, 2)
    assert helped.gains[key].value == pytest.approx(3 / 16)
    assert mean.gains[key].value == pytest.approx(9 / 16 - 2 / 16)
    assert mean.over_elicited[key].value == pytest.approx(9 / 16 - 5 / 16)
    assert not helped.over_elicited
    over = mean.over_elicited[key]
    assert verdict_sentence(result).endswith(
        f" Over the elicited base: +25.0 points ({100 * over.low:+.1f} to {100 * over.high:+.1f})."
    )
    alone = summarize(run_of(rows("elicited", [1, 1]), rows("member:1", [2, 1])), "s")
    assert alone is not None
    assert [line.label for line in alone.standings] == ["elicited base", "student"]
