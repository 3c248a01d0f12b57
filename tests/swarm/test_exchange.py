"""Two nodes that take turns in one process, over a shared folder."""

import logging
import shutil
import sqlite3
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from redqueen.config import Config
from redqueen.store import Replay, RunStore, load_exchanges
from redqueen.swarm.transport.directory import SharedFolder
from redqueen.swarm.transport.zenoh import Zenoh
from redqueen.swarm.wire import decode
from redqueen.trainer import Trainer
from redqueen.types import Exchange, Verdict
from redqueen.verify.findings import Findings
from redqueen.verify.foreign import check_foreign
from tests.swarm.messages import NOW
from tests.swarm.nodes import SharedParity, close_node, node_config, open_node, step_once
from tests.swarm.test_transports import free_port

STEPS = 6


def turns(nodes: list[Trainer], steps: int) -> None:
    for _ in range(steps):
        for node in nodes:
            step_once(node)


def weights(directory: Path, step: int) -> dict[str, bytes]:
    folder = directory / "checkpoints" / f"step-{step:06d}"
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


def exchanges(directory: Path) -> dict[int, Exchange]:
    with RunStore.open(directory, read_only=True) as store:
        return load_exchanges(store)


def play(folder: Path, steps: int = STEPS, **over: object) -> list[Config]:
    configs = [node_config(folder, number, **over) for number in (1, 2)]
    nodes = [open_node(config, folder / f"run-{c}") for c, config in enumerate(configs)]
    turns(nodes, steps)
    for node in nodes:
        close_node(node)
    return configs


def test_two_nodes_learn_from_each_other(tmp_path: Path) -> None:
    play(tmp_path)
    first, second = (exchanges(tmp_path / f"run-{n}") for n in (0, 1))
    assert first[1].groups == ()  # nobody had written yet; it did not wait
    assert sum(len(item.groups) for item in first.values()) >= STEPS
    assert all(len(item.groups) <= 3 for item in (*first.values(), *second.values()))
    used = [(g.origin, g.epoch, g.number) for item in second.values() for g in item.groups]
    assert len(used) == len(set(used))
    for group in (g for item in second.values() for g in item.groups):
        message = decode(group.message, len(group.message))
        assert message.is_authentic()
        assert message.author == group.origin
        start = message.group.payload["start"]
        right = tuple(
            Verdict.CORRECT if int(a.text[-1]) % 2 == start % 2 else Verdict.WRONG
            for a in message.group.answers
        )
        assert group.verdicts == right
        assert len(set(right)) == 2  # else there would have been nothing to learn
        assert start != 0  # held out
        assert b"reward" not in group.message
    with RunStore.open(tmp_path / "run-1", read_only=True) as store:
        record = Replay(store).step(3)
    assert record.exchange == second[3]
    # Three own groups of four attempts, and the foreign ones, were learnt from.
    assert record.metrics["swarm/taken"] == len(second[3].groups)
    assert record.metrics["logprob_mismatch"] < 1e-5


