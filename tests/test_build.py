"""Runs that are started and taken up: after SIGKILL, after a stop, elsewhere; and refused."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import redqueen
from redqueen import build
from redqueen.config import Config
from redqueen.errors import ConfigError
from redqueen.open_run import open_run
from redqueen.store import RunStore
from tests.small_models import save_untrained_base
from tests.trainers import Keep, Make, train

SEEDLING_FILES = Path(redqueen.__file__).parent / "bases" / "seedling"

DRIVER = """
import json, os, signal, sys
from pathlib import Path
from redqueen import build
from redqueen.callbacks.base import Callback
from redqueen.config import build_config

directory, kill_at, values = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]

class Killer(Callback):
    def on_phase(self, step, phase):
        if phase == "learn" and step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

with build.start(build_config(json.loads(values)), directory, callbacks=[Killer()]) as trainer:
    trainer.run()
"""


def train_and_kill(config: Config, directory: Path, step: int) -> int:
    """Train in a process that kills itself within a step; returns its exit status."""
    values = json.dumps(config.model_dump(mode="json"))
    command = [sys.executable, "-c", DRIVER, str(directory), str(step), values]
    return subprocess.run(command, check=False, timeout=280).returncode


def final_files(directory: Path, step: int) -> dict[str, bytes]:
    folder = directory / "checkpoints" / f"step-{step:06d}"
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


SIGNALS: dict[str, Any] = {
    "evolution": {"interval": 2, "fitness": {"type": "dominated_novelty", "by": "probe"}},
    "rollout": {"propose_temperature": 1.2, "vocabulary_dropout": 0.05},
    "learner": {
        "teacher": {
            "advantage": {"type": "reinforce++", "pooled": True, "window": 3},
            "reward": "novelty",
        }
    },
    "curriculum": {"references": {"type": "varied", "by": "rare", "share": 0.8}},
    "population": {"hall_of_fame": {"share": 0.6, "interval": 1, "size": 2, "slots": 1}},
}
"""What teachers and selection go by, all of it unlike the defaults; most matches are against the
past, of which little is kept."""


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"evolution": {"interval": 2}}, SIGNALS])
def test_killed_and_resumed_run_equals_the_run_never_killed(
    tiny: Make, tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Killed in another process, resumed in this one, which also runs the whole."""
    config, last = tiny(steps=4, **changes), 4
    train(config, tmp_path / "whole")
    assert train_and_kill(config, tmp_path / "killed", step=3) == -signal.SIGKILL
    with RunStore.open(tmp_path / "killed", read_only=True) as store:
        assert store.last_step() in (1, 2)  # the second may still have been on its way
    with build.resume(tmp_path / "killed") as trainer:
        assert trainer.run()
    whole, killed = (final_files(tmp_path / name, last) for name in ("whole", "killed"))
    assert whole.keys() == killed.keys() == {"adapters.safetensors", "optimizer.safetensors"}
    assert whole == killed
    with (
        RunStore.open(tmp_path / "whole", read_only=True) as first,
        RunStore.open(tmp_path / "killed", read_only=True) as second,
    ):
        assert first.load_ratings() == second.load_ratings()
        assert first.load_events() == second.load_events()
        assert first.load_metrics("solve_rate") == second.load_metrics("solve_rate")
        assert first.load_matches() == second.load_matches()
        for step in (1, 3, last):
            assert first.load_proposals(step) == second.load_proposals(step)


