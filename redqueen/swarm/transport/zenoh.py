"""Zenoh: peer to peer over a network, or through routers.

A node listens on an address of its own and gossips, as peers do not relay. Its newest messages stay
in a cache from which those who join later, or have missed some, fetch them.
"""

import json
import threading
from collections import deque
from typing import Any

import zenoh
from pydantic import Field, model_validator
from zenoh import ext

from redqueen.errors import ConfigError
from redqueen.swarm.transport.base import Node, Transport, TransportConfig, TransportError

_PERIOD = 1.0
"""Seconds between the heartbeats by which a lost last message is noticed."""


class Zenoh(TransportConfig):
    """A network of nodes (eclipse-zenoh 1.10)."""

    name: str = Field("redqueen", pattern=r"^[A-Za-z0-9_.-]+$")
    """Of the swarm: nodes of other names are not heard."""
    listen: tuple[str, ...] = ("tcp/0.0.0.0:7447",)
    """Addresses to be reached at, such as `tcp/0.0.0.0:7447` or `tls/0.0.0.0:7447`."""
    connect: tuple[str, ...] = ()
    """Addresses of some nodes, or of a router; gossip finds the others."""
    authority: str = ""
    """mTLS: file with the certificate of the authority that signs all nodes'; empty: no TLS."""
    certificate: str = ""
    """mTLS: file with this node's certificate."""
    private_key: str = ""
    """mTLS: file with the private key of this node's certificate."""
    keep: int = Field(256, ge=1)
    """A node's newest messages that late joiners can fetch."""

    @model_validator(mode="after")
    def _whole_tls(self) -> "Zenoh":
        files = (self.authority, self.certificate, self.private_key)
        if any(files) and not all(files):
            raise ValueError("authority, certificate and private_key go together")
        secured = [a.startswith(("tls/", "quic/")) for a in (*self.listen, *self.connect)]
        if any(files) and not all(secured):
            raise ValueError("with certificates every address begins with tls/ or quic/")
        if any(secured) and not any(files):
            raise ValueError("an address with tls/ or quic/ needs authority and certificate")
        return self

    def settings(self) -> dict[str, Any]:
        """Return zenoh's own configuration. Sections with retries are given whole, as zenoh takes
        the rest of a section that is named in part from nowhere."""
        retry = {"period_init_ms": 500, "period_max_ms": 4000, "period_increase_factor": 2}
        settings: dict[str, Any] = {
            "mode": "peer",
            "listen": {
                "endpoints": list(self.listen), "timeout_ms": 0, "exit_on_failure": True,
                "retry": retry,
            },
            "connect": {
                "endpoints": list(self.connect), "timeout_ms": -1, "exit_on_failure": False,
                "retry": retry,
            },
            "scouting": {
                "multicast": {"enabled": False},
                "gossip": {"enabled": True, "multihop": True},
            },
            "timestamping": {"enabled": True},
        }  # fmt: skip
        if self.authority:
            settings["transport"] = {
                "link": {
                    "tls": {
                        "root_ca_certificate": self.authority,
                        "listen_certificate": self.certificate,
                        "listen_private_key": self.private_key,
                        "connect_certificate": self.certificate,
                        "connect_private_key": self.private_key,
                        "enable_mtls": True,
                        "verify_name_on_connect": True,
                    }
                }
            }
        return settings

    def build(self, node: Node) -> Transport:
        """Return the transport, with its session open.

        Raises:
            ConfigError: zenoh does not take the keys, or an address cannot be listened on.
        """
        try:
            config = zenoh.Config.from_json5(json.dumps(self.settings()))
            return Session(zenoh.open(config), self, node)
        except zenoh.ZError as error:
            raise ConfigError(f"swarm.transport: zenoh cannot start: {error}") from None


class Session:
    """See `redqueen.swarm.transport.base.Transport`."""

    def __init__(
        self, session: zenoh.Session, config: Zenoh, node: Node, channel: str = ""
    ) -> None:
        self._session, self._config, self._node = session, config, node
        self._lock = threading.Lock()
        self._came: dict[str, deque[bytes]] = {}
        """Key of the sender -> its messages, the oldest first."""
        prefix = f"redqueen/{config.name}" + (f"/{channel}" if channel else "")
        self._own = f"{prefix}/{node.name}"
        self._publisher = ext.declare_advanced_publisher(
            session,
            self._own,
            congestion_control=zenoh.CongestionControl.BLOCK,
            cache=ext.CacheConfig(max_samples=config.keep),
            sample_miss_detection=ext.MissDetectionConfig(
                heartbeat=_PERIOD, sporadic_heartbeat=None
            ),
            publisher_detection=True,
        )
        self._subscriber = ext.declare_advanced_subscriber(
            session,
            f"{prefix}/*",
            self._take,
            history=ext.HistoryConfig(detect_late_publishers=True, max_samples=config.keep),
            recovery=ext.RecoveryConfig(periodic_queries=None, heartbeat=True),
            subscriber_detection=True,
        )

    def _take(self, sample: zenoh.Sample) -> None:
        """Keep a message for `receive`; runs in zenoh's own thread, and keeps a bounded number."""
        sender = str(sample.key_expr)
        if sender == self._own:
            return
        data = sample.payload.to_bytes()[: self._node.max_bytes + 1]
        with self._lock:
            if sender not in self._came and len(self._came) >= self._node.max_peers:
                return
            self._came.setdefault(sender, deque(maxlen=self._node.quota)).append(data)

    def publish(self, key: str, data: bytes) -> None:
        """Send a message; waits while the network is congested."""
        try:
            self._publisher.put(data)
        except zenoh.ZError as error:
            raise TransportError(f"zenoh cannot publish: {error}") from error

    def receive(self) -> list[bytes]:
        """Return what has come, senders in the order of their keys."""
        with self._lock:
            came, self._came = self._came, {}
        return [data for _, several in sorted(came.items()) for data in several]

    def channel(self, name: str, node: Node) -> Transport:
        """Return another key of the same session."""
        keys = self._config.model_copy(update={"keep": 1})
        return Session(self._session, keys, node, name)

    def close(self) -> None:
        """End the session."""
        if not self._session.is_closed():
            self._session.close()  # type: ignore[no-untyped-call]
