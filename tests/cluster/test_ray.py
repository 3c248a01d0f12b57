"""A run on two Ray nodes, one of which is lost: `make test-ray`."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

from safetensors.torch import load_file

from redqueen import build
from redqueen.config import build_config, merge
from redqueen.store.now import read_now
from tests.cluster.nodes import Cluster, cluster, kill
from tests.conftest import TINY
from tests.swarm.namespaces import REQUIRED, why_not

STEPS = 5
SILENCE = 10.0
WITHIN = 600.0
"""Seconds for anything: machines that test are busy."""
SMALL: dict[str, Any] = {
    "steps": STEPS,
    "checkpoint_every": STEPS,
    "callbacks": ["now"],
    "engine": {"type": "torch", "rows": 16},
    "rollout": {"propose_tokens": 96, "solve_tokens": 96},
    # All sequences are learnt from, so that there are tokens enough for two shares.
    "learner": {"warmup_steps": 0, "kl_coefficient": 0.01},
    "evolution": {"interval": STEPS},
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.environ.get("REDQUEEN_TEST_RAY") != "1", reason="takes minutes: `make test-ray`"
    ),
]


@pytest.fixture(scope="module")
def head() -> Iterator[Cluster]:
    if reason := why_not():
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with cluster() as made:
        yield made


@pytest.fixture
def two(head: Cluster) -> Iterator[Cluster]:
    """The cluster with its second node up."""
    head.start_node(head.other)
    yield head
    head.other.mend()
    while kill(head.other):
        time.sleep(0.1)


def adapters(run: Path) -> dict[str, Any]:
    return load_file(run / f"checkpoints/step-{STEPS:06d}/adapters.safetensors")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run in one process."""
    run = tmp_path_factory.mktemp("alone") / "run"
    with build.start(build_config(merge(TINY, SMALL)), run) as trainer:
        assert trainer.run()
    return run


def begin(two: Cluster, folder: Path, **more: str) -> "subprocess.Popen[str]":
    table = {"type": "ray", "address": two.address, "silence": SILENCE}
    values = merge(merge(TINY, SMALL), {"cluster": table})
    (folder / "values.json").write_text(json.dumps(values))
    return two.begin(folder, **more)


def wait_for(process: "subprocess.Popen[str]", folder: Path, step: int, phase: str) -> None:
    """Wait until a run is in a phase of a step."""
    end = time.monotonic() + WITHIN
    while True:
        now = read_now(folder / "run") if (folder / "run").exists() else None
        if now is not None and (now.step, now.phase) == (step, phase):
            return
        assert process.poll() is None, (folder / "log.txt").read_text()
        assert time.monotonic() < end, (folder / "log.txt").read_text()
        time.sleep(0.01)


def check_same(run: Path, alone: Path) -> None:
    """Every step is there, and the adapters are those of one process within rounding."""
    mine, theirs = adapters(run), adapters(alone)
    moved = max(float(tensor.abs().max()) for name, tensor in theirs.items() if ".B" in name)
    worst = max(float((mine[name] - theirs[name]).abs().max()) for name in theirs)
    # Gradients of two shares round otherwise: without any difference, one node did it all.
    assert 0.0 < worst <= 1e-2 * moved, (worst, moved)


def test_two_nodes_learn_what_one_process_learns(two: Cluster, alone: Path, tmp_path: Path) -> None:
    run = begin(two, tmp_path)
    assert run.wait(WITHIN) == 0, (tmp_path / "log.txt").read_text()
    assert "lost" not in (tmp_path / "log.txt").read_text()
    check_same(tmp_path / "run", alone)


@pytest.mark.parametrize("phase", ["solve", "learn"])
def test_a_killed_node_costs_no_text_and_no_step(
    two: Cluster, alone: Path, tmp_path: Path, phase: str
) -> None:
    run = begin(two, tmp_path)
    wait_for(run, tmp_path, 2, phase)
    assert kill(two.other, "raylet") == 1
    assert run.wait(WITHIN) == 0, (tmp_path / "log.txt").read_text()
    assert f"the engine on {two.other.address} is lost" in (tmp_path / "log.txt").read_text()
    check_same(tmp_path / "run", alone)


def test_a_cut_network_is_noticed_in_time(two: Cluster, alone: Path, tmp_path: Path) -> None:
    run = begin(two, tmp_path)
    wait_for(run, tmp_path, 2, "solve")
    two.other.cut()
    cut = time.monotonic()
    log = tmp_path / "log.txt"
    while "is lost" not in log.read_text():
        assert time.monotonic() - cut < WITHIN
        time.sleep(0.1)
    assert time.monotonic() - cut < 2 * SILENCE
    assert run.wait(WITHIN) == 0, log.read_text()
    check_same(tmp_path / "run", alone)


def rounds(process: "subprocess.Popen[str]", log: Path) -> list[list[float]]:
    """What `verifier` has printed so far."""
    assert process.poll() is None, log.read_text()
    return [json.loads(line) for line in log.read_text().splitlines() if line.endswith("]")]


@pytest.mark.parametrize("how", ["killed", "cut"])
def test_other_nodes_verify_and_a_lost_one_costs_no_verdict(
    two: Cluster, tmp_path: Path, how: str
) -> None:
    log, stop = tmp_path / "log.txt", tmp_path / "run"
    (tmp_path / "values.json").write_text(json.dumps({"address": two.address}))
    process = two.begin(tmp_path, "verifier")
    end = time.monotonic() + WITHIN
    while not (helped := [helped for _, helped, _ in rounds(process, log)]) or helped[-1] == 0:
        assert time.monotonic() < end
        time.sleep(0.1)
    two.other.cut() if how == "cut" else kill(two.other)
    lost = len(rounds(process, log))
    while len(found := rounds(process, log)) < lost + 4:
        assert time.monotonic() < end
        time.sleep(0.1)
    stop.touch()
    assert process.wait(WITHIN) == 0, log.read_text()
    assert {wrong for wrong, _, _ in found} == {0}
    assert found[-1][1] == 0  # the last round was run here alone
    usual = max(seconds for _, _, seconds in found[:lost])
    assert max(seconds for _, _, seconds in found[lost:]) < 4 * usual + SILENCE


def test_who_does_not_have_the_token_is_turned_away(head: Cluster, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("fedcba9876543210" * 4)
    run = begin(head, tmp_path, RAY_AUTH_TOKEN_PATH=str(tmp_path / "token"))
    assert run.wait(WITHIN) == 2, (tmp_path / "log.txt").read_text()
    assert "cluster.address" in (tmp_path / "log.txt").read_text()
    assert not (tmp_path / "run").exists()
    (tmp_path / "home").mkdir()
    run = begin(head, tmp_path, RAY_AUTH_TOKEN_PATH="", HOME=str(tmp_path / "home"))
    assert run.wait(WITHIN) == 2
    assert "does not have the cluster's token" in (tmp_path / "log.txt").read_text()
