"""The bench of a hundred adapters, at toy size, each population in a process of its own."""

import json
from pathlib import Path

import pytest

from bench import extreme
from redqueen.compare import planned_work
from redqueen.config import load_config

ROOT = Path(__file__).parents[2]
TOY = {
    "rollout.matches": "1", "rollout.tasks_per_match": "2", "rollout.attempts": "2",
    "rollout.propose_tokens": "32", "rollout.solve_tokens": "32", "policy.rank": "1",
    "curriculum.seed_tasks": "3", "curriculum.held_out": "[]", "sandbox.workers": "1",
    "threads": "1",
}  # fmt: skip


def test_both_populations_do_the_same_work_in_a_step() -> None:
    large = load_config(ROOT / "configs" / "populora-50x50.toml")
    small = load_config(ROOT / "configs" / "default.toml")
    assert planned_work(large).adapters == 100
    assert large.rollout == small.rollout
    assert (large.steps - 1) // large.evolution.interval == 50


@pytest.mark.slow
def test_it_runs_at_toy_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    words = [word for key, value in TOY.items() for word in ("--set", key, value)]
    status = extreme.main(["--generations", "1", "--out", str(tmp_path), *words])
    assert "step time ratio" in capsys.readouterr().out
    result = json.loads((tmp_path / "extreme.json").read_text())
    assert (result["large"]["members"], result["small"]["members"]) == (100, 8)
    for side in ("large", "small"):
        steps = result[side]["steps"]
        assert [step["children"] > 0 for step in steps] == [True, False]
        assert [step["proposals"] for step in steps] == [2, 2]
        assert steps[-1]["memory"]["host"] > 100
    assert status == (0 if result["ratio"] <= 1.5 else 1)
    assert result["low"] <= result["ratio"] <= result["high"]
