"""Comparisons through the real trainer in processes of their own: kill, resume, failures."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from redqueen.compare import build_study, compare, load_study, plan, report
from redqueen.compare.database import StudyDatabase
from redqueen.compare.runner import Outcome, hold, is_done
from redqueen.compare.worker import Stop, work
from redqueen.config import build_config, merge
from redqueen.errors import ConfigError, InfrastructureError
from redqueen.store import RunStore, config_toml
from redqueen.trainer import Trainer

SMALL = {
    "rollout": {"attempts": 2, "propose_tokens": 48, "solve_tokens": 32},
    "domain": {"seed_tasks": 3},
}
STUDY = """
name = "tiny"
seeds = [0, 1]
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
[[claims]]
claim = "mean-beats"
of = "pair"
against = "single"
"""


@pytest.fixture
def folder(tmp_path: Path, tiny_values: dict[str, Any]) -> Path:
    """A folder with a study of two configs, two seeds, two steps."""
    values = merge(tiny_values, SMALL)
    (tmp_path / "tiny.toml").write_text(config_toml(build_config(values)), encoding="utf-8")
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    return tmp_path


def adapters(directory: Path) -> bytes:
    return (directory / "checkpoints" / "step-000002" / "adapters.safetensors").read_bytes()


def start(folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "redqueen.cli", "compare", "study.toml"]
    return subprocess.Popen(
        [*command, "--out", "out", "--jobs", "2"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def wait_for(condition: Any, seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_free(directory: Path) -> bool:
    """Whether no worker holds the run."""
    try:
        RunStore.open(directory).close()
    except ConfigError:
        return False
    return True


@pytest.mark.slow
def test_killed_and_taken_up_is_the_comparison_never_killed(folder: Path) -> None:
    out = folder / "out"
    first = out / "runs" / "pair" / "seed-0"
    with start(folder) as process:
        wait_for(lambda: (first / "checkpoints" / "step-000001").exists())
        process.kill()
    # Workers of a dead comparison stop by themselves after their step; the next one waits for them.
    study = load_study(folder / "study.toml")
    assert compare(study, out, jobs=2)
    with RunStore.open(first, read_only=True) as store:
        config = store.config()
    with Trainer.start(config, folder / "reference") as trainer:
        trainer.run(lambda phase, record: None)
    assert adapters(first) == adapters(folder / "reference")
    result = report(out)
    assert sorted((run.entry, run.seed) for run in result.data.runs) == [
        ("pair", 0), ("pair", 1), ("single", 0), ("single", 1),
    ]  # fmt: skip
    (run,) = (run for run in result.data.runs if (run.entry, run.seed) == ("pair", 0))
    assert run.results["held-out", "greedy"].rates_MT.shape == (2, 3)
    assert run.results["held-out", "sampled"].base_T is not None
    assert run.memory["host"] > 100
    assert run.proposals == 12
    assert run.attempts <= result.data.work["pair"].attempts
    assert result.findings[0].parts[0].estimate.n == 2
    assert result.data.commands[0] == "redqueen compare study.toml --out out --jobs 2"
    assert (out / "study.db").stat().st_size < 200_000
    # Nothing is left to do, and a lost study.db is made again from the runs.
    heard: list[Outcome] = []
    assert compare(study, out, on_outcome=heard.append)
    (out / "study.db").unlink()
    assert compare(study, out, on_outcome=heard.append)
    assert heard == []
    assert report(out).summary == result.summary
    # study.db alone is enough as well, for what it holds.
    shutil.rmtree(out / "runs")
    shutil.rmtree(out / "bases")
    assert compare(study, out, on_outcome=heard.append)
    assert heard == []
    assert report(out).summary == result.summary
    changed = study.model_copy(
        update={"seeds": (0,), "evaluation": study.evaluation.model_copy(update={"tasks": 2})}
    )
    assert compare(changed, out, jobs=2, on_outcome=heard.append)
    assert sorted(outcome.job.kind for outcome in heard) == ["base", "run", "run"]


@pytest.mark.slow
def test_a_stop_loses_nothing_and_a_bad_run_stops_nobody_else(folder: Path) -> None:
    values = {
        "seeds": [0],
        "entries": [
            {"name": "pair", "config": str(folder / "tiny.toml"), "steps": 4, "evaluate": False},
            {"name": "lost", "evaluate": False, "overrides": {"policy.base": "./nowhere"}},
        ],
    }
    study, out = build_study(values), folder / "out"
    database = out / "runs" / "pair" / "seed-0" / "run.db"
    shares: list[float] = []
    assert not compare(
        study,
        out,
        jobs=2,
        should_stop=database.exists,
        on_progress=lambda progress: shares.append(progress.share),
    )
    assert shares[-1] < 1.0  # a run that was stopped is not one that is done
    assert is_free(database.parent)
    heard: list[Outcome] = []
    assert compare(study, out, jobs=2, on_outcome=heard.append)
    assert {outcome.job.key for outcome in heard} == {"pair/seed-0", "lost/seed-0"}
    data = report(out).data
    assert [(entry, seed) for entry, seed, _ in data.failed] == [("lost", 0)]
    assert "nowhere" in data.failed[0][2]
    assert [(run.entry, run.last) for run in data.runs] == [("pair", 4)]


def test_when_every_run_fails_it_says_so(tmp_path: Path) -> None:
    entry = {"name": "a", "evaluate": False, "overrides": {"policy.base": "./nowhere"}}
    study = build_study({"seeds": [0], "entries": [entry]})
    heard: list[Outcome] = []
    with pytest.raises(InfrastructureError, match=r"every run failed.*nowhere"):
        compare(study, tmp_path / "out", on_outcome=heard.append)
    assert [outcome.job.key for outcome in heard] == ["a/seed-0"]


def test_a_run_of_another_configuration_is_refused(folder: Path, tmp_path: Path) -> None:
    values = {"seeds": [0], "entries": [{"name": "a", "config": str(folder / "tiny.toml"),
                                         "evaluate": False}]}  # fmt: skip
    run = plan(build_study(values)).runs[0]
    directory = tmp_path / "out" / "runs" / "a" / "seed-0"
    other = build_config(run.config.model_dump() | {"steps": 9})
    Trainer.start(other, directory).close()
    with pytest.raises(ConfigError, match=r"differs in steps\); remove it"):
        compare(build_study(values), tmp_path / "out")


def test_a_worker_books_what_it_measured_and_measures_only_what_is_missing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {
        "seeds": [0],
        "evaluation": {"tasks": 3, "samples": 1},
        "entries": [{"name": "a", "config": str(folder / "tiny.toml"), "steps": 1}],
    }
    plan_ = plan(build_study(values))
    run, wanted = plan_.runs[0], plan_.study.evaluation
    directory = folder / "run"
    job = {
        "kind": "run",
        "directory": str(directory),
        "config": run.config.model_dump(mode="json"),
        "evaluation": wanted.model_dump(mode="json"),
        "threads": 1,
    }
    (directory / "checkpoints").mkdir(parents=True)  # a run that died before its first checkpoint
    (directory / "run.db").write_bytes(b"")
    assert work(job, Stop(os.getppid())) == 0
    assert is_done(directory, run, wanted)
    assert not is_done(directory, run, wanted.model_copy(update={"tasks": 4}))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"phase": "train", "done": 1, "total": 1} in lines
    assert {line["phase"] for line in lines} == {
        "train",
        "held-out, member:2",
        "held-out, member:3",
    }
    assert work(job, Stop(os.getppid())) == 0
    assert {json.loads(line)["phase"] for line in capsys.readouterr().out.splitlines()} == {"train"}
    path = folder / "study.db"
    with StudyDatabase.create_or_open(path) as db:
        db.write_plan(plan_, "redqueen compare")
        db.add_run(run, directory, None)
        db.add_run(run, directory, None)
        assert db.rows("SELECT count(*) FROM runs") == [(1,)]
        with RunStore.open(directory, read_only=True) as store:
            counts = store.load_solve_counts()
            rows = store.load_evaluations("held-out")
        assert db.rows("SELECT kind, correct, attempts FROM kinds ORDER BY kind") == sorted(
            (c.kind, c.correct, c.attempts) for c in counts
        )
        summed = "SELECT sum(correct), sum(attempts) FROM evaluation_summary"
        assert db.rows(summed) == [(sum(r.correct for r in rows), sum(r.samples for r in rows))]


def test_a_worker_stops_when_its_parent_is_gone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = build_config(merge(build_config({}).model_dump(), {"steps": 1}))
    job = {
        "kind": "run",
        "directory": str(folder / "run"),
        "config": config.model_dump(mode="json"),
        "evaluation": None,
        "threads": 1,
    }
    assert work(job, Stop(parent=-1)) == 130
    assert not (folder / "run").exists()


def test_two_comparisons_never_share_a_directory(tmp_path: Path) -> None:
    with hold(tmp_path), pytest.raises(ConfigError, match="another comparison"), hold(tmp_path, 0):
        pass
    with hold(tmp_path, 0):
        pass
