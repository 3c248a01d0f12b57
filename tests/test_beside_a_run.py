"""Export, eval and report on a run that another process is training."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from redqueen import build
from redqueen.cli import main
from redqueen.config import Config
from redqueen.store import RunStore, checkpoint_steps, config_toml


def command(tmp_path: Path, config: Config, out: str) -> list[str]:
    file = tmp_path / "config.toml"
    file.write_text(config_toml(config.model_dump(mode="json")), encoding="utf-8")
    words = ["train", str(file), "--out", str(tmp_path / out)]
    return [sys.executable, "-m", "redqueen.cli", *words]


@pytest.mark.slow
def test_export_eval_and_report_work_beside_the_run_and_change_nothing(
    tiny: Callable[..., Config], tmp_path: Path
) -> None:
    config = tiny(steps=3, eval={"enabled": False, "tasks": 3, "samples": 1})
    with build.start(config, tmp_path / "alone") as trainer:
        assert trainer.run()
    run = tmp_path / "watched"
    with subprocess.Popen(
        command(tmp_path, config, "watched"), stdout=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 200
        while not (run.exists() and checkpoint_steps(run)) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGSTOP)  # the run stands still in the middle, its lock held
        assert checkpoint_steps(run)[-1] < config.steps
        for words in (
            ["export", str(run), "--member", "3", "--out", str(tmp_path / "adapter")],
            ["report", str(run)],
            ["status", str(run)],
            ["eval", str(run), "--tasks", "3", "--samples", "1"],
        ):
            assert main(words) == 0, words
        os.kill(process.pid, signal.SIGCONT)
    assert process.returncode == 0
    assert (tmp_path / "adapter" / "adapter_model.safetensors").exists()
    for name in ("adapters", "optimizer"):
        file = f"checkpoints/step-{config.steps:06d}/{name}.safetensors"
        assert (run / file).read_bytes() == (tmp_path / "alone" / file).read_bytes()
    with (
        RunStore.open(run, read_only=True) as watched,
        RunStore.open(tmp_path / "alone", read_only=True) as alone,
    ):
        for step in range(1, config.steps + 1):
            assert watched.load_proposals(step) == alone.load_proposals(step)
        assert watched.load_metrics("solve_rate") == alone.load_metrics("solve_rate")
