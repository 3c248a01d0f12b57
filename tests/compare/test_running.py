"""Comparisons through the command line in processes of their own: stop, resume, failures."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from redqueen.compare import build_study, compare, load_study, plan, report
from redqueen.compare.runner import Outcome, next_command, run_directory
from redqueen.config import build_config, merge
from redqueen.errors import ConfigError, InfrastructureError
from redqueen.store import RunStore, checkpoint_steps, config_toml

SMALL = {
    "rollout": {"attempts": 2, "propose_tokens": 48, "solve_tokens": 32},
    "curriculum": {"seed_tasks": 3},
}
STUDY = """
name = "tiny"
seeds = [0]
[evaluation]
tasks = 3
samples = 1
[[entries]]
name = "pair"
config = "tiny.toml"
[[entries]]
name = "single"
config = "tiny.toml"
overrides = {population = {teachers = 0, students = 0, self_play = 1}, "rollout.matches" = 1}
[[views]]
name = "per adapter"
match = "adapter"
entries = ["pair", "single"]
"""
QUIET = Console(file=StringIO())


@pytest.fixture
def folder(tmp_path: Path, tiny_values: dict[str, Any]) -> Path:
    """A folder with a study of two configs, one seed, two steps."""
    values = merge(tiny_values, SMALL)
    (tmp_path / "tiny.toml").write_text(config_toml(build_config(values)), encoding="utf-8")
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_comparison_that_was_stopped_is_taken_up(folder: Path) -> None:
    out = folder / "out"
    study = load_study(folder / "study.toml")
    pair = plan(study).runs[0]
    directory = run_directory(out, pair)
    command = [sys.executable, "-m", "redqueen.cli", "compare", "study.toml", "--out", "out"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
        end = time.monotonic() + 600
        while not (directory / "checkpoints" / "step-000001").exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    RunStore.open(directory).close()  # nobody holds the run
    outcomes: list[Outcome] = []
    assert compare(study, out, console=QUIET, jobs=2, on_outcome=outcomes.append)
    assert {outcome.reason for outcome in outcomes} == {None}
    assert (out / "logs" / "pair-seed-0.log").stat().st_size
    assert checkpoint_steps(directory)[-1] == 2
    result = report(out)
    assert [(run.entry, run.seed) for run in result.runs] == [("pair", 0), ("single", 0)]
    assert result.page.stat().st_size > 10_000
    check_against_the_database(result.runs[0], directory)
    # Nothing is left to do; other settings of the evaluation ask for that alone.
    outcomes.clear()
    assert compare(study, out, console=QUIET, on_outcome=outcomes.append)
    assert outcomes == []
    fewer = study.evaluation.model_copy(update={"tasks": 2})
    changed = plan(study.model_copy(update={"evaluation": fewer})).runs[0]
    command = ["eval", str(directory), "--suite", "held-out", "--tasks", "2", "--samples", "1"]
    assert next_command(changed, out) == command
    longer = pair.config.model_copy(update={"steps": 9})
    with pytest.raises(ConfigError, match=r"differs in steps\); remove it"):
        next_command(type(pair)(pair.entry, 0, longer), out)


def check_against_the_database(run: Any, directory: Path) -> None:
    """What was read of a run, against SQL of the test's own."""
    db = sqlite3.connect(directory / "run.db")
    answers = run.answers["held-out", "greedy"]
    assert answers.rates_MT.shape == (2, 3)
    assert answers.base_T is not None
    total = (
        "SELECT sum(verdict = 'correct') FROM evaluations "
        "WHERE mode = 'greedy' AND subject LIKE 'member:%'"
    )
    assert answers.rates_MT.sum() == db.execute(total).fetchone()[0]
    assert run.proposals == db.execute("SELECT count(*) FROM proposals").fetchone()[0] == 12
    assert run.attempts == db.execute("SELECT count(*) FROM rollouts").fetchone()[0]
    solved = db.execute(
        "SELECT kind, avg(verdict = 'correct') FROM rollouts GROUP BY step, task_id"
    ).fetchall()
    sums: Counter[str] = Counter()
    for kind, rate in solved:
        sums[kind] += rate
    assert {k: sum(r.rates for r in rows) for k, rows in run.kinds.items()} == pytest.approx(sums)
    lines = [json.loads(text)["lines"] for (text,) in db.execute(
        "SELECT t.features FROM proposals p JOIN tasks t ON t.id = p.task_id")]  # fmt: skip
    rows = [row for rows in run.kinds.values() for row in rows if row.tasks]
    assert sum(row.tasks * row.features["lines"] for row in rows) == pytest.approx(sum(lines))
    total = "SELECT sum(seconds) FROM phases WHERE step = 2 AND NOT background"
    seconds = db.execute(total).fetchone()[0]
    assert run.step_seconds == pytest.approx(seconds)
    assert run.last == 2
    db.close()


@pytest.mark.slow
def test_a_bad_run_stops_nobody_else_and_every_run_failing_is_an_error(tmp_path: Path) -> None:
    lost = {"policy.base": "./nowhere"}
    entries = [{"name": n, "evaluate": False, "overrides": lost} for n in ("a", "b")]
    outcomes: list[Outcome] = []
    with pytest.raises(InfrastructureError, match=r"every run failed.*nowhere"):
        compare(
            build_study({"seeds": [0], "entries": entries}),
            tmp_path / "out",
            console=QUIET,
            jobs=2,
            on_outcome=outcomes.append,
        )
    assert {outcome.run.key for outcome in outcomes} == {"a/seed-0", "b/seed-0"}
    assert report(tmp_path / "out").runs == ()


def test_more_tasks_than_are_kept_from_training_are_refused(tmp_path: Path) -> None:
    study = build_study({"entries": [{"name": "a"}], "evaluation": {"tasks": 10**6}})
    with pytest.raises(ConfigError, match="at most 2000"):
        compare(study, tmp_path, console=QUIET)


def test_what_died_before_its_first_checkpoint_starts_anew(folder: Path) -> None:
    run = plan(load_study(folder / "study.toml")).runs[0]
    out = folder / "out"
    directory = run_directory(out, run)
    RunStore.create(directory, run.config).close()
    words = next_command(run, out)
    assert words == [
        "train",
        str(out / "configs" / "pair" / "seed-0.toml"),
        "--out",
        str(directory),
    ]
    assert not directory.exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="locks are advisory there")
def test_a_run_that_another_process_writes_is_left_alone(folder: Path) -> None:
    run = plan(load_study(folder / "study.toml")).runs[0]
    script = (
        "import sys, time; from pathlib import Path; from redqueen.store import RunStore\n"
        "from redqueen.config import load_config\n"
        "store = RunStore.create(Path(sys.argv[1]), load_config(None)); print('held', flush=True)\n"
        "time.sleep(600)"
    )
    directory = run_directory(folder / "out", run)
    command = [sys.executable, "-c", script, str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError, match="another process is writing"):
            next_command(run, folder / "out")
        holder.kill()
    assert (directory / "run.db").exists()
