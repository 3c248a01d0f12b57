"""Worker processes that answer questions which may take any time or memory.

A question and its reply are JSON. A worker gets `seconds` of processor time for a question and a
limit of memory; past either it is killed, and its question ran away. A machine that gives a worker
no time is a failure of ours.
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
from typing import Any

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


class WorkerPool(Closing):
    """`count` processes of `python -m module`, which start when they are first needed."""

    def __init__(self, module: str, count: int, seconds: float) -> None:
        self._module, self._seconds = module, seconds
        self._free: queue.SimpleQueue[_Worker | None] = queue.SimpleQueue()
        for _ in range(count):
            self._free.put(None)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix=module.split(".")[-2])

    def ask(self, questions: Sequence[Any]) -> list[Any]:
        """Return the replies to JSON questions, or why there is none (`NoReply`)."""
        return list(self._threads.map(self._ask, questions))

    def _ask(self, question: Any) -> Any:
        worker = self._free.get()
        keep: _Worker | None = None
        try:
            worker = worker or _Worker(self._module)
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


class _Worker:
    """One process that answers questions."""

    def __init__(self, module: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, start_new_session=True, env={**os.environ, "PYTHONHASHSEED": "0"},
        )  # fmt: skip
        self.ask(None, START_SECONDS, START_SECONDS)  # its start is not the first question's affair

    def ask(self, question: Any, seconds: float, patience: float) -> Any:
        """Return the reply to a question.

        Raises:
            TimeoutError: it took too much processor time, or brought the process down.
            OSError: the process was killed, or the machine gave it no time.
        """
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        clock = (~process.pid << 3) | 2  # the kernel's name for its processor time
        before, begun = time.clock_gettime(clock), time.monotonic()
        process.stdin.write(f"{json.dumps(question)}\n")
        process.stdin.flush()
        poll = select.poll()
        poll.register(process.stdout, select.POLLIN)
        while not poll.poll(1000 * _LOOK_SECONDS):
            if time.clock_gettime(clock) - before > seconds:
                raise TimeoutError
            if time.monotonic() - begun > patience:
                raise OSError("the machine gives a process of ours no time to run")
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
    out = os.fdopen(os.dup(1), "w")
    sys.stdout = sys.stderr  # nothing that a library prints is an answer
    for line in sys.stdin:
        question = json.loads(line)
        reply = None if question is None else answer(question)
        out.write(f"{json.dumps(reply)}\n")
        out.flush()
