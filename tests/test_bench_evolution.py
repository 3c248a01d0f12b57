"""The bench of the operators at toy size, and that it can fail."""

import json
from pathlib import Path

import pytest
import torch

from bench import evolution as bench
from redqueen.evolution.operators.layerwise import Layerwise
from tests.evolution.adapters import OPERATORS


def test_the_quick_bench_writes_its_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "figures.json"
    threads = torch.get_num_threads()
    assert bench.main(["--quick", "--rounds", "2", "--out", str(out)]) == 0
    assert torch.get_num_threads() == threads
    figures = json.loads(out.read_text())
    assert list(figures["operators"]) == list(OPERATORS)
    assert all(len(timing["clock"]) == 2 for timing in figures["operators"].values())
    assert [layer["layer"] for layer in figures["layers"]] == ["q", "k", "gate"]
    assert sum(layer["stands_for"] for layer in figures["layers"]) == 7 * bench.TOY.blocks
    for layer in figures["layers"]:
        # both are the best approximation: a good part of the mean is beyond rank r
        assert layer["our_distance"] == pytest.approx(layer["peft_distance"], rel=1e-6)
        assert 0.05 < layer["our_distance"] < 0.5
    assert figures["ratio"]["processor"] > 1
    printed = capsys.readouterr().out
    assert all(name in printed for name in (*OPERATORS, "bars held"))


def test_a_child_farther_than_pefts_fails(tmp_path: Path) -> None:
    arguments = ["--quick", "--rounds", "1", "--out", str(tmp_path / "f.json")]
    assert bench.main(arguments, average=Layerwise()) == 1
    assert json.loads((tmp_path / "f.json").read_text())["passed"] is False


def test_distance_is_that_of_the_dense_updates() -> None:
    parents = [pair for seed in (0, 1) for pair in [bench.adapter(bench.TOY, 1, seed)["0.gate"]]]
    child = bench.adapter(bench.TOY, 1, 2)["0.gate"]
    mean = sum(B.double() @ A.double() for A, B in parents) / 2
    expected = (child[1].double() @ child[0].double() - mean).norm() / mean.norm()
    assert bench.distance(child, parents) == pytest.approx(float(expected), rel=1e-12)
