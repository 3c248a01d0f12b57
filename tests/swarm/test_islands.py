"""Members that travel: only a sound adapter of the same base is measured, and only a better one
takes a place."""

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import torch

from redqueen.config import EvolutionConfig, RolloutConfig, SwarmConfig
from redqueen.errors import ConfigError
from redqueen.evolution import check_probed
from redqueen.models.adapters import AdapterStack, Factors, LayerShape
from redqueen.store import Replay, RunStore, load_exchanges
from redqueen.swarm.adapter_message import (
    LARGEST,
    base_name,
    decode_adapter,
    encode_adapter,
)
from redqueen.swarm.checks import UNPROVEN, Gate
from redqueen.swarm.identity import Identity
from redqueen.swarm.islands import Islands
from redqueen.swarm.reasons import REASONS, RefusedError
from redqueen.swarm.transport.base import Transport, TransportError
from redqueen.trainer import Trainer
from redqueen.types import GUEST, ForeignAdapter
from redqueen.verify.findings import Findings
from redqueen.verify.foreign import check_foreign
from tests.swarm.messages import NOW, identity
from tests.swarm.nodes import BASE, close_node, node_config, open_node, step_once

ME, PEER, OTHER = identity(1), identity(2), identity(3)
ISLANDS = {
    "evolution": {"enabled": True, "interval": 2, "fitness": {"type": "probe", "tasks": 3}},
    "swarm": {"islands": {"enabled": True}},
    "checkpoint_every": 1,
}


def stack(slots: int = 2, rank: int = 2, alpha: float = 2.0) -> AdapterStack:
    made = AdapterStack({"table": LayerShape(10, 10)}, slots, rank, alpha)
    made.initialize(seed=5, init_noise=0.3)
    return made


def message(
    author: Identity = PEER,
    base: str = BASE,
    epoch: int = 7,
    number: int = 2,
    time: int = NOW,
    factors: dict[str, Factors] | None = None,
    scaling: float = 1.0,
) -> bytes:
    return encode_adapter(
        factors or stack().get(1), scaling, base_name(base), author, epoch, number, time
    )


class Mailbox:
    """A transport that hands out what it was given."""

    def __init__(self, *given: bytes) -> None:
        self.given, self.sent = list(given), list[bytes]()

    def publish(self, key: str, data: bytes) -> None:
        self.sent.append(data)

    def receive(self) -> list[bytes]:
        given, self.given = self.given, []
        return given

    def channel(self, name: str, node: Any) -> Transport:
        return self

    def close(self) -> None:
        pass


def islands(mailbox: Mailbox, past: Any = None, newest: Any = None, **keys: Any) -> Islands:
    config = SwarmConfig(**keys)
    return Islands(
        config.islands, Gate(config, ME.name, lambda: float(NOW)), ME, lambda *_: mailbox, stack(),
        BASE, past or {}, newest or {}, epoch=7, seed=3, clock=lambda: float(NOW),
    )  # fmt: skip


def refusals(node: Islands) -> dict[str, dict[str, int]]:
    counts = node.gate.counts.items()
    named = {a: {n: c for n, c in several.items() if n in REASONS} for a, several in counts}
    return {author: several for author, several in named.items() if several}


def test_what_is_sent_is_what_is_measured() -> None:
    read = decode_adapter(message())
    assert read.is_authentic()
    assert (read.author, read.epoch, read.number, read.time) == (PEER.name, 7, 2, NOW)
    here = read.factors(stack())
    assert all(
        torch.equal(a, b) for a, b in zip(here["table"], stack().get(1)["table"], strict=True)
    )
    # Another alpha is folded into B, so that the update of the weights stays what it was.
    (a, b), (a2, b2) = stack().get(1)["table"], read.factors(stack(alpha=8.0))["table"]
    assert torch.allclose(1.0 * b @ a, 4.0 * b2 @ a2)


def test_no_changed_byte_keeps_the_signature() -> None:
    data = message()
    for place in range(0, len(data), 7):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        try:
            read = decode_adapter(changed)
        except RefusedError:
            continue
        assert not read.is_authentic()