def test_stop_request_saves_and_resumes(tiny: Make, tmp_path: Path) -> None:
    with build.start(tiny(steps=3), tmp_path / "run") as trainer:
        assert not trainer.run(should_stop=lambda: trainer.step == 1)
    with build.resume(tmp_path / "run", [("steps", "2")]) as trainer:
        assert trainer.step == 1
        assert trainer.run()
    adapters = load_file(tmp_path / "run" / "checkpoints" / "step-000002" / "adapters.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in adapters.values())


def test_a_resume_that_is_refused_changes_nothing(tiny: Make, tmp_path: Path) -> None:
    with build.start(tiny(steps=1), tmp_path / "run") as trainer:
        trainer.run()
        config = trainer.config
    save_untrained_base(tmp_path / "base")
    with (
        pytest.raises(ConfigError, match="other weights"),
        build.resume(tmp_path / "run", [("steps", "9"), ("policy.base", str(tmp_path / "base"))]),
    ):
        pass
    with RunStore.open(tmp_path / "run", read_only=True) as store:
        assert store.config() == config


def test_errors_before_expensive_work_are_clear(tiny: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown mutation"):
        tiny(evolution={"mutations": ["svdd"]})
    with pytest.raises(ConfigError, match="no run"), build.resume(tmp_path / "nowhere"):
        pass
    lost = tiny(policy={"base": str(tmp_path / "nowhere")})
    with pytest.raises(ConfigError, match="nowhere"), build.start(lost, tmp_path / "b"):
        pass
    suite = tiny(eval={"suites": ["held-in"]})
    with pytest.raises(ConfigError, match="held-in"), build.start(suite, tmp_path / "b"):
        pass
    assert not (tmp_path / "b").exists()


def test_a_base_that_cannot_take_the_first_prompts_makes_no_run(tiny: Make, tmp_path: Path) -> None:
    save_untrained_base(tmp_path / "base", max_position_embeddings=40)
    base, still = {"base": str(tmp_path / "base")}, {"enabled": False}
    for teachers, said in ((2, "what teachers are asked"), (0, "holds no seed task of code")):
        short = tiny(policy=base, population={"teachers": teachers}, evolution=still)
        with pytest.raises(ConfigError, match=said), build.start(short, tmp_path / "run"):
            pass
    assert not (tmp_path / "run").exists()


def test_adapters_that_do_not_fit_are_said_to_be(tiny: Make, tmp_path: Path) -> None:
    vast = tiny(policy={"rank": 10**12})
    with pytest.raises(ConfigError, match=r"policy\.rank = 1000000000000: the adapters of 4 mem"):
        build.load_model(vast, 4)


def test_a_relative_base_is_found_from_another_directory(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    shutil.copytree(SEEDLING_FILES, "my-model")
    config = tiny(steps=1, policy={"base": "my-model"}, environments={"code": {"style": "compact"}})
    with build.start(config, Path("run")):
        pass
    monkeypatch.chdir(tmp_path)
    with build.resume(Path("here/run")) as trainer:
        assert trainer.config.policy.base == str((tmp_path / "here" / "my-model").resolve())


def test_a_base_that_moved_is_named_on_resuming(tiny: Make, tmp_path: Path) -> None:
    shutil.copytree(SEEDLING_FILES, tmp_path / "old")
    style = {"code": {"style": "compact"}}
    config = tiny(steps=1, policy={"base": str(tmp_path / "old")}, environments=style)
    with build.start(config, tmp_path / "run"):
        pass
    (tmp_path / "old").rename(tmp_path / "new")
    with pytest.raises(ConfigError, match="old"), build.resume(tmp_path / "run"):
        pass
    with build.resume(tmp_path / "run", [("policy.base", str(tmp_path / "new"))]) as trainer:
        assert trainer.run()
    assert open_run(tmp_path / "run").config.policy.base == str(tmp_path / "new")


def test_a_new_total_of_steps_is_kept(tiny: Make, tmp_path: Path) -> None:
    with build.start(tiny(steps=1), tmp_path / "run"):
        pass
    with build.resume(tmp_path / "run", [("steps", "5")]):
        pass
    with build.resume(tmp_path / "run") as trainer:
        assert trainer.config.steps == 5
    with RunStore.open(tmp_path / "run", read_only=True) as store:
        assert store.meta(build.CONFIG_CHANGES) == [{"step": 0, "keys": {"steps": [1, 5]}}]
    with (
        pytest.raises(ConfigError, match="greater than or equal to 1"),
        build.resume(tmp_path / "run", [("steps", "-3")]),
    ):
        pass


FULL = {
    "fitness": "novelty",
    "sharing": {"by": "behaviour"},
    "selection": {"type": "tournament", "size": 2},
    "replacement": {"type": "tournament", "size": 2},
    "child_rating": "parents",
    "child_optimizer": "parent",
    "hyperparameters": {"vary": ["learning_rate", "temperature"]},
    "diversity_window": 3,
}


@pytest.mark.slow
def test_everything_that_a_generation_judges_is_resumed_exactly(tiny: Make, tmp_path: Path) -> None:
    """Activity, alarms and members' own hyperparameters are part of the checkpoint."""
    config = tiny(
        steps=5,
        population={"teachers": 3, "students": 3},
        rollout={"matches": 3, "tasks_per_match": 2, "attempts": 2, "solve_tokens": 32},
        evolution=FULL | {"interval": 2, "cull": 0.6},
        alarms={"patience": 2, "no_learning_signal": 0.05},
    )
    whole_records, cut_records = Keep(), Keep()
    with build.start(config, tmp_path / "whole", callbacks=[whole_records]) as trainer:
        trainer.run()
        whole = trainer.snapshot().state
    with build.start(config, tmp_path / "cut", callbacks=[cut_records]) as trainer:
        trainer.run(should_stop=lambda: trainer.step == 2)
    with build.resume(tmp_path / "cut", callbacks=[cut_records]) as trainer:
        trainer.run(should_stop=lambda: trainer.step == 4)
    with build.resume(tmp_path / "cut", callbacks=[cut_records]) as trainer:
        trainer.run()
        cut = trainer.snapshot().state
        members = trainer.population.members
    assert cut == whole
    assert final_files(tmp_path / "cut", 5) == final_files(tmp_path / "whole", 5)
    measured = [
        [{k: v for k, v in r.metrics.items() if k != "tokens_per_s"} for r in keep.records]
        for keep in (whole_records, cut_records)
    ]
    assert measured[0] == measured[1]
    # The population has members with temperatures of their own, and the mismatch stays nothing.
    heated = [m.temperature for m in members if m.temperature is not None]
    assert heated
    assert set(heated) != {1.0}
    assert max(metrics["logprob_mismatch"] for metrics in measured[0]) < 1e-4
    assert any("alarm/no_learning_signal" in metrics for metrics in measured[0])
    for metrics in measured[0]:
        assert metrics["diversity/teacher/weights_mean"] <= 2**0.5
        assert 1.0 <= metrics["diversity/student/weights_effective"] <= 3.0
    with RunStore.open(tmp_path / "cut", read_only=True) as store:
        living = [m for m in store.load_members() if m.died is None]
        kept = {m.id: (m.learning_rate_factor, m.temperature) for m in living}
    assert kept == {m.id: (m.learning_rate_factor, m.temperature) for m in members}
