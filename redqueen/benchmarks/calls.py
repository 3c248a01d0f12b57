"""Calls of a model's function in the jail, many in one process, each with its end and its time."""

import marshal
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Literal, Protocol

from redqueen.sandbox import OutcomeKind
from redqueen.sandbox.script import Script, ScriptOutcome

START_SECONDS = 1.0
"""Processor time for starting: reading calls, executing the module."""
STRETCH = 3.0
"""Processor time after which calls that are not finished go on in a new process."""
MEMORY_MB = 2048.0
_LINE = 200
_CALLER = files("redqueen.benchmarks").joinpath("jailed/caller.py").read_bytes()


Report = Literal["value", "set", "not_none"]


class ScriptRunner(Protocol):
    """A jail for whole programs: `CPythonSandbox` is one."""

    def run_scripts(self, scripts: Sequence[Script]) -> list[ScriptOutcome]:
        """Run whole programs; outcomes in their order."""
        ...


@dataclass(frozen=True, slots=True)
class Calls:
    """One program, and the calls of one of its functions.

    `function` may be a method, `Solution.twoSum`: then the class is made without arguments.
    `seconds` is the processor time that each call may take.
    """

    program: str
    function: str
    arguments: Sequence[Sequence[Any]]
    seconds: Sequence[float]
    report: Report = "value"
    """The value; the set of its items; whether it is not None."""
    output_bytes: int = 1 << 22


@dataclass(frozen=True, slots=True)
class Ending:
    """How one call ended. `text` is a value's canonical literal, or an exception's name."""

    kind: Literal["value", "shape", "raised", "timeout", "stopped", "infra_error"]
    text: str = ""
    seconds: float = 0.0


@dataclass(slots=True)
class _Progress:
    calls: Calls
    made: list[Ending] = field(default_factory=list)
    limit: float = 0.0
    """Processor time in seconds of the process that goes on."""
    spent: float = 0.0
    over: bool = False

    def script(self) -> Script:
        calls = self.calls
        self.limit = START_SECONDS + max([STRETCH, *calls.seconds[len(self.made) :][:1]])
        rest = [tuple(args) for args in calls.arguments[len(self.made) :]]
        packed = marshal.dumps((calls.function, calls.report, rest), 2)
        files: dict[str, str | bytes] = {
            "main.py": _CALLER,
            "program.py": calls.program,
            "calls": packed,
        }
        return Script(files, max_output=calls.output_bytes, seconds=self.limit, memory_mb=MEMORY_MB)

    def take(self, outcome: ScriptOutcome, longest: float) -> None:
        """Add what a process made of the remaining calls."""
        if outcome.kind is OutcomeKind.INFRA_ERROR:
            self.made.append(Ending("infra_error", outcome.errors[:_LINE]))
            self.over = True
            return
        missing = len(self.calls.arguments) - len(self.made)
        lines = outcome.output.split("\n")[:-1][:missing]
        fresh = [_ending(line) for line in lines]
        self.made += fresh
        self.spent += self.limit
        if len(fresh) == missing:
            self.over = True
        elif outcome.kind is OutcomeKind.TIMEOUT:
            # The call that was cut off, or the module itself, has had what is left of the time.
            had = self.limit - START_SECONDS - sum(item.seconds for item in fresh)
            if had >= self.calls.seconds[len(self.made)] or not fresh or self.spent > longest:
                self.made.append(Ending("timeout"))
                self.over = True
        else:
            self.made.append(Ending("stopped", outcome.errors[-_LINE:]))
            self.over = True


def run_calls(
    jail: ScriptRunner, jobs: Sequence[Calls], longest: float = 60.0
) -> list[list[Ending]]:
    """Return the endings of each job's calls, in order.

    A job whose process dies, or one of whose calls takes too long, ends with that call. So a list
    is shorter than the arguments just when its last ending is `timeout`, `stopped` or
    `infra_error`. `longest` is the processor time in seconds that a job may take.
    """
    jobs_left = [_Progress(job) for job in jobs]
    everything = list(jobs_left)
    while jobs_left:
        outcomes = jail.run_scripts([progress.script() for progress in jobs_left])
        for progress, outcome in zip(jobs_left, outcomes, strict=True):
            progress.take(outcome, longest)
        jobs_left = [progress for progress in jobs_left if not progress.over]
    return [progress.made for progress in everything]


def _ending(line: str) -> Ending:
    """Return what a line says; the program may have written it."""
    seconds, _, rest = line.partition(" ")
    kind, _, text = rest.partition(" ")
    try:
        took = float(seconds)
    except ValueError:
        took = 0.0
    if kind == "value":
        return Ending("value", text, took)
    return Ending("raised" if kind == "raised" else "shape", text[:_LINE], took)
