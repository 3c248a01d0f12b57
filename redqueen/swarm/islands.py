"""Islands: nodes with the same base exchange members, which evolution then measures.

The island model (Whitley, Rana and Heckendorn, "The Island Model Genetic Algorithm", 1999): at the
end of a generation every node sends its fittest student, and measures those of others on its own
probe. One that is better than a member that would be replaced anyway takes that member's place.
"""

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial

from redqueen.background import Background
from redqueen.config.swarm import IslandsConfig
from redqueen.models.adapters import AdapterStack, Factors
from redqueen.rng import numpy_rng
from redqueen.swarm.adapter_message import (
    SLACK,
    AdapterMessage,
    base_name,
    decode_adapter,
    encode_adapter,
)
from redqueen.swarm.checks import UNPROVEN, Gate
from redqueen.swarm.identity import Identity
from redqueen.swarm.reasons import ARRIVED, RefusedError
from redqueen.swarm.transport.base import Transport, TransportError
from redqueen.types import ForeignAdapter

log = logging.getLogger(__name__)

CHANNEL = "members"
"""Of the transport, beside that of the groups."""
Arrival = tuple[AdapterMessage, dict[str, Factors]]


class Islands:
    """One node's exchange of members; `close` it at the end."""

    def __init__(
        self,
        config: IslandsConfig,
        gate: Gate,
        identity: Identity,
        connect: Callable[[str, int], Transport],
        adapters: AdapterStack,
        base_digest: str,
        past: Mapping[int, tuple[ForeignAdapter, ...]],
        newest: Mapping[str, tuple[int, int]],
        *,
        epoch: int,
        seed: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`connect` opens a channel of a name for messages up to a length; `past` is what steps
        that are on record measured, `newest` the epoch and number of each author's last; `epoch`
        and `seed` are the run's."""
        self.config, self.gate, self.identity = config, gate, identity
        self._adapters, self._base = adapters, base_name(base_digest)
        self._past, self._epoch, self._seed, self._clock = past, epoch, seed, clock
        self._newest = dict(newest)
        self._longest = len(self._encoded(0, 0)) + SLACK
        self._transport = connect(CHANNEL, self._longest)
        self._sends = Background("islands")

    def close(self) -> None:
        """Wait for what is being sent, and leave."""
        self._sends.finish()
        self._sends.close()
        self._transport.close()

    def _encoded(self, slot: int, step: int) -> bytes:
        factors, now = self._adapters.get(slot), int(self._clock())
        return encode_adapter(
            factors, self._adapters.scaling, self._base, self.identity, self._epoch, step, now
        )

    def publish(self, step: int, slot: int) -> None:
        """Begin to send the adapter of a slot as it is now."""
        key = f"{self._epoch:012d}-{step:012d}"
        self._sends.begin(partial(self._send, key, self._encoded(slot, step)))

    def _send(self, key: str, data: bytes) -> None:
        try:
            self._transport.publish(key, data)
        except TransportError as error:
            log.warning("a member was not sent to other nodes: %s", error)

    def arrivals(self, step: int) -> list[Arrival]:
        """Return the adapters that this step measures: those on record if it is done again, else
        at most `candidates` of what is at hand, authors drawn by their shares."""
        if step in self._past:
            messages = [decode_adapter(item.message) for item in self._past[step]]
            return [(message, message.factors(self._adapters)) for message in messages]
        try:
            received = self._transport.receive()
        except TransportError as error:
            log.warning("no member was fetched from other nodes: %s", error)
            return []
        sound = {a[0].author: a for a in map(self._admitted, received) if a is not None}
        names = sorted(sound)
        if not names:
            return []
        shares = [self.gate.peers[name].share for name in names]
        rng = numpy_rng(self._seed, step, "islands")
        count = min(len(names), self.config.candidates)
        drawn = rng.choice(
            len(names), count, replace=False, p=[share / sum(shares) for share in shares]
        )
        return [sound[names[place]] for place in sorted(drawn.tolist())]

    def _admitted(self, data: bytes) -> Arrival | None:
        """Return an adapter that a member of this node could have; count why not. Never raises."""
        author, gate = UNPROVEN, self.gate
        try:
            if len(data) > self._longest:
                raise RefusedError("oversize")
            message = decode_adapter(data)
            if message.author == gate.name:
                return None
            gate.check_author(message.author, message.is_authentic)
            author = message.author
            gate.meet(author)
            gate.count(author, ARRIVED)
            gate.check_time(message.time)
            if (message.epoch, message.number) <= self._newest.get(author, (-1, -1)):
                raise RefusedError("repeated")
            self._newest[author] = message.epoch, message.number
            if message.base != self._base:
                raise RefusedError("other_base")
            return message, message.factors(self._adapters)
        except RefusedError as refused:
            gate.count(author, refused.reason)
            return None
