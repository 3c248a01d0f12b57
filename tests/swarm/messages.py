"""Groups and identities for tests."""

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from redqueen.swarm.identity import Identity
from redqueen.swarm.wire import Answer, Group, Turn

NOW = 1_800_000_000


def identity(number: int) -> Identity:
    return Identity(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))


def group(number: int = 0, texts: tuple[str, ...] = ("7", "8"), **over: Any) -> Group:
    """Answers to 3 + 4, of the toy environment of sums."""
    values: dict[str, Any] = {
        "environment": "sums",
        "environment_version": 1,
        "kind": "sum",
        "payload": {"a": 3, "b": 4},
        "messages": (Turn(role="user", content="3 + 4 ="),),
        "answers": tuple(Answer(text=text, finished=True) for text in texts),
        "limit": 64,
        "member": 2,
        "epoch": 100,
        "number": number,
        "time": NOW,
    }
    return Group(**values | over)


def key_file(folder: Path, number: int) -> Path:
    """Write an identity that is the same in every run."""
    path = folder / f"node-{number}.key"
    if not path.exists():
        made = Identity.create(path)
        assert Identity.load(path).name == made.name
    return path
