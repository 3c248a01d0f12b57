"""Nodes that fail in every way that machines do, in network namespaces of this one.

    python -m bench.swarm_faults --minutes 20 --nodes 8
    python -m bench.swarm_faults --minutes 3 --nodes 3

Needs root and `ip`. Nodes are `redqueen swarm join` over zenoh, with tiny runs. A third joins late;
a third is killed (SIGKILL) and resumed; a third is cut off the network and mended; one is stopped
most of the time, one has a full disk for a while, one has a clock an hour ahead and one, of four
and more, an hour behind. At the end all are asked to stop (SIGTERM).

Exits 1 unless every node stops as it should, no step of any run lacks one of its own rollouts, and
every killed run, taken back by some steps and resumed without a network, comes to the very bytes
that it had come to before.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from redqueen.store import RunStore, load_exchanges
from tests.swarm.namespaces import Machine, machines, why_not
from tests.swarm.test_node import SMALL

ROOT = Path(__file__).parents[1]
STEPS = 1_000_000
KEYS = SMALL | {
    "steps": str(STEPS), "checkpoint_every": "1", "keep_checkpoints": "8",
    "learner.learning_rate_end": "1.0", "swarm.own": "4", "swarm.foreign": "4",
}  # fmt: skip
ROLLOUTS = int(KEYS["rollout.matches"]) * int(KEYS["rollout.tasks_per_match"]) * int(
    KEYS["rollout.attempts"]
)  # fmt: skip
"""Of a step."""
TAKEN_BACK = 3
"""Checkpoints that a killed run loses before it is resumed."""
LATE = 0.15
"""Share of the time after which the late join."""
DISK_MIB = 64
HOUR = 3600
STOPPED = 130
PATIENCE = 300.0
"""Seconds for one command of a loaded machine."""
LOG_CHARS = 2000
"""Of the end of a node's log, where something is wrong with it."""


@dataclass
class Node:
    """A run on a machine of its own."""

    number: int
    machine: Machine
    folder: Path
    peer: str
    """Address of the machine that it connects to."""
    skew: int = 0
    """Seconds by which its clock is ahead."""
    process: "subprocess.Popen[bytes] | None" = None
    faults: list[str] = field(default_factory=list)
    """What was done to it."""

    @property
    def run(self) -> Path:
        """The run's directory, on a disk of its own."""
        return self.folder / "disk" / "run"

    def begin(self, *words: str) -> "subprocess.Popen[bytes]":
        """Begin a command of ours on the machine."""
        paths = [str(ROOT)]
        if self.skew:
            (self.folder / "clock").mkdir(exist_ok=True)
            (self.folder / "clock" / "sitecustomize.py").write_text(
                f"import time\nreal = time.time\ntime.time = lambda: real() + {self.skew}\n"
            )
            paths.insert(0, str(self.folder / "clock"))
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
        command = self.machine.command([sys.executable, "-m", "redqueen.cli", *words])
        with (self.folder / "log.txt").open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log
            )

    def join(self) -> None:
        """Make an identity and join the others."""
        self.begin("swarm", "keygen").wait(PATIENCE)
        keys = KEYS | {"seed": str(self.number)}
        more = [word for key, value in keys.items() for word in (f"--{key}", value)]
        config = str(ROOT / "configs/rlvr.toml")
        place = f"tcp/{self.peer}:7447"
        self.process = self.begin("swarm", "join", place, config, "--out", str(self.run), *more)

    def resume(self) -> None:
        """Take up the run where it was."""
        self.process = self.begin("resume", str(self.run))

    def kill(self) -> None:
        """End it at once, and keep what it left."""
        if self.process is None or not self.checkpoints():
            raise SystemExit(f"node {self.number} has not come to a checkpoint yet; more minutes")
        self.process.kill()
        self.process.wait()
        shutil.copytree(self.run, self.folder / "killed")
        self.faults.append("killed")

    def checkpoints(self) -> list[Path]:
        """Return its checkpoints, the newest last."""
        return sorted((self.run / "checkpoints").glob("step-*"))


@contextmanager
def disk(node: Node) -> Iterator[Node]:
    """Give a node a small disk."""
    place = node.folder / "disk"
    place.mkdir(parents=True)
    options = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(place)]
    subprocess.run(options, check=True)
    try:
        yield node
    finally:
        subprocess.run(["umount", str(place)], check=True)


def fill(node: Node) -> None:
    """Fill a node's disk, and wait until its run has ended for want of space."""
    filler = node.folder / "disk" / "filler"
    with filler.open("wb") as file:
        free = shutil.disk_usage(filler.parent).free
        file.write(bytes(free))
    if node.process is not None and node.process.wait(PATIENCE) != 2:
        raise SystemExit(f"node {node.number} ended with {node.process.returncode}, not 2")
    node.faults.append("disk full")


def empty(node: Node) -> None:
    """Free a node's disk, and take up its run."""
    (node.folder / "disk" / "filler").unlink()
    node.resume()


def slow(node: Node, over: threading.Event) -> None:
    """Stop a node for two of every three seconds."""
    while not over.is_set() and node.process is not None and node.process.poll() is None:
        node.process.send_signal(signal.SIGSTOP)
        over.wait(2.0)
        node.process.send_signal(signal.SIGCONT)
        over.wait(1.0)


Event = tuple[float, Callable[[], None]]
"""When, as a share of the whole time, and what."""


