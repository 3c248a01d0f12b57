"""`redqueen eval BASE --benchmark`: the whole way, on the seedling and hand-written rows."""

import json
from pathlib import Path

import pytest
from benchmarks.conftest import Open

from redqueen.cli import main

ROWS = [{"question": f"{n} + 1?", "answer": f"#### {n + 1}"} for n in range(3)]


@pytest.mark.slow
def test_a_base_is_measured(
    tmp_path: Path, written: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    written("gsm8k", *ROWS)
    out = tmp_path / "measured"
    command = ["eval", "seedling", "--benchmark", "gsm8k", "--files", str(tmp_path), "--out",
               str(out), "--tasks", "2", "--max-tokens", "8", "--samples", "2"]  # fmt: skip
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "gsm8k" in said
    assert "mean@2" in said
    content = json.loads((out / "benchmarks" / "base.json").read_text())
    assert content["n-samples"]["gsm8k"]["effective"] == 2
    assert content["config"]["base"] == "seedling"


def test_what_is_wrong_with_a_command_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "seedling", "--benchmark", "gsm9k"]) == 2
    assert "unknown benchmark 'gsm9k'; did you mean 'gsm8k'" in capsys.readouterr().err
