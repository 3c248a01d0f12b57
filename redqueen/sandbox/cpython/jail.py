"""One jail from outside: it starts a server in bubblewrap, asks it, and watches the wall clock."""

import itertools
import json
import marshal
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redqueen.errors import InfrastructureError
from redqueen.sandbox.cpython.command import INSTALL, find_bubblewrap, jail_command, readable_paths
from redqueen.sandbox.cpython.inside.server import ANSWER
from redqueen.sandbox.cpython.seccomp import filter_program
from redqueen.sandbox.cpython.watch import IdleWatch

START_SECONDS = 60.0
IDLE = 3
"""How a request ended, beside what `inside.server` has: it did nothing for too long."""
_LENGTH_BYTES = 4
_MOST_BYTES = 1 << 28
"""No answer is longer; a server that says otherwise has lost its mind."""
_LOOK_SECONDS = 0.05
_CLOSE_SECONDS = 10.0


class JailError(Exception):
    """The jail broke: its server died, or said something that makes no sense."""


class StarvedError(Exception):
    """A request had its wall clock and neither ended nor had its processor time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says of a request; `how` and the lengths are explained in `inside.server`."""

    how: int
    status: int
    seconds: float
    report: bytes
    output: bytes
    errors: bytes


@dataclass(frozen=True, slots=True)
class Guard:
    """Wall-clock seconds: `idle` that a program may wait instead of running, `patience` until a
    request counts as starved."""

    idle: float
    patience: float


class Jail:
    """A server in a jail, and its pipes. Used by one thread at a time.

    Raises:
        InfrastructureError: it does not start; the message says why and what helps.
    """

    def __init__(self, hash_seed: int) -> None:
        told, info = os.pipe()
        try:
            command = jail_command(find_bubblewrap(), hash_seed, info)
            # A session of its own: Ctrl-C is for us, who close the jail in our own time.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                pass_fds=[info], env={}, start_new_session=True, bufsize=0,
            )  # fmt: skip
        except OSError as error:
            os.close(told)
            raise InfrastructureError(f"bubblewrap cannot start: {error}") from error
        finally:
            os.close(info)
        with open(told, encoding="utf-8") as file:
            said = file.read() if _readable(told, START_SECONDS) else ""
        self._handle = -1
        setup = {"filter": filter_program(), "readable": readable_paths()}
        try:
            self._server = int(json.loads(said)["child-pid"])
            self._handle = os.pidfd_open(self._server)
            self._send(marshal.dumps(setup))
            hello = self._receive(time.monotonic() + START_SECONDS, None)
            self.landlock = int(hello.removeprefix(b"ready "))
        except (JailError, StarvedError, ValueError, OSError) as error:
            raise InfrastructureError(self._why_not()) from error

    def _why_not(self) -> str:
        """Why it did not start, from what bubblewrap and the server wrote; ends both."""
        self._process.kill()
        pipe = self._process.stderr
        lines = pipe.read().decode("utf-8", "replace").strip().splitlines() if pipe else []
        self.kill()
        return (
            f"the cpython sandbox cannot start: {lines[-1] if lines else 'its server is silent'}; "
            "it needs bubblewrap with user namespaces (sysctl user.max_user_namespaces, "
            f"kernel.apparmor_restrict_unprivileged_userns), seccomp and Linux 5.4; {INSTALL}; "
            "or set sandbox.backend = 'monty'"
        )

    def ask(self, request: Mapping[str, Any], guard: Guard) -> Answer:
        """The server's answer, or `IDLE` if the program waited for longer than the guard allows.

        After `IDLE` or an exception the jail is of no more use, and killed.

        Raises:
            JailError: the jail broke.
            StarvedError: the machine gave it too little time.
        """
        try:
            self._send(marshal.dumps(dict(request)))
            body = self._receive(time.monotonic() + guard.patience, guard)
            return _parse(body)
        except _IdleError:
            self.kill()
            return Answer(IDLE, 0, 0.0, b"", b"", b"")
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End the jail with all that runs in it. Safe to call twice."""
        # With the server, process 1, its whole namespace dies; bubblewrap buries it and ends.
        if self._handle >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            os.close(self._handle)
            self._handle = -1
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_CLOSE_SECONDS)
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def close(self) -> None:
        """End the jail when its server has nothing to do."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_CLOSE_SECONDS)
        self.kill()

    def _send(self, body: bytes) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        view = memoryview(len(body).to_bytes(_LENGTH_BYTES, "big") + body)
        try:
            while view:
                view = view[pipe.write(view) or 0 :]
        except OSError as error:
            raise JailError(f"the jail's server is gone: {error}") from error

    def _receive(self, deadline: float, guard: Guard | None) -> bytes:
        size = int.from_bytes(self._read(_LENGTH_BYTES, deadline, guard), "big")
        if size > _MOST_BYTES:
            raise JailError(f"the jail's server announced {size} bytes")
        return self._read(size, deadline, guard)

    def _read(self, size: int, deadline: float, guard: Guard | None) -> bytes:
        pipe = self._process.stdout
        assert pipe is not None
        watch = IdleWatch(self._server)
        parts = []
        while size:
            while not _readable(pipe.fileno(), _LOOK_SECONDS):
                if guard is not None and watch.look() > guard.idle:
                    raise _IdleError
                if time.monotonic() > deadline:
                    raise StarvedError("the machine gives a process of ours no time to run")
            part = os.read(pipe.fileno(), min(size, 1 << 20))
            if not part:
                raise JailError("the jail's server died")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def _readable(descriptor: int, seconds: float) -> bool:
    """Whether there is something to read, or an end, within so many seconds."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(1000 * seconds))


class _IdleError(Exception):
    """The program waits for what never comes."""


def _parse(body: bytes) -> Answer:
    if len(body) < ANSWER.size:
        raise JailError("the jail's answer is cut short")
    how, status, micros, *sizes = ANSWER.unpack_from(body)
    if len(body) != ANSWER.size + sum(sizes):
        raise JailError("the jail's answer has the wrong length")
    ends = [ANSWER.size + sum(sizes[:count]) for count in range(4)]
    report, output, errors = (body[a:b] for a, b in itertools.pairwise(ends))
    return Answer(how, status, micros / 1e6, report, output, errors)
