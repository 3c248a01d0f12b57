"""Messages a second through the checks that need no sandbox, with the share of each.

    python -m bench.swarm
    python -m bench.swarm --fuzz 1000000    # hostile messages: bench/swarm_fuzz.py
    python -m bench.swarm --alone 20        # steps without peers: bench/swarm_alone.py

A message is a group of eight answers of 400
characters to a code_o task, about 4 KB; 16 peers write them. Every message is a new one: the whole
chain runs on each. Shares are of the chain's time, each part timed alone on the same messages.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.ratios import table
from bench.swarm_alone import alone
from bench.swarm_fuzz import fuzz
from redqueen.config import SwarmConfig
from redqueen.swarm.checks import Copies, Gate
from redqueen.swarm.identity import Identity
from redqueen.swarm.wire import Answer, Group, Message, Turn, decode, encode

ANSWERS, PEERS = 8, 16
BAR = 1000.0
"""Rollouts a second."""
PROGRAM = "def f(xs, k):\n    total = 0\n    for x in xs:\n        total += x * k\n    return total"


def group(number: int) -> Group:
    """The group of a peer's message."""
    words = [f"step {number}.{answer}: total = {answer * number} " for answer in range(ANSWERS)]
    return Group(
        environment="code",
        environment_version=1,
        kind="code_o",
        payload={"program": PROGRAM, "input": f"[1, 2, {number}], 3", "output": "9", "arity": 2},
        messages=(Turn(role="user", content=f"{PROGRAM}\n# f([1, 2, {number}], 3) = ?"),),
        answers=tuple(Answer(text=(w * 40)[:400], finished=True) for w in words),
        limit=192,
        member=0,
        epoch=1,
        number=number,
        time=int(time.time()),
    )


def seconds(work: Callable[[], object]) -> float:
    """Return the processor time of a piece of work."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def measure(messages: Sequence[bytes], config: SwarmConfig) -> dict[str, float]:
    """Return the seconds of the whole chain and of its parts, over all messages."""
    gate, copies = Gate(config, "nobody"), Copies()
    read: list[Message] = []

    def guard() -> None:
        for message in read:
            copies.is_copy(message.group, message.author)
            copies.add(message.group, message.author)

    parts = {
        "form": seconds(lambda: read.extend(decode(data, config.max_bytes) for data in messages)),
        "signature": seconds(lambda: [message.is_authentic() for message in read]),
        "copies": seconds(guard),
    }
    admitted: list[bool] = []
    whole = seconds(lambda: admitted.extend(gate.admit(data, 1) for data in messages))
    if not all(admitted):
        raise SystemExit(f"messages were refused: {gate.counts}")
    return {"whole": whole, **parts, "rest": max(0.0, whole - sum(parts.values()))}


def main() -> int:
    """Run one part; status 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--fuzz", type=int, metavar="MESSAGES")
    parser.add_argument("--alone", type=int, metavar="STEPS")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.fuzz:
        return attack(args.fuzz, args.seed)
    if args.alone:
        return solitude(args.alone)
    return throughput(args.messages, args.rounds)


def attack(count: int, seed: int) -> int:
    """Print what came of hostile messages; status 1 if a forgery was let in."""
    result = fuzz(count, seed)
    print(f"{count:,} messages, seed {seed}: no exception; forgeries let in: {result.forgeries}")
    print(f"sound messages that the attacker signed itself: {result.own:,} let in")
    print(f"most that waited {result.waiting_bytes:,} bytes; memory grew by {result.grown_bytes:,}")
    for name, number in result.reasons.most_common():
        print(f"  {name:15} {number:9,}")
    return 1 if result.forgeries else 0


def solitude(repeats: int) -> int:
    """Print what a node without peers costs; status 1 if it differs or takes too long."""
    with tempfile.TemporaryDirectory() as folder:
        line, equal = alone(repeats, Path(folder))
    print(table([line]))
    print(f"adapters after {repeats + 1} steps: {'equal' if equal else 'DIFFERENT'}")
    return 0 if equal and line.held else 1


def throughput(count: int, repeats: int) -> int:
    """Print the table; status 1 if the median is below the bar."""
    peers = [Identity(Ed25519PrivateKey.generate()) for _ in range(PEERS)]
    messages = [encode(group(n), peers[n % PEERS]) for n in range(count)]
    config = SwarmConfig(quota=count, max_peers=PEERS)
    rounds = [measure(messages, config) for _ in range(repeats)]
    rates = sorted(count / item["whole"] for item in rounds)
    rate = statistics.median(rates)
    size = statistics.mean(map(len, messages))
    print(f"{count} messages of {size:.0f} bytes, {repeats} rounds, processor time")
    print(f"messages a second   {rate:8,.0f}  ({rates[0]:,.0f} to {rates[-1]:,.0f})")
    print(f"rollouts a second   {rate * ANSWERS:8,.0f}  (bar {BAR:,.0f})")
    for part in list(rounds[0])[1:]:
        share = statistics.median(item[part] / item["whole"] for item in rounds)
        micro = 1e6 * statistics.median(item[part] for item in rounds) / count
        print(f"  {part:10} {100 * share:5.1f} %  {micro:7.1f} us a message")
    return 0 if rate * ANSWERS >= BAR else 1


if __name__ == "__main__":
    raise SystemExit(main())
