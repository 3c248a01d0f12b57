"""Machines in a network of their own: namespaces of this one, on a switch that can be cut."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

REQUIRED = "REDQUEEN_REQUIRE_NETNS"
"""Environment variable: 1 makes a machine that permits no namespaces fail the tests."""
_SUBNET = "10.213.7"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def why_not() -> str:
    """Return why this machine permits no namespaces; empty: it does."""
    try:
        with machines(1):
            return ""
    except FileNotFoundError:
        return "there is no command `ip` (iproute2)"
    except subprocess.CalledProcessError as error:
        return f"`{' '.join(error.cmd)}` failed: {error.stderr.strip()}"


@dataclass(frozen=True)
class Machine:
    """One namespace with an address, and a cable to the switch."""

    name: str
    address: str
    switch: str
    cable: str

    def command(self, words: Sequence[str]) -> list[str]:
        """Return the command that runs `words` on it."""
        return ["ip", "netns", "exec", self.name, *words]

    def cut(self) -> None:
        """Take the cable out."""
        _ip("-n", self.switch, "link", "set", self.cable, "down")

    def mend(self) -> None:
        """Put the cable back."""
        _ip("-n", self.switch, "link", "set", self.cable, "up")


@contextmanager
def machines(count: int) -> Iterator[list[Machine]]:
    """Make machines that reach each other and nothing else; all is removed at the end.

    Raises:
        CalledProcessError, FileNotFoundError: not permitted here, or no `ip`.
    """
    mark = f"rq{os.getpid()}"
    switch, made = f"{mark}s", []
    try:
        _ip("netns", "add", switch)
        made.append(switch)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        ready = []
        for number in range(count):
            name, cable = f"{mark}n{number}", f"port{number}"
            machine = Machine(name, f"{_SUBNET}.{number + 1}", switch, cable)
            _ip("netns", "add", name)
            made.append(name)
            pair = ("type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("-n", switch, "link", "add", cable, *pair)
            _ip("-n", switch, "link", "set", cable, "master", "bridge", "up")
            _ip("-n", name, "addr", "add", f"{machine.address}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")
            ready.append(machine)
        yield ready
    finally:
        for name in reversed(made):
            _ip("netns", "del", name)