def test_every_refusal_has_its_name_and_nothing_raises() -> None:
    def spoilt(value: float) -> dict[str, Factors]:
        factors = stack().get(1)
        factors["table"].B[3, 1] = value
        return factors

    def retyped(**over: Any) -> dict[str, Factors]:
        return {
            name: Factors(*(t.to(**over) for t in pair)) for name, pair in stack().get(1).items()
        }

    good = message()
    bodies = [
        good[:174] + rubbish for rubbish in (b"x", b"\xff" * 8 + b"{}", b"\2" + bytes(7) + b"{}")
    ]
    signed = [body[:38] + PEER.sign(body[:38] + body[102:]) + body[102:] for body in bodies]
    hostile = {
        "oversize": [good + bytes(5000)],
        "not_a_message": [b"", b"RQSA", b"RQSW" + good[4:], bytes(300)],
        "newer_version": [good[:5] + b"\2" + good[6:]],
        "forged": [good[:-1] + b"\1", good[:6] + OTHER.public + good[38:]],
        "expired": [message(time=NOW + 90_000)],
        "repeated": [message(number=1)],
        "other_base": [message(number=3, base="sha256:another")],
        "malformed": signed,
        "other_shape": [
            message(number=4, factors=stack(rank=3).get(1)),
            message(number=5, factors=retyped(dtype=torch.float16)),
            message(number=6, factors={"chair": stack().get(1)["table"]}),
        ],
        "not_finite": [
            *(message(number=7 + n, factors=spoilt(value)) for n, value in enumerate(
                (float("nan"), float("inf"), -2 * LARGEST)
            )),
            message(number=20, scaling=float("nan")),
            message(number=21, scaling=0.0),
            message(number=22, scaling=1e30),
            message(number=23, factors=spoilt(LARGEST), scaling=2.0),
        ],
    }  # fmt: skip
    for reason, several in hostile.items():
        for data in several:
            # The newest that has been measured is the second of this run.
            node = islands(Mailbox(data), newest={PEER.name: (7, 1)})
            assert node.arrivals(2) == []
            author = UNPROVEN if reason in (
                "oversize", "not_a_message", "newer_version", "forged"
            ) else PEER.name  # fmt: skip
            assert refusals(node) == {author: {reason: 1}}
    for data in (message(epoch=2**63), message(number=2**64 - 1)):
        node = islands(Mailbox(data))
        assert node.arrivals(2) == []
        assert refusals(node) == {UNPROVEN: {"malformed": 1}}
    assert len(islands(Mailbox(good)).arrivals(2)) == 1
    assert islands(Mailbox(good), peers=[OTHER.name]).arrivals(2) == []


def test_at_most_so_many_are_measured_and_none_twice() -> None:
    mailbox = Mailbox(*(message(identity(n)) for n in range(2, 8)), message(ME))
    node = islands(mailbox, islands={"candidates": 3})
    first = node.arrivals(2)
    assert len(first) == 3
    mailbox.given = [message(identity(n)) for n in range(2, 8)]
    assert node.arrivals(4) == []
    assert {n: c["repeated"] for n, c in refusals(node).items()} == {
        identity(n).name: 1 for n in range(2, 8)
    }


def test_a_lost_way_is_no_end_of_the_step() -> None:
    class Broken(Mailbox):
        def receive(self) -> list[bytes]:
            raise TransportError("gone")

    assert islands(Broken()).arrivals(2) == []


def test_what_is_on_record_is_measured_again() -> None:
    data = message()
    past = {2: (ForeignAdapter(PEER.name, 7, 2, data, 0.5),), 4: ()}
    node = islands(Mailbox(message(OTHER)), past)
    assert [read.data for read, _ in node.arrivals(2)] == [data]
    assert node.arrivals(4) == []
    assert [read.author for read, _ in node.arrivals(6)] == [OTHER.name]


def test_students_of_others_need_a_probe_and_attempt_alone() -> None:
    probed = EvolutionConfig(fitness="probe")
    check_probed(probed, RolloutConfig())
    for evolution in (EvolutionConfig(), EvolutionConfig(fitness="probe", enabled=False)):
        with pytest.raises(ConfigError, match="'probe'"):
            check_probed(evolution, RolloutConfig())
    with pytest.raises(ConfigError, match="alone"):
        check_probed(probed, RolloutConfig(interaction="debate"))


# ── runs ────────────────────────────────────────────────────────────────────────────────────


