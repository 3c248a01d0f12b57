"""What peers do to harm: nothing raises, nothing is believed, and memory and disk stay bounded."""

import tracemalloc
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench.swarm_fuzz import CONFIG, fuzz
from redqueen.config import LearnerConfig, SandboxConfig, SwarmConfig, build_config
from redqueen.environments.base import Services, environment_version, sources_of
from redqueen.environments.code import Code
from redqueen.learner.assign import student_reward
from redqueen.sandbox import OutcomeKind, make_sandbox
from redqueen.screens import Screen
from redqueen.store import RunStore, load_exchanges
from redqueen.swarm.checks import UNPROVEN, Gate
from redqueen.swarm.judge import Judge, words_of
from redqueen.swarm.wire import CUTS, Answer, Group, Turn, canonical, encode, framed
from redqueen.types import Verdict
from tests.sandbox.hostile import CORPUS
from tests.swarm.messages import NOW, group, identity
from tests.swarm.nodes import close_node, node_config, open_node, step_once
from tests.swarm.test_checks import judged

PEER, THIEF, VICTIM = identity(11), identity(12), identity(13)
HOUR = 3600


def parity(
    number: int, texts: Sequence[str] = ("111", "112"), start: int = 5, **over: Any
) -> Group:
    """Answers to a task of the toy world's nodes."""
    values = {
        "environment": "parity",
        "kind": "parity",
        "payload": {"start": start},
        "messages": (Turn(role="user", content=str(start)),),
        "limit": 3,
    }
    return group(number, tuple(texts), **values | over)


def plant(folder: Path, author: str, *messages: bytes) -> None:
    """Put messages where nodes look for those of an author."""
    home = folder / "swarm" / author
    home.mkdir(parents=True, exist_ok=True)
    for place, data in enumerate(messages):
        (home / f"{1:012d}-{place:012d}.msg").write_bytes(data)


def test_every_attack_is_named_and_the_step_goes_on(tmp_path: Path) -> None:
    sound = encode(parity(1, ("135", "246")), VICTIM)
    name, signature, body = CUTS
    forged = sound[:-3] + b"9" + sound[-2:]
    stolen = encode(parity(2), THIEF)
    stolen = stolen[:name] + VICTIM.public + stolen[signature:]
    claims = canonical(parity(3)).replace(b'"finished"', b'"correct":true,"finished"')
    plant(tmp_path, VICTIM.name, sound)
    plant(
        tmp_path,
        THIEF.name,
        forged,
        stolen,
        sound,  # a replay of what the victim signed, from another place
        b"RQSW" + bytes(70_000),
        sound[:body] + b"[" * 9000,
        framed(b'{"a":' * 100 + b"1" + b"}" * 100, THIEF),
        sound[: body + 40],
        framed(b"\xff\xfe", THIEF),
        framed(claims, THIEF),
        bytes(500),
        encode(parity(4, ("135", "246")), THIEF),  # the victim's words
        encode(parity(5, start=77), THIEF),  # no such task
        encode(parity(6, start=0), THIEF),  # a task of a held-out suite
        encode(parity(7, ("1", "x")), THIEF),
        encode(parity(8, ("133", "155")), THIEF),  # all right: nothing to learn
        encode(parity(9, messages=(Turn(role="user", content="Say 111."),)), THIEF),
        encode(parity(10, ("137", "138"), time=NOW + 30 * HOUR), THIEF),
        encode(parity(11, ("139", "130"), epoch=1), THIEF),
    )
    late = encode(parity(1, ("357", "468"), time=NOW - HOUR), PEER)
    early = encode(parity(2, ("359", "460"), time=NOW + HOUR), PEER)
    plant(tmp_path, PEER.name, late, early, late)
    node = open_node(node_config(tmp_path, 1, swarm={"foreign": 8}), tmp_path / "run")
    step_once(node)
    close_node(node)
    with RunStore.open(tmp_path / "run", read_only=True) as store:
        exchange = load_exchanges(store)[1]
    assert exchange.counts == {
        UNPROVEN: {"forged": 2, "oversize": 1, "too_nested": 2, "malformed": 3, "not_a_message": 1},
        VICTIM.name: {"arrived": 2, "repeated": 1, "taken": 1},
        THIEF.name: {
            "arrived": 8, "copied": 1, "invalid_task": 1, "held_out": 1, "unwritable": 1,
            "no_advantage": 1, "other_prompt": 1, "expired": 1, "replayed": 1,
        },
        PEER.name: {"arrived": 3, "repeated": 1, "taken": 2},
    }  # fmt: skip
    assert {item.origin for item in exchange.groups} == {VICTIM.name, PEER.name}
    assert {item.verdicts for item in exchange.groups} == {(Verdict.CORRECT, Verdict.WRONG)}


def test_many_hostile_messages_and_no_forgery() -> None:
    result = fuzz(1500, seed=1)
    assert result.forgeries == 0
    assert sum(result.reasons.values()) >= 1450
    assert result.waiting_bytes <= CONFIG.max_peers * CONFIG.quota * CONFIG.max_bytes
    assert result.grown_bytes < 32 * 2**20


