"""What a message must pass before it may wait to be drawn: everything that needs no sandbox.

The chain goes from cheap to dear: form, author, signature, time, window, quota, number of answers,
copies. A refusal is counted for the author once the signature has proven who that is, and for
nobody (`UNPROVEN`) before: otherwise forgeries in somebody's name would cost him his share.
"""

import hashlib
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from redqueen.config.swarm import SwarmConfig
from redqueen.swarm.reasons import ARRIVED, BLAMELESS, IMPLAUSIBLE, TAKEN, RefusedError
from redqueen.swarm.wire import Group, Message, decode

UNPROVEN = ""
"""Stands for the author of messages that do not prove theirs."""
WINDOW = 16_384
"""Numbers below a peer's highest that may still come, out of order."""
LONG_ANSWER = 40
"""Characters from which an equal text is a copy and no coincidence."""
REMEMBERED = 65_536
"""Texts of which it is known who wrote them first."""
WEIGHTS = {IMPLAUSIBLE: 0.25}
"""What counts less than a whole fault."""


@dataclass(slots=True)
class Peer:
    """What is known of one author."""

    faults: float = 0.0
    merits: float = 0.0
    epoch: int = 0
    highest: int = 0
    numbers: set[int] = field(default_factory=set)
    """Those that have come, within the window."""
    since_step: int = 0
    """Messages since the last step."""
    waiting: "deque[tuple[int, bytes]]" = field(default_factory=deque)
    """Step of arrival, and the message as it came: read, a hostile one is many times as large."""

    @property
    def share(self) -> float:
        """In (0, 1]: 1 without faults. Weighs the peer's quota and its chance to be drawn."""
        return (1.0 + self.merits) / (1.0 + self.merits + self.faults)


class Copies:
    """Who wrote which long text, or which whole group, first; the oldest are forgotten."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._first: OrderedDict[bytes, str] = OrderedDict()
        self._remembered = remembered

    def _digests(self, group: Group) -> list[bytes]:
        task = repr((group.environment, group.kind, group.messages))
        texts = sorted(answer.text for answer in group.answers)
        keys = [task + repr(texts), *(t for t in texts if len(t) >= LONG_ANSWER)]
        return [hashlib.blake2b(k.encode(), digest_size=16).digest() for k in keys]

    def is_copy(self, group: Group, author: str) -> bool:
        """Return whether somebody else wrote the group, or most of its long answers, before."""
        whole, *texts = (self._first.get(key, author) != author for key in self._digests(group))
        return whole or 2 * sum(texts) > max(1, len(texts))

    def add(self, group: Group, author: str) -> None:
        """Note who wrote a group; what is noted already stays."""
        for key in self._digests(group):
            self._first.setdefault(key, author)
            if len(self._first) > self._remembered:
                self._first.popitem(last=False)


class Gate:
    """Lets messages in to wait, refuses others by name, and keeps the peers' standing."""

    def __init__(
        self,
        config: SwarmConfig,
        name: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`name` is this node's own, whose messages are passed over."""
        self.config, self.name = config, name
        self.copies = Copies()
        self.peers: dict[str, Peer] = {}
        self.counts: dict[str, Counter[str]] = {}
        """Author -> what became of its messages -> how many, since `begin_step`."""
        self._clock = clock

    def begin_step(self, step: int) -> None:
        """Begin counting anew, and drop what has waited too long."""
        self.counts = {}
        for name, peer in self.peers.items():
            peer.since_step = 0
            while peer.waiting and step - peer.waiting[0][0] > self.config.max_age:
                peer.waiting.popleft()
                self.count(name, "aged")

    def count(self, author: str, what: str) -> None:
        """Count what became of a message, and let the peer's share follow."""
        self.counts.setdefault(author, Counter())[what] += 1
        if author in self.peers:
            self._credit(self.peers[author], what, 1)

    def remember(self, author: str, counts: Mapping[str, int]) -> None:
        """Take up what became of an author's messages before the run was resumed."""
        if author != UNPROVEN:
            peer = self.peers.setdefault(author, Peer())
            for what, number in counts.items():
                self._credit(peer, what, number)

    @staticmethod
    def _credit(peer: Peer, what: str, number: int) -> None:
        if what == TAKEN:
            peer.merits += number
        elif what != ARRIVED and what not in BLAMELESS:
            peer.faults += number * WEIGHTS.get(what, 1.0)

    def admit(self, data: bytes, step: int) -> bool:
        """Let a message wait, or count why not. Never raises, whatever the bytes."""
        author = UNPROVEN
        try:
            message = decode(data, self.config.max_bytes)
            if message.author == self.name:
                return False
            self.check_author(message.author, message.is_authentic)
            author = message.author
            peer = self.meet(author)
            self.count(author, ARRIVED)
            self._check_standing(message, peer)
        except RefusedError as refused:
            self.count(author, refused.reason)
            return False
        self.copies.add(message.group, author)
        if len(peer.waiting) >= self.config.quota:
            peer.waiting.popleft()
            self.count(author, "crowded_out")
        peer.waiting.append((step, data))
        return True

    def meet(self, author: str) -> Peer:
        """Return what is known of an author who has signed something."""
        return self.peers.setdefault(author, Peer())

    def check_author(self, author: str, is_authentic: Callable[[], bool]) -> None:
        """Raises RefusedError unless the author is listened to and signed the message."""
        config = self.config
        if config.peers and author not in config.peers:
            raise RefusedError("not_listed")
        if author not in self.peers and len(self.peers) >= config.max_peers:
            raise RefusedError("too_many_peers")
        if not is_authentic():
            raise RefusedError("forged")

    def check_time(self, seconds: int) -> None:
        """Raises RefusedError unless a time is near enough to this node's clock."""
        if abs(self._clock() - seconds) > 3600 * self.config.max_hours:
            raise RefusedError("expired")

    def _check_standing(self, message: Message, peer: Peer) -> None:
        """Raises RefusedError unless the message is new, in time, and within the quota.

        Others may send again what the author once signed, so that neither counts against it: no
        refusal before the quota is charged, and none uses the quota up.
        """
        group = message.group
        self.check_time(group.time)
        if (group.epoch, group.number) <= (peer.epoch, peer.highest - WINDOW):
            raise RefusedError("replayed")
        if group.epoch == peer.epoch and group.number in peer.numbers:
            raise RefusedError("repeated")
        peer.since_step += 1
        if peer.since_step > max(1, round(self.config.quota * peer.share)):
            raise RefusedError("quota")
        if group.epoch > peer.epoch:
            peer.epoch, peer.highest, peer.numbers = group.epoch, group.number, set()
        if group.number > peer.highest:
            peer.highest = group.number
            if len(peer.numbers) > 2 * WINDOW:
                peer.numbers = {n for n in peer.numbers if n > peer.highest - WINDOW}
        peer.numbers.add(group.number)
        if len(group.answers) > self.config.max_answers:
            raise RefusedError("too_many_answers")
        if self.copies.is_copy(group, message.author):
            raise RefusedError("copied")

    def shares(self) -> Mapping[str, float]:
        """Return the share of each peer that has something waiting, by name in rising order."""
        return {name: peer.share for name, peer in sorted(self.peers.items()) if peer.waiting}
