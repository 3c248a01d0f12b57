"""Messages that no honest node sends, through everything that needs no sandbox.

Three kinds take turns: bytes at random; signed messages that were damaged or stitched together of
two, whose signature therefore is nobody's; and damaged bodies that an attacker signed with a key of
its own. Of the first two none may be let in: that would be a forgery. Of the third some may, if
what is left is a sound message.
"""

import resource
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from redqueen.config import SwarmConfig
from redqueen.swarm.checks import Gate
from redqueen.swarm.identity import Identity
from redqueen.swarm.reasons import REASONS
from redqueen.swarm.wire import CUTS, encode, framed
from tests.swarm.messages import NOW, group, identity

CONFIG = SwarmConfig(quota=8, max_peers=4, max_bytes=8192)
STEP = 1000
"""Messages between two steps of the node that is attacked."""
BREAKERS = (
    b"[" * 200, b'{"a":' * 50, b"1e999", b"NaN", b"-0", b"9" * 400, b"\x00", b"\xff\xfe", b"null",
    b"\\ud800", b'"', b"\\", b",", b"}", b"\xe2\x80\xa8", b'"epoch":1,', b"true", b"-1", b"0.5",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """What came of the messages."""

    messages: int
    forgeries: int
    """Messages that nobody signed, and that were let in."""
    own: int
    """Messages that the attacker signed itself, and that were let in."""
    reasons: Counter[str]
    waiting_bytes: int
    """Most that waited at the end of a step."""
    grown_bytes: int
    """What the process's largest resident set grew by."""


def fuzz(count: int, seed: int) -> Fuzzed:
    """Send `count` messages to a node; an exception of the node passes through."""
    rng, gate = Random(seed), Gate(CONFIG, identity(1).name, clock=lambda: float(NOW))
    honest = [identity(number) for number in (2, 3)]
    sound = [encode(group(n, (f"{n} and {n}", "8")), honest[n % 2]) for n in range(64)]
    attacker = identity(4)
    kinds: list[Callable[[], bytes]] = [
        lambda: rng.randbytes(rng.randrange(400)),
        lambda: _damaged(sound, rng),
        lambda: _signed(sound, attacker, rng),
    ]
    reasons: Counter[str] = Counter()
    accepted, waiting = [0, 0, 0], 0
    before = _resident()
    for number in range(count):
        if number % STEP == 0:
            gate.begin_step(number // STEP)
        accepted[number % 3] += gate.admit(kinds[number % 3](), number // STEP)
        if number % STEP == STEP - 1 or number == count - 1:
            for counts in gate.counts.values():
                reasons.update({name: n for name, n in counts.items() if name in REASONS})
            messages = [data for peer in gate.peers.values() for _, data in peer.waiting]
            waiting = max(waiting, sum(map(len, messages)))
    grown = _resident() - before
    return Fuzzed(count, accepted[0] + accepted[1], accepted[2], reasons, waiting, grown)


def _resident() -> int:
    """Return the largest resident set of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _damaged(sound: list[bytes], rng: Random) -> bytes:
    """Return bytes that differ from every sound message."""
    while True:
        if rng.random() < 0.3:  # name, signature and body of different messages
            places = (0, *CUTS, None)
            data = b"".join(rng.choice(sound)[a:b] for a, b in pairwise(places))
        else:
            data = _mutated(rng.choice(sound), rng)
        if data not in sound:
            return data


def _signed(sound: list[bytes], attacker: Identity, rng: Random) -> bytes:
    """Return a damaged body under the attacker's own signature."""
    return framed(_mutated(rng.choice(sound)[CUTS[-1] :], rng), attacker)


def _mutated(data: bytes, rng: Random) -> bytes:
    """Return bytes after one to four accidents."""
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + int(rng.paretovariate(0.6)))
        match rng.randrange(6):
            case 0:
                data = data[:start] + data[end:]
            case 1:
                data = data[:end] + data[start:end] * rng.choice((1, 2, 200)) + data[end:]
            case 2:
                data = data[:start] + rng.choice(BREAKERS) + data[start:]
            case 3:
                data = data[:start] + rng.choice(BREAKERS) + data[end:]
            case 4:
                data = data[:start] + rng.randbytes(1) + data[start + 1 :]
            case 5:
                data = data[:start] + str(rng.randrange(10)).encode() + data[start + 1 :]
        data = data[:20_000]
    return data