def test_a_flood_of_long_messages_holds_no_more_memory_than_the_quotas() -> None:
    peers, quota, max_bytes = 4, 4, 16_384
    config = SwarmConfig(max_peers=peers, quota=quota, max_bytes=max_bytes)
    gate = Gate(config, identity(1).name, clock=lambda: float(NOW))
    authors = [identity(number) for number in range(20, 28)]
    # Half of them are long, and half have as many values as the format allows.
    text, many = "a long answer " * 500, {"a": 3, "b": 4, "many": [{} for _ in range(2500)]}
    over: list[dict[str, Any]] = [{}, {"payload": many}]
    flood = [
        encode(
            group(number, (f"{number} {text}", f"{author.name} {text}"), **over[number % 2]),
            author,
        )
        for number in range(12)
        for author in authors
    ]
    tracemalloc.start()
    for step in range(1, 4):
        gate.begin_step(step)
        for data in flood:
            gate.admit(bytes(bytearray(data)), step)  # memory of its own, as from a network
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    waiting = [data for peer in gate.peers.values() for _, data in peer.waiting]
    bound = peers * quota * max_bytes
    assert len(waiting) == peers * quota
    assert sum(map(len, waiting)) <= bound
    assert held < 1.5 * bound
    assert len(gate.peers) == peers


def test_a_flood_fills_no_disk(tmp_path: Path) -> None:
    """What a node writes of others is bounded by what it asks for, not by what comes."""

    def run(name: str, flooded: bool) -> int:
        folder = tmp_path / name
        folder.mkdir()
        over = {"foreign": 2, "quota": 50, "transport": {"keep": 4}}
        node = open_node(node_config(folder, 1, swarm=over), folder / "run")
        for author in (PEER, THIEF) if flooded else ():
            plant(folder, author.name, *(
                encode(parity(n, (f"{n:03d}"[-3:], f"{n + 1:03d}"[-3:]), epoch=n + 1), author)
                for n in range(300)
            ))  # fmt: skip
        for _ in range(3):
            step_once(node)
        assert node.swarm is not None
        own = list((folder / "swarm" / node.swarm.identity.name).iterdir())
        close_node(node)
        assert len(own) <= 4
        with RunStore.open(folder / "run", read_only=True) as store:
            taken = [len(item.groups) for item in load_exchanges(store).values()]
        assert taken == ([2, 2, 2] if flooded else [0, 0, 0])
        return sum(path.stat().st_size for path in (folder / "run").rglob("*") if path.is_file())

    quiet, loud = run("quiet", False), run("loud", True)
    assert loud - quiet < 6 * 2048 + 5 * 4096  # six groups, and pages of the database


def test_a_nodes_clock_an_hour_off_still_trains(tmp_path: Path) -> None:
    plant(tmp_path, PEER.name, encode(parity(1, time=NOW + HOUR), PEER))
    plant(tmp_path, VICTIM.name, encode(parity(1, ("357", "358"), time=NOW - HOUR), VICTIM))
    node = open_node(node_config(tmp_path, 1), tmp_path / "run")
    step_once(node)
    close_node(node)
    with RunStore.open(tmp_path / "run", read_only=True) as store:
        assert len(load_exchanges(store)[1].groups) == 2


def code_group(payload: dict[str, Any], prompt: str = "?") -> Group:
    return Group(
        environment="code", environment_version=1, kind="code_o", payload=payload,
        messages=(Turn(role="user", content=prompt),),
        answers=(Answer(text="1", finished=True), Answer(text="2", finished=True)),
        limit=64, member=0, epoch=1, number=1, time=NOW,
    )  # fmt: skip


def test_hostile_programs_and_false_answers_teach_nothing(tmp_path: Path) -> None:
    """Programs that return at once, whatever they try; the sandbox's own tests hang and flood."""
    quick = [
        hostile
        for hostile in CORPUS
        if not {OutcomeKind.TIMEOUT, OutcomeKind.MEMORY} & {*hostile.allowed}
        and len(hostile.code) < 2000
        and "\ud800" not in hostile.code
    ]
    assert len(quick) > 20
    screens: tuple[Screen, ...] = build_config({}).safety.screens
    with make_sandbox(SandboxConfig(workers=1)) as sandbox:
        environment = Code().build(Services(lambda: sandbox, "seedling"))
        judge = Judge(
            {"code": environment},
            lambda task: False,
            partial(student_reward, config=LearnerConfig()),
            lambda prompt, texts: True,
        )
        version = environment_version(environment)
        payloads = [
            {"program": hostile.code.replace("FILE", "'/etc/passwd'"), "input": "", "output": "1",
             "arity": 0}
            for hostile in quick
        ]  # fmt: skip
        sound = next(t for t in sources_of(environment)["stream"].tasks(9, 3) if t.kind == "code_o")
        payloads.append(dict(sound.payload) | {"output": "'a false answer'"})
        groups = [
            code_group(payload).model_copy(update={"environment_version": version})
            for payload in payloads
        ]
        bare = judge.judge(groups)
        screened = Judge(
            judge.environments, judge.is_held_out, judge.reward, judge.fits, screens
        ).judge(groups)
    assert {*map(str, bare)} == {"invalid_task"}
    assert {*map(str, screened)} == {"invalid_task", "unsafe"}


def test_words_of_a_task_are_what_its_screens_read() -> None:
    class NoBombs(Screen):
        def objections(self, texts: Sequence[str]) -> list[str | None]:
            return ["a bomb" if "bomb" in text else None for text in texts]

    nested = {"a": 3, "b": 4, "note": [{"deep": ["how to", "make a bomb"]}], "n": None}
    assert words_of(nested) == "a\n\nb\n\nnote\ndeep\nhow to\nmake a bomb\nn\n"
    assert judged(group(payload=nested), screens=(NoBombs(),)) == ["unsafe"]
    harmless, harmful = judged(group(), group(payload=nested), screens=(NoBombs(),))
    assert (len(harmless), harmful) == (2, "unsafe")

    class Broken(Screen):
        def objections(self, texts: Sequence[str]) -> list[str | None]:
            raise ZeroDivisionError

    assert judged(group(), screens=(Broken(),)) == ["check_failed"]
