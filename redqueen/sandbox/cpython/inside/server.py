"""The jail's first process: it waits for requests and gives each a process of its own.

It is process 1 of its process namespace. It runs no untrusted code and reads nothing that
untrusted code wrote but bytes, which it passes on. When a request's process has ended, whatever
else runs in the namespace belongs to that request, and is killed.

A message is its length (4 bytes, big-endian) and its body. A request's body is marshalled; the
answer's is `ANSWER`, then the report, the standard output and the standard error.
"""

import gc
import marshal
import mmap
import os
import resource
import select
import signal
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from . import kernel, runner

ANSWER = struct.Struct("!BiQIII")
"""How it ended, exit status or minus the signal, microseconds of processor time; three lengths."""
ENDED, CPU, FAILED = range(3)
"""It ended by itself; we ended it for its processor time; we failed, and the report says why."""

SCRATCH = "/tmp"
SCRATCH_BYTES, SCRATCH_FILES = 32 << 20, 1024
_NONCE_BYTES = 16
_leave = os._exit
"""By a name that no program finds in a module."""
_HEADER = struct.Struct(f"!{_NONCE_BYTES}sI")
_LENGTH = struct.Struct("!I")
_LONGEST_WAIT = 0.05
"""Seconds between looks at a process' clock; threads spend more than the wall clock shows."""
_FAILURE_CHARS = 300
_LARGE = 1 << 16
"""Bytes of a request that show in the size of this process."""
_WARM = """
    abc bisect cmath collections.abc contextlib copy dataclasses datetime decimal enum fractions
    functools heapq io itertools json math numbers operator os queue random re statistics string
    threading time traceback types typing
"""
"""Modules that programs often import: here once, for all of them."""


class Server:
    """Answers requests, one after the other, until its input ends."""

    def __init__(self, setup: dict[str, Any], reader: int, writer: int) -> None:
        self._reader, self._writer = reader, writer
        self._cage = kernel.Cage(setup["filter"], setup["readable"])
        self._ready, self._begun = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._nothing = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        kernel.mount_scratch(SCRATCH, SCRATCH_BYTES, SCRATCH_FILES)
        kernel.unmount(SCRATCH)
        kernel.hide()

    def serve(self) -> None:
        """Answer requests until there are no more."""
        space, grown = kernel.address_space(), False
        _send(self._writer, f"ready {self._cage.landlock}".encode())
        while (body := _receive(self._reader)) is not None:
            request = marshal.loads(body)
            # A large request makes this process larger, and one after it finds it larger.
            if grown or len(body) > _LARGE:
                space, grown = kernel.address_space(), len(body) > _LARGE
            request["memory"] += space
            try:
                answer = self._answer(request)
            except OSError as error:
                answer = _failure(error)
            _send(self._writer, answer)

    def _answer(self, request: dict[str, Any]) -> bytes:
        scratch = request["files"] is not None
        if not scratch:
            return self._run(request)
        kernel.mount_scratch(SCRATCH, SCRATCH_BYTES, SCRATCH_FILES)
        try:
            _write_files(request["files"])
            return self._run(request)
        finally:
            kernel.unmount(SCRATCH)

    def _run(self, request: dict[str, Any]) -> bytes:
        """The answer to a request whose files are in place."""
        out, err = (os.memfd_create(name, os.MFD_CLOEXEC) for name in ("out", "err"))
        given = os.memfd_create("in", os.MFD_CLOEXEC) if request["stdin"] else self._nothing
        nonce = os.urandom(_NONCE_BYTES)
        board = mmap.mmap(-1, _HEADER.size + request["report_bytes"])
        try:
            if request["stdin"]:
                _write_all(given, request["stdin"])
                os.lseek(given, 0, os.SEEK_SET)
            pid = os.fork()
            if pid == 0:
                self._child(request, (given, out, err), nonce, board)
            how, status, usage = _wait(pid, request["cpu"])
            _end_all()
            if not self._has_begun():
                return _failure(OSError(0, f"the cage is not built: {_tail(err)}"))
            if how == ENDED and status == -signal.SIGKILL:
                # No program can do that (see `seccomp`), so the machine did: for want of memory.
                return _failure(OSError(0, "a process was killed; is the machine out of memory?"))
            report = _posted(board, nonce) if status == 0 else b""
            texts = [_content(item, request["print_bytes"]) for item in (out, err)]
            parts = [report, *texts]
            sizes = map(len, parts)
            spent = int(1e6 * (usage.ru_utime + usage.ru_stime))
            return ANSWER.pack(how, status, spent, *sizes) + b"".join(parts)
        finally:
            board.close()
            for item in {out, err, given} - {self._nothing}:
                os.close(item)

    def _child(
        self, request: dict[str, Any], streams: tuple[int, int, int], nonce: bytes, board: mmap.mmap
    ) -> NoReturn:
        """The request's process. It never returns."""
        status = 3
        try:
            self._enter(request, streams)
            if request["files"] is None:
                runner.report_calls(request, board, _HEADER.pack, nonce)
                status = 0
            else:
                status = runner.run_script(request)
        except BaseException as error:
            with suppress(BaseException):
                os.write(2, f"{type(error).__name__}: {error}"[:_FAILURE_CHARS].encode())
        finally:
            _leave(status)

    def _enter(self, request: dict[str, Any], streams: tuple[int, int, int]) -> None:
        for place, stream in enumerate(streams):
            os.dup2(stream, place)
        if request["files"] is not None:
            os.chdir(SCRATCH)
        seconds = int(request["cpu"]) + 2
        for name, value in (
            (resource.RLIMIT_AS, request["memory"]),
            (resource.RLIMIT_CPU, seconds),
            (resource.RLIMIT_FSIZE, request["print_bytes"]),
            (resource.RLIMIT_NOFILE, 64),
            (resource.RLIMIT_NPROC, 64),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_MEMLOCK, 0),
            (resource.RLIMIT_MSGQUEUE, 0),
            (resource.RLIMIT_SIGPENDING, 64),
        ):
            resource.setrlimit(name, (value, value))
        self._cage.enter([] if request["files"] is None else [SCRATCH], keep=self._begun)
        # No program's word: what failed before this is our failure, whatever comes after is not.
        os.write(self._begun, b"!")
        os.close(self._begun)

    def _has_begun(self) -> bool:
        with suppress(BlockingIOError):
            return os.read(self._ready, 1) == b"!"
        return False


