"""Adapters in and out: merged models, averages, populations from adapters, swapped bases."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from redqueen import build
from redqueen.cli import main
from redqueen.config import Config
from redqueen.errors import ConfigError
from redqueen.models.sources import resolve_base
from redqueen.open_run import open_run
from redqueen.store import RunStore
from tests.whole_runs import with_untrained_base

Make = Callable[..., Config]
IDS = torch.arange(20, 40)[None]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(resolve_base("seedling"), tmp_path_factory.mktemp("base") / "b"))


def plain(directory: Path | str) -> torch.Tensor:
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    with torch.no_grad():
        logits: torch.Tensor = model(IDS).logits
    return logits


@pytest.mark.slow
def test_adapters_in_and_out(
    tiny: Make, tmp_path: Path, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    policy = {"init_noise": 0.1, "dtype": "float32", "base": str(base)}
    policy |= {"learn_tokens": "auto", "gradient_checkpointing": "auto"}
    code = {"code": {"style": "compact"}}
    config = tiny(steps=1, policy=policy, environments=code)
    with build.start(config, run) as trainer:
        trainer.run()
        assert type(trainer.config.policy.learn_tokens) is int
        assert trainer.config.policy.gradient_checkpointing is False
    assert main(["export", str(run), "--member", "3", "--merge", "--out", str(tmp_path / "m")]) == 0
    opened = open_run(run)
    with torch.no_grad(), opened.model.router.route([3]):
        routed = opened.model.base.model(IDS).logits
    assert (plain(tmp_path / "m") - routed).abs().max() <= 1e-4
    assert (plain(base) - routed).abs().max() > 1e-2

    assert main(["export", str(run), "--member", "all"]) == 0
    names = [f"member-{number}" for number in range(4)]
    assert sorted(path.name for path in (run / "adapters").iterdir()) == names
    assert main(["export", str(run), "--member", "average"]) == 0
    assert main(["export", str(run), "--member", "7"]) == 2
    assert "there are: 0, 1, 2, 3, best, all, average" in capsys.readouterr().err

    words = ["eval", str(run), "--suite", "held-out", "--tasks", "4", "--samples", "1"]
    assert main([*words, "--average"]) == 0
    with RunStore.open(run, read_only=True) as store:
        subjects = {row.subject for row in store.load_evaluations("held-out")}
    assert subjects == {"base", "elicited", "average", "member:2", "member:3"}


@pytest.mark.slow
def test_founders_from_adapters_and_a_base_that_was_swapped(
    tiny: Make, tmp_path: Path, base: Path
) -> None:
    policy = {"init_noise": 0.1, "dtype": "float32", "base": str(base)}
    code = {"code": {"style": "compact"}}
    config = tiny(policy=policy, environments=code)
    with build.start(config, tmp_path / "run"):
        pass
    opened = open_run(tmp_path / "run")
    sources = [str(tmp_path / f"member-{number}") for number in (3, 2)]
    for source, slot in zip(sources, (3, 2), strict=True):
        opened.model.export(slot, source)
    again = tiny(policy=policy, population={"from": sources}, environments=code)
    with build.start(again, tmp_path / "again") as trainer:
        assert trainer.config.population.from_ == tuple(sources)
        for name, a in trainer.adapters.A.items():
            assert torch.equal(a, opened.model.adapters.A[name][[3, 2, 3, 2]])

    # Other weights under the same name: the run does not go on with them.
    path = base / "model.safetensors"
    weights = load_file(path)
    weights["model.norm.weight"] = weights["model.norm.weight"] * 1.01
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ConfigError, match=r"has other weights than the run began with"):
        open_run(tmp_path / "run")
    with (
        pytest.raises(ConfigError, match=r"put them back, or name the place"),
        build.resume(tmp_path / "run"),
    ):
        pass


@pytest.mark.parametrize("merge", [[], ["--merge"]])
def test_a_base_is_not_written_over(
    tiny: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str], merge: list[str]
) -> None:
    config = with_untrained_base(tiny(), tmp_path / "base")
    with build.start(config, tmp_path / "run"):
        pass
    before = {path.name: path.read_bytes() for path in (tmp_path / "base").iterdir()}
    assert main(["export", str(tmp_path / "run"), *merge, "--out", str(tmp_path / "base")]) == 2
    assert "is the base of the run" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in (tmp_path / "base").iterdir()} == before


def test_a_model_and_an_adapter_never_lie_side_by_side(
    tiny: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = with_untrained_base(tiny(), tmp_path / "base")
    run, place = str(tmp_path / "run"), str(tmp_path / "out")
    with build.start(config, tmp_path / "run"):
        pass
    for first, second, said in (
        ([], ["--merge"], "holds an adapter"),
        (["--merge"], [], "holds a model"),
    ):
        assert main(["export", run, *first, "--out", place]) == 0
        assert main(["export", run, *first, "--out", place]) == 0  # its own kind is replaced
        before = sorted(path.name for path in (tmp_path / "out").iterdir())
        assert main(["export", run, *second, "--out", place]) == 2
        assert said in capsys.readouterr().err
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == before
        shutil.rmtree(place)
    assert main(["export", run, "--out", run]) == 2
    assert "is the directory of a run" in capsys.readouterr().err