def play(folder: Path, steps: int = 4) -> list[Trainer]:
    """Two nodes take turns. Students of the first never solve a task, those of the second always:
    every digit has the parity of the one before, or the other."""
    nodes = [open_node(node_config(folder, n, **ISLANDS), folder / f"run-{n}") for n in (1, 2)]
    parity = torch.tensor([1.0, -1.0]).repeat(5)
    for node, sign in zip(nodes, (-9.0, 9.0), strict=True):
        pair = Factors(torch.zeros(2, 10), torch.zeros(10, 2))
        pair.A[0], pair.B[:, 0] = parity, sign * parity
        for slot in range(2):
            node.adapters.set(slot, {"table": pair})
    for _ in range(steps):
        for node in reversed(nodes):
            step_once(node)
    return nodes


def test_a_better_student_of_another_node_takes_the_place_of_the_weakest(tmp_path: Path) -> None:
    nodes = play(tmp_path, 2)
    child = nodes[0].population.members[0]
    arrived = nodes[0].adapters.get(child.slot)["table"]
    for _ in range(2):
        for node in reversed(nodes):
            step_once(node)
    for node in nodes:
        close_node(node)
    names = [Identity.load(tmp_path / f"node-{n}.key").name for n in (1, 2)]
    with RunStore.open(tmp_path / "run-1", read_only=True) as store:
        exchanges = load_exchanges(store)
        record = Replay(store).step(2)
    (adapter,) = exchanges[2].adapters
    assert (adapter.origin, adapter.number, adapter.fitness) == (names[1], 2, 1.0)
    assert exchanges[1].adapters == exchanges[3].adapters == ()
    (event,) = record.events
    assert (event.operator, event.origin, event.child) == (GUEST, names[1], child.id)
    assert event.details == {"removed_fitness": 0.0, "guest_fitness": 1.0}
    assert (child.operator, child.parents, child.born) == (GUEST, (), 2)
    sent = decode_adapter(adapter.message).factors(stack())["table"]
    assert torch.equal(arrived.A, sent.A)
    assert torch.equal(arrived.B, sent.B)
    with RunStore.open(tmp_path / "run-2", read_only=True) as store:
        exchange, (event,) = load_exchanges(store)[4], Replay(store).step(4).events
    (adapter,) = exchange.adapters
    assert adapter.origin == names[0]
    assert adapter.fitness is not None
    assert (event.origin, event.operator == GUEST) == ("", False)  # no better than who goes


def test_resumed_measures_what_is_on_record(tmp_path: Path) -> None:
    nodes = play(tmp_path, 2)
    whole = {name: t.clone() for name, t in nodes[0].adapters.state_dict(2).items()}
    members = nodes[0].population
    for node in nodes:
        close_node(node)
    run = tmp_path / "run-1"
    with RunStore.open(run, read_only=True) as store:
        before = Replay(store).step(2)
    assert before.exchange is not None
    assert before.exchange.adapters
    shutil.rmtree(run / "checkpoints" / "step-000002")  # as if killed before it was written
    shutil.rmtree(tmp_path / "swarm")
    node = open_node(node_config(tmp_path, 1, **ISLANDS), run)
    assert node.step == 1
    step_once(node)
    again = node.adapters.state_dict(2)
    assert all(bool((again[name] == whole[name]).all()) for name in whole)
    assert node.population == members
    close_node(node)
    with RunStore.open(run, read_only=True) as store:
        after = Replay(store).step(2)
    assert (after.exchange, after.events) == (before.exchange, before.events)


def test_a_changed_adapter_on_record_does_not_verify(tmp_path: Path) -> None:
    for node in play(tmp_path, 2):
        close_node(node)

    def agrees() -> bool:
        findings = Findings()
        with RunStore.open(tmp_path / "run-1", read_only=True) as store:
            check_foreign(store, {}, store.config(), None, findings)
        return findings.report(0, 0, {}).agrees

    assert agrees()
    with sqlite3.connect(tmp_path / "run-1" / "run.db") as db:
        (message,) = db.execute("SELECT message FROM foreign_adapters").fetchone()
        db.execute("UPDATE foreign_adapters SET message = ?", (message[:-1] + b"\1",))
    assert not agrees()
    with sqlite3.connect(tmp_path / "run-1" / "run.db") as db:
        db.execute("UPDATE foreign_adapters SET message = 5")
    assert not agrees()