def _wait(pid: int, limit: float) -> tuple[int, int, resource.struct_rusage]:
    """Wait for a process, or end it when it has had `limit` seconds of processor time."""
    clock = (~pid << 3) | 2  # the kernel's name for the processor time of a whole process
    how = ENDED
    handle = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        left = limit
        while not poll.poll(1000 * min(left, _LONGEST_WAIT) + 1):
            with suppress(OSError):
                left = limit - time.clock_gettime(clock)
            if left <= 0:
                how = CPU
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                break
    finally:
        os.close(handle)
    _, code, usage = os.wait4(pid, 0)
    spent = usage.ru_utime + usage.ru_stime
    return CPU if spent >= limit else how, os.waitstatus_to_exitcode(code), usage


def _end_all() -> None:
    """Kill every process of the namespace but this one, and wait until they are gone."""
    with suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with suppress(ChildProcessError):
        while True:
            os.wait()


def _posted(board: mmap.mmap, nonce: bytes) -> bytes:
    """The report on the board, if it is this request's; else nothing."""
    written, length = _HEADER.unpack(board[: _HEADER.size])
    return board[_HEADER.size : _HEADER.size + length] if written == nonce else b""


def _content(descriptor: int, limit: int) -> bytes:
    return os.pread(descriptor, limit, 0)


def _tail(descriptor: int) -> str:
    return _content(descriptor, _FAILURE_CHARS).decode("utf-8", "replace")


def _failure(error: OSError) -> bytes:
    text = str(error.strerror or error).encode()
    return ANSWER.pack(FAILED, 0, 0, len(text), 0, 0) + text


def _write_files(files: dict[str, bytes]) -> None:
    """Write a script's files; their names have been checked outside."""
    for name, content in files.items():
        path = os.path.join(SCRATCH, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _send(descriptor: int, body: bytes) -> None:
    _write_all(descriptor, _LENGTH.pack(len(body)) + body)


def _receive(descriptor: int) -> bytes | None:
    """The next message; None at the end of the input."""
    head = _read(descriptor, _LENGTH.size)
    return None if head is None else _read(descriptor, _LENGTH.unpack(head)[0])


def _read(descriptor: int, size: int) -> bytes | None:
    parts = []
    while size:
        part = os.read(descriptor, min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _warm_up() -> None:
    """Import what programs often import, and leave nothing of ours to be found by name.

    Of what these modules want done after a fork, which costs as much as the fork, only the new
    seed of `random` matters in a process that has had no threads.
    """
    register = os.register_at_fork
    os.register_at_fork = lambda **_hooks: None
    load: Callable[[str], object] = __import__
    for name in _WARM.split():
        load(name)
    load("site").setquit()  # type: ignore[attr-defined]
    os.register_at_fork = register
    register(after_in_child=sys.modules["random"].seed)
    for name in [*sys.modules]:
        if name.split(".")[0] in ("__main__", "inside", "ctypes", "_ctypes"):
            _HIDDEN.append(sys.modules.pop(name))
    sys.path[:] = [path for path in sys.path if not path.startswith("/jail")]


_HIDDEN: list[object] = []
"""Modules that programs do not find by name; kept, since we use them."""


def main() -> None:
    """Serve what comes on standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # process 1 is spared what it has no handler for
    reader, writer = os.dup(0), os.dup(1)
    nothing = os.open("/dev/null", os.O_RDWR)
    server = Server(marshal.loads(_receive(reader) or b""), reader, writer)
    _warm_up()
    for place in range(3):
        os.dup2(nothing, place)
    os.close(nothing)
    gc.collect()
    gc.freeze()
    server.serve()
    sys.exit(0)