def test_the_same_turns_give_the_same_runs(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in (1, 2):
            if name == "b":
                shutil.copy(tmp_path / "a" / f"node-{number}.key", tmp_path / "b")
        play(tmp_path / name)
    for run in ("run-0", "run-1"):
        assert exchanges(tmp_path / "a" / run) == exchanges(tmp_path / "b" / run)
        assert weights(tmp_path / "a" / run, STEPS) == weights(tmp_path / "b" / run, STEPS)


def test_killed_and_resumed_given_the_recorded_draws(tmp_path: Path) -> None:
    """The second node dies after four steps, two after its checkpoint, and does them again."""
    configs = [node_config(tmp_path, n, checkpoint_every=2) for n in (1, 2)]
    nodes = [open_node(c, tmp_path / f"run-{n}") for n, c in enumerate(configs)]
    turns(nodes, 3)
    close_node(nodes[1])
    run = tmp_path / "run-1"
    shutil.rmtree(run / "checkpoints" / "step-000003")  # as if killed, not stopped
    shutil.copytree(run, tmp_path / "killed")
    before = exchanges(run)
    assert before[3].groups
    others = sorted((tmp_path / "swarm").glob("*/*.msg"))
    node = open_node(configs[1], run)
    assert node.step == 2
    step_once(node)
    close_node(node)
    # Nobody to be heard, other files in the folder: the recorded groups are what counts.
    shutil.move(tmp_path / "swarm", tmp_path / "gone")
    node = open_node(configs[1], tmp_path / "killed")
    step_once(node)
    close_node(node)
    close_node(nodes[0])
    assert len(others) == len(list((tmp_path / "gone").glob("*/*.msg")))  # the same names again
    for directory in (run, tmp_path / "killed"):
        assert exchanges(directory)[3].groups == before[3].groups
    assert weights(run, 3) == weights(tmp_path / "killed", 3)


def test_resumed_equals_the_run_that_was_never_killed(tmp_path: Path) -> None:
    configs = [node_config(tmp_path, n, checkpoint_every=2) for n in (1, 2)]
    nodes = [open_node(c, tmp_path / f"run-{n}") for n, c in enumerate(configs)]
    turns(nodes, 3)
    whole = {name: t.clone() for name, t in nodes[1].adapters.state_dict().items()}
    for node in nodes:
        close_node(node)
    shutil.rmtree(tmp_path / "run-1" / "checkpoints" / "step-000003")
    node = open_node(configs[1], tmp_path / "run-1")
    step_once(node)
    again = node.adapters.state_dict()
    assert all(bool((again[name] == whole[name]).all()) for name in whole)
    close_node(node)


def test_a_node_alone_is_the_run_without_a_swarm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Peers that are silent, or dead: nobody answers at the address that is connected to."""
    dead = Zenoh(listen=("tcp/127.0.0.1:0",), connect=(f"tcp/127.0.0.1:{free_port()}",))
    kept = node_config(tmp_path, 1, swarm={"own": "all"})
    deaf = kept.swarm.model_copy(update={"transport": dead})
    nodes = {
        "silent": kept,
        "dead": kept.model_copy(update={"swarm": deaf}),
        "without": node_config(tmp_path, 1, swarm={"enabled": False}),
    }
    with caplog.at_level(logging.WARNING):
        for name, config in nodes.items():
            node = open_node(config, tmp_path / name)
            for _ in range(3):
                step_once(node)
            close_node(node)
    assert weights(tmp_path / "silent", 3) == weights(tmp_path / "without", 3)
    assert weights(tmp_path / "dead", 3) == weights(tmp_path / "without", 3)
    assert caplog.text.count("training alone") == 2


def test_a_lost_folder_does_not_stop_a_step(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    node = open_node(node_config(tmp_path, 1), tmp_path / "run")
    shutil.rmtree(tmp_path / "swarm")
    (tmp_path / "swarm").write_text("no folder")
    with caplog.at_level(logging.WARNING):
        step_once(node)
    close_node(node)
    assert "nothing was fetched" in caplog.text
    assert "were not sent" in caplog.text


def test_a_group_is_used_as_often_as_allowed(tmp_path: Path) -> None:
    config = node_config(tmp_path, 1, swarm={"repeats": 2, "max_age": 3})
    node = open_node(config, tmp_path / "run")
    for _ in range(2):
        step_once(node)
    close_node(node)
    other = open_node(
        node_config(tmp_path, 2, swarm={"repeats": 2, "max_age": 3}), tmp_path / "other"
    )
    assert other.swarm is not None
    for _ in range(6):
        step_once(other)
    close_node(other)
    keys = [
        (g.origin, g.epoch, g.number)
        for item in exchanges(tmp_path / "other").values()
        for g in item.groups
    ]
    assert {keys.count(key) for key in keys} <= {1, 2}
    assert any(keys.count(key) == 2 for key in keys)
    assert not exchanges(tmp_path / "other")[6].groups  # older than three steps


def test_slow_answers_end_the_judging_of_a_step(tmp_path: Path) -> None:
    play(tmp_path, 2)
    config = node_config(tmp_path, 3, swarm={"foreign": 1, "max_seconds": 10.0})
    ticks = count(step=4.0)
    node = open_node(config, tmp_path / "third", timer=lambda: next(ticks))
    assert node.swarm is not None
    # Nobody's groups are right here, so all would be judged in vain.
    node.swarm.judge = replace(node.swarm.judge, reward=lambda verdict, score: 0.0)
    step_once(node)
    close_node(node)
    [one] = exchanges(tmp_path / "third").values()
    assert sum(several.get("no_advantage", 0) for several in one.counts.values()) == 2


def test_the_folder_keeps_the_newest(tmp_path: Path) -> None:
    from redqueen.swarm.transport.base import Node

    writer = SharedFolder(tmp_path, Node("a", 100, 2, 8), keep=5)
    reader = SharedFolder(tmp_path, Node("b", 100, 2, 8), keep=5)
    for number in range(8):
        writer.publish(f"{NOW:012d}-{number:012d}", bytes([number]))
    assert len(list((tmp_path / "a").iterdir())) == 5
    assert [reader.receive() for _ in range(4)] == [[b"\3", b"\4"], [b"\5", b"\6"], [b"\7"], []]


@pytest.mark.parametrize(
    "change",
    [
        "foreign_groups SET verdicts = '[[['",
        "foreign_groups SET verdicts = '[\"perhaps\"]'",
        "foreign_groups SET verdicts = '[\"correct\"]'",
        "foreign_groups SET partial_scores = '5'",
        "foreign_groups SET message = printf('%0300d', 1)",
        "exchanges SET counts = 'none'",
    ],
)
def test_rows_that_nobody_wrote_do_not_verify(tmp_path: Path, change: str) -> None:
    play(tmp_path, 2)
    with sqlite3.connect(tmp_path / "run-1" / "run.db") as db:
        assert db.execute(f"UPDATE {change}").rowcount > 0
    findings = Findings()
    with RunStore.open(tmp_path / "run-1", read_only=True) as store:
        check_foreign(store, {"parity": SharedParity()}, store.config(), None, findings)
    assert not findings.report(0, 0, {}).agrees
