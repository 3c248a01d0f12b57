"""Ways of messages: a folder full of rubbish, and a network of this machine alone."""

import gc
import os
import socket
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydantic import ValidationError

from redqueen.errors import ConfigError
from redqueen.swarm.transport.base import Node, Transport
from redqueen.swarm.transport.directory import SharedFolder
from redqueen.swarm.transport.zenoh import Zenoh

A, B, C = (Node(letter * 64, 1000, 32, 8) for letter in "abc")


def test_rubbish_in_the_folder_is_passed_over(tmp_path: Path) -> None:
    reader = SharedFolder(tmp_path, A, keep=5)
    home = tmp_path / "stranger"
    (home / "3-3.msg").mkdir(parents=True)
    os.mkfifo(home / "4-4.msg")
    (home / "5-5.msg").symlink_to("/etc/passwd")
    (home / "6-6.msg").write_bytes(b"x" * 5000)
    (home / "6-7.msg").write_bytes(b"good")
    for name in ("notes.txt", ".7-7.msg.12.new", "8-8.msg.new", "x-y.msg"):
        (home / name).write_text("no message")
    (tmp_path / "file").write_text("no folder")
    assert reader.receive() == [b"x" * 1001, b"good"]
    assert reader.receive() == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file"):
        SharedFolder(tmp_path / "file" / "swarm", A, keep=5)


def test_flooding_folders_are_bounded(tmp_path: Path) -> None:
    few = Node("a" * 64, 100, 3, 2)
    for folder in ("x", "y", "z"):
        (tmp_path / folder).mkdir()
        for number in range(9):
            (tmp_path / folder / f"1-{number}.msg").write_bytes(folder.encode())
    assert SharedFolder(tmp_path, few, keep=5).receive() == [b"x"] * 3 + [b"y"] * 3


def test_folders_that_come_and_go_leave_nothing_behind(tmp_path: Path) -> None:
    reader = SharedFolder(tmp_path, Node("f" * 64, 100, 3, 2), keep=5)

    def held(rounds: range) -> int:
        for number in rounds:
            folder = tmp_path / f"{number:060d}"
            folder.mkdir()
            (folder / "1-1.msg").write_bytes(b"x")
            assert reader.receive() == [b"x"]
            (folder / "1-1.msg").unlink()
            folder.rmdir()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    before = held(range(100))
    grown = held(range(100, 600)) - before
    tracemalloc.stop()
    assert grown < 20_000


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def has_network() -> bool:
    """Whether this machine has an address besides loopback, which zenoh does not gossip about."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return False
        return not probe.getsockname()[0].startswith("127.")


def opened(
    stack: ExitStack, node: Node, port: int, *others: int, host: str = "127.0.0.1"
) -> Transport:
    transport = Zenoh(
        listen=(f"tcp/{host}:{port}",),
        connect=tuple(f"tcp/127.0.0.1:{other}" for other in others),
    ).build(node)
    stack.callback(transport.close)
    return transport


def received(transport: Transport, count: int, seconds: float = 60.0) -> list[bytes]:
    came: list[bytes] = []
    end = time.monotonic() + seconds
    while len(came) < count and time.monotonic() < end:
        came += transport.receive()
        time.sleep(0.02)
    return came


@pytest.mark.skipif(not has_network(), reason="zenoh gossips about no loopback address")
def test_late_joiners_get_what_was_said_and_gossip_finds_the_third(stack: ExitStack) -> None:
    ports, host = [free_port() for _ in range(3)], "0.0.0.0"
    first = opened(stack, A, ports[0], host=host)
    for number in range(5):
        first.publish(f"1-{number}", bytes([number]))
    second = opened(stack, B, ports[1], ports[0], host=host)
    assert sorted(received(second, 5)) == [bytes([n]) for n in range(5)]
    third = opened(stack, C, ports[2], ports[1], host=host)  # knows the second alone
    assert sorted(received(third, 5)) == [bytes([n]) for n in range(5)]
    third.publish("1-1", b"from the third")
    assert received(first, 1) == [b"from the third"]
    assert received(second, 1) == [b"from the third"]
    assert third.receive() == []  # nobody hears himself


def test_what_zenoh_keeps_is_bounded(stack: ExitStack) -> None:
    ports = [free_port() for _ in range(2)]
    small = Node("b" * 64, 100, 4, 8)
    first, second = opened(stack, A, ports[0]), opened(stack, small, ports[1], ports[0])
    first.publish("1-0", b"hello")
    assert received(second, 1) == [b"hello"]
    for number in range(50):
        first.publish(f"2-{number}", b"x" * 5000)
    time.sleep(1.0)
    came = second.receive()
    assert 1 <= len(came) <= 4
    assert {len(data) for data in came} == {101}


def test_an_address_in_use_is_one_clear_sentence(stack: ExitStack) -> None:
    port = free_port()
    opened(stack, A, port)
    with pytest.raises(ConfigError, match="zenoh cannot start"):
        opened(stack, B, port)


def test_halves_of_a_tls_configuration_are_refused() -> None:
    with pytest.raises(ValidationError, match="go together"):
        Zenoh(authority="ca.pem")
    with pytest.raises(ValidationError, match="begins with tls"):
        Zenoh(authority="a", certificate="b", private_key="c")
    with pytest.raises(ValidationError, match="needs authority"):
        Zenoh(listen=("tls/0.0.0.0:7447",))
