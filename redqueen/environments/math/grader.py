"""Whether answers agree with references: numbers here, everything else in worker processes.

A worker gets `SECONDS` of processor time for a question. If it takes longer, it is killed and the
answer is wrong, as with the graders' own timers. A machine that gives a worker no time is a failure
of ours.
"""

import importlib.util
import json
import queue
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from redqueen.closing import Closing
from redqueen.config.sandbox import SandboxConfig
from redqueen.environments.math.answers import near, number, tidy
from redqueen.errors import ConfigError

SECONDS = 5.0
"""Processor time for a question."""
PATIENCE = 60.0
"""Wall clock after which a worker counts as starved."""
START_SECONDS = 120.0
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Question:
    """Does `answer` agree with `reference`? Numbers may differ by `tolerance` times the reference,
    or by `absolute`."""

    reference: str
    answer: str
    tolerance: float = 0.0
    absolute: float = 0.0


class MathGrader(Closing):
    """Compares answers, in `config.workers` processes that start when they are first needed."""

    def __init__(self, config: SandboxConfig, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._free: queue.SimpleQueue[_Worker | None] = queue.SimpleQueue()
        for _ in range(config.workers):
            self._free.put(None)
        self._threads = ThreadPoolExecutor(config.workers, thread_name_prefix="maths")

    def judge(self, questions: Sequence[Question]) -> list[bool | None]:
        """Return for each question whether the answer agrees; None: the machine failed.

        Raises:
            ConfigError: math-verify is needed and not installed.
        """
        said: dict[Question, bool | None] = {q: _plainly(q) for q in dict.fromkeys(questions)}
        hard = [question for question, right in said.items() if right is None]
        if hard and importlib.util.find_spec("math_verify") is None:
            raise ConfigError(
                "answers in mathematics need math-verify: pip install 'redqueen[benchmarks]'"
            )
        said.update(zip(hard, self._threads.map(self._ask, hard), strict=True))
        return [said[question] for question in questions]

    def _ask(self, question: Question) -> bool | None:
        worker = self._free.get()
        keep: _Worker | None = None
        try:
            worker = worker or _Worker()
            right = worker.ask(question, self._seconds)
            keep = worker
        except TimeoutError:
            right = False
        except OSError:
            right = None
        finally:
            if worker is not None and keep is None:
                worker.close()
            self._free.put(keep)
        return right

    def close(self) -> None:
        """End all workers."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        while not self._free.empty():
            if (worker := self._free.get()) is not None:
                worker.close()


def _plainly(question: Question) -> bool | None:
    """Return the answer where both are the same text, or both are numbers; else None."""
    reference, answer = tidy(question.reference), tidy(question.answer)
    if reference == answer:
        return bool(reference)
    left, right = number(reference), number(answer)
    if left is None or right is None:
        return None
    return near(left, right, question.tolerance, question.absolute)


class _Worker:
    """One process that answers questions."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "redqueen.environments.math.worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, start_new_session=True,
        )  # fmt: skip
        # Its start is not the first question's affair.
        self._say(Question("x", "y"), START_SECONDS, START_SECONDS)

    def ask(self, question: Question, seconds: float) -> bool:
        """Return its word.

        Raises:
            TimeoutError: it took too much processor time.
            OSError: it was killed, or the machine gave it no time.
        """
        return self._say(question, seconds, PATIENCE)

    def _say(self, question: Question, seconds: float, patience: float) -> bool:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        clock = (~process.pid << 3) | 2  # the kernel's name for its processor time
        before, begun = time.clock_gettime(clock), time.monotonic()
        process.stdin.write(f"{json.dumps(asdict(question))}\n")
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
            return bool(json.loads(reply))
        if process.wait() == -signal.SIGKILL:
            raise OSError("a process was killed; is the machine out of memory?")
        raise TimeoutError("the answer brings its reader down")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()
