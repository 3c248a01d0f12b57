"""Worker processes that answer questions which may take any time or memory.

A question and its reply are JSON. A worker gets `seconds` of processor time for a question and a
limit of memory; past either it is killed, and its question ran away. A machine that gives a worker
no time is an infrastructure error.
"""

import json
import logging
import os
import queue
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from functools import partial
from typing import Any, Protocol

from redqueen.closing import Closing

PATIENCE = 60.0
"""Wall clock in seconds after which a worker counts as starved."""
START_SECONDS = 120.0
_LOOK_SECONDS = 0.1


class NoReply(Enum):
    """Why a question has no reply."""

    RAN_AWAY = "ran away"
    """It took too much time or memory: the question's fault."""
    LOST = "lost"
    """The machine killed or starved the worker: our failure."""


class Worker(Protocol):
    """What answers one question at a time."""

    def ask(self, question: Any, seconds: float, patience: float) -> Any:
        """Return the reply to a question.

        Raises:
            TimeoutError: it took more than `seconds` of processor time, or brought the worker down.
            OSError: the worker was killed, or had no time to run for `patience` seconds.
        """
        ...

    def close(self) -> None:
        """End it."""
        ...


class Pool(Closing):
    """`count` workers, made by `start` in a thread of the pool when they are first needed."""

    def __init__(
        self, start: Callable[[], Worker], count: int, seconds: float, name: str = "worker"
    ) -> None:
        self._start, self._seconds = start, seconds
        self._free: queue.SimpleQueue[Worker | None] = queue.SimpleQueue()
        for _ in range(count):
            self._free.put(None)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix=name)

    def ask(self, questions: Sequence[Any]) -> list[Any]:
        """Return the replies to JSON questions, or why there is none (`NoReply`)."""
        return list(self._threads.map(self._ask, questions))

    def _ask(self, question: Any) -> Any:
        worker = self._free.get()
        keep: Worker | None = None
        try:
            worker = worker or self._start()
            reply = worker.ask(question, self._seconds, PATIENCE)
            keep = worker
        except TimeoutError:
            reply = NoReply.RAN_AWAY
        except OSError:
            reply = NoReply.LOST
        finally:
            if worker is not None and keep is None:
                worker.close()
            self._free.put(keep)
        return reply

    def close(self) -> None:
        """End all workers."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        while not self._free.empty():
            if (worker := self._free.get()) is not None:
                worker.close()


class WorkerPool(Pool):
    """`count` processes of `python -m module`, which start when they are first needed."""

    def __init__(self, module: str, count: int, seconds: float) -> None:
        super().__init__(partial(_Process, module), count, seconds, module.split(".")[-2])


class Stopwatch:
    """Waits for a process to write, within `seconds` of its processor time."""

    def __init__(self, pid: int, seconds: float, patience: float) -> None:
        self._clock = (~pid << 3) | 2  # the kernel's name for its processor time
        self._end = time.clock_gettime(self._clock) + seconds
        self._patience = time.monotonic() + patience

    def wait(self, descriptor: int) -> None:
        """Return when there is something to read, or an end; raises as `Worker.ask` does."""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while not poll.poll(1000 * _LOOK_SECONDS):
            if time.clock_gettime(self._clock) > self._end:
                raise TimeoutError("a question took too much processor time")
            if time.monotonic() > self._patience:
                raise OSError("the machine gives a process of ours no time to run")


class _Process:
    """One process that answers questions; a `Worker`."""

    def __init__(self, module: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, start_new_session=True, env={**os.environ, "PYTHONHASHSEED": "0"},
        )  # fmt: skip
        self.ask(None, START_SECONDS, START_SECONDS)  # its start is not the first question's affair

    def ask(self, question: Any, seconds: float, patience: float) -> Any:
        """See `Worker.ask`."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        watch = Stopwatch(process.pid, seconds, patience)
        process.stdin.write(f"{json.dumps(question)}\n")
        process.stdin.flush()
        watch.wait(process.stdout.fileno())
        reply = process.stdout.readline()
        if reply:
            return json.loads(reply)
        if process.wait() == -signal.SIGKILL:
            raise OSError("a process was killed; is the machine out of memory?")
        raise TimeoutError("the question brings its reader down")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()


def serve(answer: Callable[[Any], Any], memory_bytes: int) -> None:
    """Answer the questions of a `WorkerPool` until its input ends; the main loop of a worker.

    Import what `answer` needs before: only the first question, None, has time for that.
    """
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    logging.disable(logging.WARNING)
    # Nothing that a library or a process of its own prints is an answer, and it reads no question.
    questions, out = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    for line in questions:
        question = json.loads(line)
        reply = None if question is None else answer(question)
        out.write(f"{json.dumps(reply)}\n")
        out.flush()
