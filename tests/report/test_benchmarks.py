"""Benchmark figures: pass@k against counting by hand, the table's width, the JSON's shape."""

import io
import json
from itertools import combinations
from pathlib import Path

import pytest
from rich.console import Console

from redqueen.config import Config
from redqueen.report.benchmarks import (
    benchmark_lines,
    benchmark_table,
    pass_at_k,
    print_benchmarks,
    write_harness_json,
)
from redqueen.store import EvaluationAttempt, RunStore
from redqueen.types import Completion, Request, Task, Verdict, user


@pytest.mark.parametrize("n", [1, 3, 6])
def test_pass_at_k_is_the_share_of_draws_with_a_success(n: int) -> None:
    for correct in range(n + 1):
        for k in range(1, n + 1):
            draws = list(combinations([1] * correct + [0] * (n - correct), k))
            assert pass_at_k(n, correct, k) == pytest.approx(sum(map(any, draws)) / len(draws))
    with pytest.raises(ValueError, match="no pass@4"):
        pass_at_k(3, 1, 4)


@pytest.fixture
def run(tmp_path: Path) -> RunStore:
    store = RunStore.create(tmp_path / "run", Config())
    tasks = [Task(f"gsm8k/{n}", "gsm8k", "gsm8k", {}) for n in range(8)]
    rows = [
        EvaluationAttempt(
            "gsm8k", subject, mode, task.id, number, 0.0 if mode == "greedy" else 0.6,
            Request(slot, user("?"), 1), Completion(slot, (1,), (2,), (-0.1,), "t", True),
            Verdict.CORRECT if (place + number + (slot or 0)) % 4 == 0 else Verdict.WRONG,
            metrics={"base": 1.0},
        )
        for subject, slot in (("base", None), ("member:1", 1), ("member:2", 2))
        for mode, attempts in (("greedy", 1), ("sampled", 4))
        for place, task in enumerate(tasks)
        for number in range(attempts)
    ]  # fmt: skip
    store.write_evaluation(rows, tasks, step=0)
    return store


def test_lines_have_means_and_pass_at_k(run: RunStore) -> None:
    lines = {line.metric: line for line in benchmark_lines(run)}
    assert list(lines) == ["pass@1", "base pass@1", "mean@4", "pass@2", "pass@4",
                           "base mean@4", "base pass@2", "base pass@4"]  # fmt: skip
    assert lines["pass@1"].estimates["base"].value == 2 / 8
    assert lines["mean@4"].estimates["base"].value == 1 / 4
    assert lines["pass@4"].estimates["base"].value == 1.0
    assert lines["pass@2"].estimates["mean"].value == pytest.approx(0.5)
    estimate = lines["pass@1"].estimates["base"]
    assert 0 <= estimate.low < estimate.value < estimate.high <= 1
    assert lines["pass@1"].tasks == 8
    assert run.suites() == []


def test_the_table_fits_eighty_columns(run: RunStore) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    assert print_benchmarks(run, console)
    table = benchmark_table(benchmark_lines(run))
    assert console.measure(table).maximum <= 80


def test_json_has_the_shape_of_the_harness(run: RunStore, tmp_path: Path) -> None:
    paths = write_harness_json(run, tmp_path / "out", {"limit": 8})
    names = ["base.json", "member-1.json", "member-2.json", "mean.json"]
    assert [path.name for path in paths] == names
    content = json.loads(paths[0].read_text())
    assert content["results"]["gsm8k"]["pass@1,none"] == 0.25
    assert content["results"]["gsm8k"]["pass@1_stderr,none"] > 0
    assert content["n-samples"]["gsm8k"] == {"effective": 8, "original": 8}
    assert content["configs"]["gsm8k"]["limit"] == 8
