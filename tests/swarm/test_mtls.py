"""mTLS: the right certificate joins; none, another authority's and another name's do not."""

import json
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import zenoh

from redqueen.errors import ConfigError
from redqueen.swarm.transport.base import Node, Transport
from redqueen.swarm.transport.zenoh import Session, Zenoh
from tests.swarm.certificates import Authority
from tests.swarm.test_transports import A, B, C, free_port, received, stack

__all__ = ["stack"]  # a fixture

HOST = "127.0.0.1"


def opened(stack: ExitStack, keys: Zenoh, node: Node = A) -> Transport:
    transport = keys.build(node)
    stack.callback(transport.close)
    return transport


def test_only_the_right_certificate_joins(stack: ExitStack, tmp_path: Path) -> None:
    right, wrong = Authority(tmp_path, "right"), Authority(tmp_path, "wrong")
    files = right.sign("server", HOST)
    port, misnamed = free_port(), free_port()
    server = opened(stack, Zenoh(listen=(f"tls/{HOST}:{port}",), **files))
    # A server of the right authority that is not who its address says.
    other = opened(
        stack, Zenoh(listen=(f"tls/{HOST}:{misnamed}",), **right.sign("misnamed", "10.9.9.9"))
    )

    def client(to: int, **signed: str) -> Zenoh:
        listen = f"tls/{HOST}:{free_port()}"
        return Zenoh(listen=(listen,), connect=(f"tls/{HOST}:{to}",), **signed)

    # Another authority's certificate, which trusts the right authority itself.
    foreign = wrong.sign("foreign", HOST) | {"authority": str(right.path)}
    settings = client(port, **files).settings()
    tls = settings["transport"]["link"]["tls"]
    for name in ("certificate", "private_key"):
        del tls[f"connect_{name}"]
    bare = zenoh.open(zenoh.Config.from_json5(json.dumps(settings)))
    strangers = {
        "another authority": opened(stack, client(port, **foreign), B),
        "another name": opened(stack, client(misnamed, **right.sign("client", HOST)), B),
        "no certificate": Session(bare, client(port, **files), B),
    }
    stack.callback(strangers["no certificate"].close)
    friend = opened(stack, client(port, **right.sign("friend", HOST)), C)
    server.publish("1-1", b"among us")
    other.publish("1-1", b"from nobody")
    assert received(friend, 1) == [b"among us"]
    friend.publish("1-1", b"I am in")
    for transport in strangers.values():
        transport.publish("1-1", b"let me in")
    assert received(server, 1) == [b"I am in"]
    time.sleep(3.0)  # as long again as the right one took, and more
    assert not any(transport.receive() for transport in strangers.values())
    assert server.receive() == other.receive() == []


@pytest.mark.parametrize("file", ["authority", "certificate", "private_key"])
def test_a_missing_file_is_said(file: str, tmp_path: Path) -> None:
    files = Authority(tmp_path, "right").sign("server", HOST) | {file: str(tmp_path / "none")}
    keys = Zenoh(listen=(f"tls/{HOST}:{free_port()}",), **files)
    with pytest.raises(ConfigError, match=r"swarm\.transport"):
        keys.build(A)
