"""One REPL process and its protocol: JSON each way, each followed by a blank line.

What a question may cost is limited: processor time, memory, the length of a reply. A question that
goes past a limit, or brings the REPL down, ran away (TimeoutError). What is no reply at all, or a
process that the machine killed or starved, is an infrastructure error (OSError).
"""

import json
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redqueen.environments.workers import Stopwatch

MOST_BYTES = 1 << 20
"""Of a reply."""
START_SECONDS = 30.0
CLOSE_SECONDS = 5.0
UNKNOWN = "Unknown environment."
"""What the REPL says of a number that it never gave out."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the REPL says of a command."""

    env: int | None
    """The number of the environment after it; None: the command raised."""
    messages: tuple[tuple[str, str], ...]
    """(severity, text) of each."""
    sorries: int = 0

    def texts(self, severity: str) -> list[str]:
        """Return the messages of a severity: `error`, `warning`, `info`."""
        return [text for said, text in self.messages if said == severity]


class Repl:
    """A REPL that `command(info)` starts; used by one thread, in which it was made.

    `info` is the number of a descriptor to which the started program writes JSON with the process
    id of the REPL, as bubblewrap's `--info-fd` does. Data of more than `memory_mb` end the REPL.

    Raises:
        OSError: it does not start.
    """

    def __init__(self, command: Callable[[int], Sequence[str]], memory_mb: float) -> None:
        told, info = os.pipe()
        try:
            self._process = subprocess.Popen(
                command(info),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                pass_fds=[info], env={}, start_new_session=True, bufsize=0,
            )  # fmt: skip
        except BaseException:
            os.close(told)
            raise
        finally:
            os.close(info)
        try:
            with open(told, encoding="utf-8") as file:
                Stopwatch(self._process.pid, START_SECONDS, START_SECONDS).wait(told)
                self._pid = int(json.loads(file.read())["child-pid"])
            most = int(memory_mb * (1 << 20))
            # Not the address space: Lean maps the files of its modules.
            resource.prlimit(self._pid, resource.RLIMIT_DATA, (most, most))
            resource.prlimit(self._pid, resource.RLIMIT_CORE, (0, 0))
        except (ValueError, KeyError, TypeError, OSError) as error:
            self.close()
            raise OSError(f"the REPL does not start: {error}") from error

    def run(self, code: str, env: int | None, seconds: float, patience: float) -> Reply:
        """Return what the REPL says of Lean code in an environment; None: a fresh one.

        Raises:
            TimeoutError, OSError: see the module, and `Worker.ask`.
        """
        question = {"cmd": code} if env is None else {"cmd": code, "env": env}
        return _reply(self._ask(question, Stopwatch(self._pid, seconds, patience)))

    def _ask(self, question: Mapping[str, Any], watch: Stopwatch) -> Any:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        view = memoryview(json.dumps(question).encode() + b"\n\n")
        while view:
            view = view[process.stdin.write(view) or 0 :]
        said = bytearray()
        while not said.endswith(b"\n\n") or not said.strip():
            watch.wait(process.stdout.fileno())
            part = os.read(process.stdout.fileno(), 1 << 16)
            said += part
            if not part:
                self._raise_end()
            if len(said) > MOST_BYTES:
                raise TimeoutError("a reply without end")
        try:
            return json.loads(said)
        except (ValueError, RecursionError) as error:
            raise OSError(f"the REPL says what is no JSON: {bytes(said[:100])!r}") from error

    def _raise_end(self) -> None:
        status = self._process.wait()
        if status in (-signal.SIGKILL, 128 + signal.SIGKILL):  # the latter is bubblewrap's word
            raise OSError("the REPL was killed; is the machine out of memory?")
        raise TimeoutError("the question brings the REPL down")

    def close(self) -> None:
        """End the process."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def _reply(said: Any) -> Reply:
    """Return a reply of the protocol (the REPL's file REPL/JSON.lean).

    Raises:
        OSError: it is none.
    """
    match said:
        case {"message": str(text)} if text != UNKNOWN:
            return Reply(None, (("error", text),))
        case {"env": int(env)}:
            with suppress(TypeError, KeyError):
                messages = [(m["severity"], m["data"]) for m in said.get("messages", ())]
                if all(isinstance(item, str) for pair in messages for item in pair):
                    return Reply(env, tuple(messages), len(said.get("sorries", ())))
    raise OSError(f"the REPL says what is no reply: {str(said)[:100]}")
