"""What docs/swarm.md tells the users of two machines to type, typed on two."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from redqueen.store import RunStore, load_exchanges
from redqueen.swarm.identity import Identity
from tests.swarm.namespaces import REQUIRED, Machine, machines, why_not
from tests.swarm.test_node import SMALL

ROOT = Path(__file__).parents[2]
SECONDS = 300.0
HOSTS = ("first.example", "second.example")


@pytest.fixture(scope="module")
def permitted() -> None:
    if reason := why_not():
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(reason)
        pytest.skip(reason)


def documented(machine: int, addresses: tuple[str, ...]) -> list[list[str]]:
    """The commands of docs/swarm.md for one of two machines, without the prompt and comments."""
    text = (ROOT / "docs/swarm.md").read_text(encoding="utf-8")
    block = text.partition("Two machines, over a network")[2].split("```")[1]
    for name, address in zip(HOSTS, addresses, strict=True):
        block = block.replace(name, address)
    lines = [line.partition("#")[0].split()[1:] for line in block.splitlines()[1:] if line]
    half = len(lines) // 2
    return lines[:half] if machine == 0 else lines[half:]


def start(machine: Machine, folder: Path, words: list[str]) -> "subprocess.Popen[str]":
    """Begin a command of ours on a machine, in a folder of its own."""
    assert words[0] == "redqueen"
    command = machine.command([sys.executable, "-m", "redqueen.cli", *words[1:]])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with (folder / "log.txt").open("a") as log:
        return subprocess.Popen(
            command, cwd=folder, env=environment, text=True, stdout=log, stderr=log
        )


def heard(run: Path, origin: str) -> bool:
    """Whether a run has learnt from the node `origin`."""
    if not (run / "run.db").exists():
        return False
    with RunStore.open(run, read_only=True) as store:
        steps = load_exchanges(store).values()
    return any(group.origin == origin for step in steps for group in step.groups)


@pytest.mark.slow
@pytest.mark.usefixtures("permitted")
def test_two_commands_on_two_machines(tmp_path: Path) -> None:
    names, nodes = [], []
    small = SMALL | {"steps": "500", "checkpoint_every": "50"}
    more = [word for key, value in small.items() for word in (f"--{key}", value)]
    with machines(2) as both:
        addresses = tuple(machine.address for machine in both)
        try:
            for number, machine in enumerate(both):
                folder = tmp_path / f"machine-{number}"
                (folder / "configs").mkdir(parents=True)
                (folder / "configs/rlvr.toml").symlink_to(ROOT / "configs/rlvr.toml")
                keygen, join = documented(number, addresses)
                assert start(machine, folder, keygen).wait(SECONDS) == 0
                names.append(Identity.load(folder / "swarm.key").name)
                nodes.append(start(machine, folder, [*join, "--out", "run", *more]))
            end = time.monotonic() + SECONDS
            runs = [tmp_path / f"machine-{number}" / "run" for number in range(2)]
            while not (heard(runs[0], names[1]) and heard(runs[1], names[0])):
                logs = [(run.parent / "log.txt").read_text() for run in runs]
                assert [node.poll() for node in nodes] == [None, None], logs
                assert time.monotonic() < end, logs
                time.sleep(0.2)
            for node in nodes:
                node.send_signal(signal.SIGTERM)
            assert [node.wait(SECONDS) for node in nodes] == [130, 130]
        finally:
            for node in nodes:
                if node.poll() is None:
                    node.kill()
                    node.wait()
    for number, run in enumerate(runs):
        status = [sys.executable, "-m", "redqueen.cli", "swarm", "status", str(run)]
        shown = subprocess.run(status, capture_output=True, text=True, check=True, cwd=ROOT).stdout
        assert names[1 - number][:12] in shown
        with RunStore.open(run, read_only=True) as store:
            assert store.config().steps == 500
            assert json.dumps(store.load_metrics("swarm/taken"))
