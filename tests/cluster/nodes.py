"""Ray nodes, each on a machine in a network of its own."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.swarm.namespaces import Machine, machines

ROOT = Path(__file__).parents[2]
PORT = 6379
RAY = [sys.executable, "-m", "ray.scripts.scripts"]
MIB = 1 << 20
TRIES = 3
"""Ray gives a node 30 seconds to start, which a busy machine may not keep."""


@dataclass(frozen=True)
class Cluster:
    """A head on the first machine; the second is there to lose."""

    head: Machine
    other: Machine
    folder: Path
    """Of Ray's files: sockets need a short path."""

    @property
    def address(self) -> str:
        return f"{self.head.address}:{PORT}"

    @property
    def environment(self) -> dict[str, str]:
        """Of all that runs on its nodes."""
        return os.environ | {
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.folder / "token"),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_worker_niceness": "0",
        }

    def start_node(self, machine: Machine) -> None:
        """Start Ray on a machine, with one core for engines."""
        place = [
            "--head", f"--port={PORT}", f"--temp-dir={self.folder}/ray", "--include-dashboard=false"
        ]  # fmt: skip
        if machine is self.other:
            place = [f"--address={self.address}"]
        words = [
            *RAY, "start", *place, f"--node-ip-address={machine.address}", "--num-cpus=1",
            f"--object-store-memory={100 * MIB}", "--disable-usage-stats",
        ]  # fmt: skip
        for _ in range(TRIES):
            started = subprocess.run(
                machine.command(words), env=self.environment, capture_output=True, text=True
            )
            if started.returncode == 0:
                return
            while kill(machine):
                time.sleep(0.1)
        raise AssertionError(started.stdout + started.stderr)

    def begin(self, folder: Path, module: str = "driver", **more: str) -> "subprocess.Popen[str]":
        """Begin a module of these tests on the head's machine: by default the run of
        `folder`/values.json."""
        words = [sys.executable, "-m", f"tests.cluster.{module}", "values.json", "run"]
        with (folder / "log.txt").open("w") as log:
            return subprocess.Popen(
                self.head.command(words),
                cwd=folder, env=self.environment | more, text=True, stdout=log, stderr=log,
            )  # fmt: skip


def processes(machine: Machine) -> dict[int, str]:
    """The processes of a machine, with their commands."""
    words = ["ip", "netns", "pids", machine.name]
    numbers = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    commands = {}
    for number in map(int, numbers):
        with suppress(FileNotFoundError, ProcessLookupError):
            commands[number] = Path(f"/proc/{number}/cmdline").read_text().replace("\0", " ")
    return commands


def kill(machine: Machine, what: str = "") -> int:
    """SIGKILL a machine's processes whose command begins with a path that holds `what`."""
    killed = 0
    for number, command in processes(machine).items():
        if what in command.partition(" ")[0]:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
                killed += 1
    return killed


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A head that is up, and a machine beside it; all is ended and removed."""
    folder = Path(tempfile.mkdtemp(prefix="rq", dir="/tmp"))
    try:
        (folder / "token").write_text("0123456789abcdef" * 4)
        with machines(2) as (head, other):
            made = Cluster(head, other, folder)
            try:
                made.start_node(head)
                yield made
            finally:
                for machine in (other, head):
                    while kill(machine):
                        time.sleep(0.1)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