def schedule(nodes: list[Node]) -> list[Event]:
    """Return what happens to whom, in the order of time."""
    early = [node for node in nodes if node.number % 3 != 2]
    late = [node for node in nodes if node.number % 3 == 2]
    killed = [node for node in nodes if node.number % 3 == 1]
    parted = [node for node in nodes if node.number % 3 == 0]
    full = nodes[0]
    for node in parted:
        node.faults.append("cut off")
    for node in late:
        node.faults.append("late")
    events: list[Event] = [(0.0, node.join) for node in early]
    events += [(LATE, node.join) for node in late]
    events += [(0.35, node.machine.cut) for node in parted]
    events += [(0.45, node.machine.mend) for node in parted]
    events += [(0.55, node.kill) for node in killed]
    events += [(0.6, node.resume) for node in killed]
    events += [(0.7, lambda: fill(full)), (0.75, lambda: empty(full))]
    return events


def play(nodes: list[Node], seconds: float) -> dict[int, int | None]:
    """Run the nodes through all of it; return how each ended."""
    begun, over = time.monotonic(), threading.Event()
    slowed: threading.Thread | None = None
    for share, event in schedule(nodes):
        time.sleep(max(0.0, begun + share * seconds - time.monotonic()))
        event()
        if slowed is None and (last := nodes[-1]).process is not None and share >= LATE:
            last.faults.append("slow")
            slowed = threading.Thread(target=slow, args=(last, over))
            slowed.start()
    time.sleep(max(0.0, begun + seconds - time.monotonic()))
    over.set()
    if slowed is not None:
        slowed.join()
    for node in nodes:
        if node.process is not None and node.process.poll() is None:
            node.process.send_signal(signal.SIGTERM)
    return {n.number: n.process.wait(PATIENCE) if n.process else None for n in nodes}


def steps_and_lost(node: Node) -> tuple[int, int]:
    """Return the steps of a run, and how many of its own rollouts they lack."""
    with RunStore.open(node.run, read_only=True) as store:
        rows = store.rows("SELECT step, count(*) FROM rollouts WHERE origin = '' GROUP BY step")
        last = store.rows("SELECT coalesce(max(step), 0) FROM steps")[0][0]
    return int(last), int(last) * ROLLOUTS - sum(int(row[1]) for row in rows)


def weights(checkpoint: Path) -> dict[str, bytes]:
    """Return the bytes of a checkpoint's tensors."""
    return {path.name: path.read_bytes() for path in checkpoint.glob("*.safetensors")}


def redone(node: Node) -> tuple[bool, int]:
    """Return whether the run that was killed, taken back and resumed, is what it was, and how many
    groups of others the steps that it did again learnt from."""
    run = node.folder / "killed"
    checkpoints = sorted((run / "checkpoints").glob("step-*"))
    if len(checkpoints) <= TAKEN_BACK:
        raise SystemExit(f"node {node.number} was killed at {checkpoints[-1].name}; more minutes")
    last = checkpoints[-1]
    before, step = weights(last), int(last.name.removeprefix("step-"))
    for checkpoint in checkpoints[-TAKEN_BACK:]:
        shutil.rmtree(checkpoint)
    node.machine.cut()
    ended = node.begin("resume", str(run), "--steps", str(step)).wait(PATIENCE)
    with RunStore.open(run, read_only=True) as store:
        again = load_exchanges(store, step - TAKEN_BACK, step).values()
    return ended == 0 and before == weights(last), sum(len(item.groups) for item in again)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a node."""

    ended: int | None
    steps: int
    lost: int
    """Own rollouts that its run lacks."""
    redone: tuple[bool, int] | None
    """See `redone`; None: it was not killed."""

    @property
    def is_right(self) -> bool:
        """Whether it stopped as it should, has worked, and nothing of it is lost or different."""
        same = self.redone is None or self.redone[0]
        return self.ended == STOPPED and self.steps > 0 and not self.lost and same


def describe(node: Node, outcome: Outcome) -> str:
    """Return a line about a node."""
    with RunStore.open(node.run, read_only=True) as store:
        exchanges = load_exchanges(store)
    groups = [group for item in exchanges.values() for group in item.groups]
    peers = len({group.origin for group in groups})
    faults = ", ".join(node.faults) or "no fault"
    if outcome.redone:
        same, drawn = outcome.redone
        faults += f"; {TAKEN_BACK} steps with {drawn} groups of others done again: "
        faults += "byte-equal" if same else "DIFFERENT"
    return (
        f"node {node.number}: {outcome.steps} steps, {len(groups)} groups of {peers} peers; "
        f"own rollouts lost {outcome.lost}; ended with {outcome.ended}; {faults}"
    )


def main() -> int:
    """Run the whole; print a line for each node."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--nodes", type=int, default=8)
    args = parser.parse_args()
    if reason := why_not():
        raise SystemExit(f"no namespaces here: {reason}")
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        network = stack.enter_context(machines(args.nodes))
        skews = {1: HOUR} | ({3: -HOUR} if args.nodes > 3 else {})
        nodes = [
            stack.enter_context(
                disk(
                    Node(
                        number,
                        machine,
                        home / f"node-{number}",
                        network[0 if number else 1].address,
                        skews.get(number, 0),
                        faults=["clock"] if number in skews else [],
                    )
                )
            )
            for number, machine in enumerate(network)
        ]
        try:
            ended = play(nodes, 60.0 * args.minutes)
        finally:
            for node in nodes:
                if node.process is not None and node.process.poll() is None:
                    node.process.kill()
                    node.process.wait()
                    print((node.folder / "log.txt").read_text()[-LOG_CHARS:], file=sys.stderr)
        right = True
        for node in nodes:
            again = redone(node) if "killed" in node.faults else None
            outcome = Outcome(ended[node.number], *steps_and_lost(node), again)
            right = right and outcome.is_right
            print(describe(node, outcome), flush=True)
            if not outcome.is_right:
                print((node.folder / "log.txt").read_text()[-LOG_CHARS:], file=sys.stderr)
    return 0 if right else 1


if __name__ == "__main__":
    raise SystemExit(main())
