"""Configs that `redqueen init` writes: valid, commented, and no larger than the machine."""

import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from redqueen import build
from redqueen.cli import main
from redqueen.config import Config, load_config, merge
from redqueen.config.reference import components, sections, texts
from redqueen.environments.base import sources_of
from redqueen.init import config_text, fitting_start, smaller, starting_values
from redqueen.models.sources import directory_of
from redqueen.plan import LLAMA_3_8B, Shapes, shapes_of

CPU = torch.device("cpu")
GIB = 2.0**30
QWEN_HALF: dict[str, Any] = {
    "model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864, "vocab_size": 151936,
    "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
    "tie_word_embeddings": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def half_billion() -> Shapes:
    return shapes_of(QWEN_HALF, "all-linear")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("gib", [100.0, 16.0, 8.0, 6.0])
def test_a_config_fits_into_the_memory_that_there_is(
    half_billion: Shapes, gib: float, dtype: str
) -> None:
    values = merge(starting_values("./model", "model", CPU), {"policy": {"dtype": dtype}})
    start = fitting_start(values, half_billion, CPU, gib * GIB)
    assert start.fits
    assert start.budget.peak <= gib * GIB


def test_less_memory_never_asks_for_more(half_billion: Shapes) -> None:
    values = starting_values("./model", "model", CPU)
    peaks = [
        fitting_start(values, half_billion, CPU, gib * GIB).budget.peak for gib in (6, 8, 16, 64)
    ]
    assert peaks == sorted(peaks)


def test_a_base_that_is_too_large_is_said_to_be() -> None:
    values = starting_values("./model", "model", CPU)
    start = fitting_start(values, shapes_of(LLAMA_3_8B, "all-linear"), CPU, 8 * GIB)
    assert not start.fits
    assert smaller(start.values, start.budget, start.free) is None


def test_the_text_is_the_config_with_a_comment_for_each_key(half_billion: Shapes) -> None:
    start = fitting_start(starting_values("./model", "m", CPU), half_billion, CPU, 8 * GIB)
    text = config_text(start)
    assert Config.model_validate(tomllib.loads(text)) == start.config
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    keys = [number for number, line in enumerate(lines) if " = " in line and line[0] != "#"]
    assert all("# " in lines[n] or lines[n - 1].startswith("# ") for n in keys)


def test_the_command_writes_a_file_and_never_over_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    assert "redqueen train seedling.toml" in capsys.readouterr().out
    assert load_config(Path("seedling.toml")).policy.base == "seedling"
    before = Path("seedling.toml").read_bytes()
    assert main(["init"]) == 2
    assert "seedling.toml exists already" in capsys.readouterr().err
    assert Path("seedling.toml").read_bytes() == before
    assert main(["init", "no/such/base"]) == 2


@pytest.mark.parametrize(
    ("base", "environment"),
    [("seedling", "code"), ("seedling2", "code"), ("proof-seedling", "proof")],
)
def test_an_embedded_base_starts_from_the_environment_that_it_speaks(
    tmp_path: Path, base: str, environment: str
) -> None:
    out = tmp_path / "mine.toml"
    assert main(["init", base, "--out", str(out)]) == 0
    config = load_config(out)
    assert [*config.environments] == [environment]
    with build.open_environments(config) as environments:
        assert sources_of(environments[environment])["seed"].tasks(1, 0)


@pytest.mark.parametrize(
    ("base", "file"), [("proof-seedling", "proof"), ("seedling2", "seedling2")]
)
def test_the_start_of_an_embedded_base_is_the_config_that_ships(base: str, file: str) -> None:
    start = Config.model_validate(starting_values(base, file, CPU))
    assert start == load_config(Path("configs") / f"{file}.toml")


def test_a_base_that_speaks_what_no_environment_knows_is_said_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(directory_of("proof-seedling"), tmp_path / "base")
    config = tmp_path / "base/config.json"
    config.write_text(config.read_text().replace('"proof-seedling"', '"latin"'))
    assert main(["init", str(tmp_path / "base"), "--out", str(tmp_path / "mine.toml")]) == 2
    assert "speaks 'latin'" in capsys.readouterr().err


def test_every_key_says_what_it_is() -> None:
    silent = [path for path, text in texts().items() if not text]
    silent += [f"{table.name}: no text" for table in sections() if not table.text]
    for kind in ("environment", "advantage", "teacher_reward", "mutation", "fitness", "engine"):
        for table in components(kind):
            silent += [f"{table.name}.{key.name}" for key in table.keys if not key.text]
            silent += [] if table.text else [f"{kind} {table.name}"]
    assert silent == []


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_the_commands(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(word in script for word in ("train", "resume", "--policy.base"))
