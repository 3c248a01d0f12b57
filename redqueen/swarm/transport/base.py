"""What carries messages between nodes: bytes out, bytes in, and nothing of what they mean."""

from dataclasses import dataclass
from typing import Protocol

from redqueen.config.component import Component
from redqueen.errors import RedQueenError


class TransportError(RedQueenError):
    """Messages could not be sent or fetched; the node trains on without them."""


@dataclass(frozen=True, slots=True)
class Node:
    """What a transport knows of the node that it works for."""

    name: str
    """The public key in hexadecimal."""
    max_bytes: int
    """Longest message; of a longer one a byte more is fetched, so that it is seen to be too
    long."""
    quota: int
    """Messages of one sender that a call of `receive` returns at most."""
    max_peers: int
    """Senders from which messages are fetched."""


class Transport(Protocol):
    """Carries messages. It may lose, repeat, reorder and invent them: the checks come later."""

    def publish(self, key: str, data: bytes) -> None:
        """Send a message to all. Keys of a node rise; an equal key has the same message.

        Raises:
            TransportError: it could not be sent.
        """
        ...

    def receive(self) -> list[bytes]:
        """Return what has come since the last call, without waiting; at first also earlier
        messages that are still kept.

        Raises:
            TransportError: nothing could be fetched.
        """
        ...

    def channel(self, name: str, node: Node) -> "Transport":
        """Return a way of its own for other messages, over the same connection; of each sender the
        newest message is enough."""
        ...

    def close(self) -> None:
        """Free what the transport holds. Safe to call twice."""
        ...


class TransportConfig(Component):
    """Base of what a config names as a transport: its keys, and how it is built from them."""

    def build(self, node: Node) -> Transport:
        """Return the transport for a node.

        Raises:
            ConfigError: its keys do not work on this machine.
        """
        raise NotImplementedError
