"""The cpython backend: a pool of jails behind the interface of every sandbox."""

import marshal
import queue
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

from redqueen.closing import Closing
from redqueen.config import SandboxConfig
from redqueen.errors import InfrastructureError
from redqueen.sandbox.base import Call, Limits, Outcome, State
from redqueen.sandbox.cpython.inside.server import FAILED
from redqueen.sandbox.cpython.jail import IDLE, Answer, Guard, Jail, JailError, StarvedError
from redqueen.sandbox.cpython.outcomes import call_outcomes, ended_well, script_outcome
from redqueen.sandbox.script import Script, ScriptOutcome
from redqueen.sandbox.workers import WorkerThreads, refused

GRACE = 0.5
"""Seconds that a program may wait, for a lock say, beyond its limit."""
PRINT_BYTES = 65_537
"""What a call may print; printed text is dropped, more of it is an `output` outcome."""
SHARED_CALLS = 256
"""Most calls in one process."""
HASH_SEEDS = (0, 1)
"""Equal calls are there to show whether a program always does the same, so they go to jails whose
strings hash differently: what depends on the order of a set shows."""

_MIB = 1 << 20
_REPORT_BYTES = 4096
"""Room for a report besides its text."""


@dataclass(frozen=True, slots=True)
class _Job:
    """A request for a jail of one hash seed, and the seconds that it may take."""

    request: dict[str, Any]
    seed: int
    seconds: float


class CPythonSandbox(Closing):
    """Runs calls and scripts in `config.processes` jails of each hash seed.

    `patience` is for how many seconds the machine may give a request too little time, before it is
    tried again alone; then it is an `infra_error`.

    Raises:
        InfrastructureError: bubblewrap is missing or a jail cannot start.
    """

    python = "stdlib"

    @classmethod
    def start(cls, config: SandboxConfig) -> "CPythonSandbox":
        """Return the sandbox that `config` describes; see `Backend.start`."""
        return cls(config)

    def __init__(self, config: SandboxConfig, patience: float | None = None) -> None:
        self._limits = Limits.from_config(config)
        self._retries = config.retries
        self._workers = config.processes
        self._patience = patience
        self._threads = WorkerThreads(config.processes, "jail")
        self._jails: dict[int, queue.SimpleQueue[Jail | None]] = {}
        """By hash seed: those that are free, None for one that is not there yet."""
        for seed in HASH_SEEDS:
            self._jails[seed] = queue.SimpleQueue()
            for _ in range(config.processes):
                self._jails[seed].put(None)
        self._closed = False
        self.landlock = 0
        """Version of the kernel's Landlock that the jails use, 0 if it has none."""
        try:
            self._threads.spread(self._start, range(self._workers))
        except BaseException:
            self.close()
            raise

    def run(self, calls: Sequence[Call]) -> list[Outcome]:
        """See `Sandbox.run`. Calls of one program that keeps nothing (`State.NONE`) share a process
        and its processor time; if it does not end well, each of them runs again alone."""
        outcomes = refused(calls)
        seeds = _turns(calls, outcomes)
        groups = _groups(calls, seeds, outcomes)
        while groups:
            jobs = [self._job([calls[n] for n in group], seeds[group[0]]) for group in groups]
            again: list[list[int]] = []
            for group, answer in zip(groups, self._answers(jobs), strict=True):
                if len(group) > 1 and not ended_well(answer, PRINT_BYTES):
                    again += [[number] for number in group]
                else:
                    made = call_outcomes(answer, len(group), PRINT_BYTES)
                    outcomes.update(zip(group, made, strict=True))
            groups = again
        return [outcomes[number] for number in range(len(calls))]

    def run_scripts(self, scripts: Sequence[Script]) -> list[ScriptOutcome]:
        """Run whole programs; outcomes in their order. Bad code never makes it raise.

        Raises:
            InfrastructureError: the sandbox is closed.
        """
        answers = self._answers([self._script_job(script) for script in scripts])
        return [
            script_outcome(answer, script.max_output)
            for script, answer in zip(scripts, answers, strict=True)
        ]

    def close(self) -> None:
        """End all jails. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._threads.close()
        for free in self._jails.values():
            while not free.empty():
                jail = free.get()
                if jail is not None:
                    jail.close()

    # ── requests ────────────────────────────────────────────────────────────────────────────

    def _job(self, calls: Sequence[Call], seed: int) -> _Job:
        """The request that makes these calls of one program."""
        limits = self._limits
        request = {
            "code": calls[0].code,
            "function": calls[0].function,
            # Version 2 writes an object as often as it is met: what arguments share, they share
            # in no jail.
            "calls": [marshal.dumps(call.args, 2) for call in calls],
            "shared": calls[0].state is State.NONE,
            "recursion": limits.recursion,
            "chars": limits.output_chars,
            "report_bytes": len(calls) * (4 * limits.output_chars + _REPORT_BYTES),
            "print_bytes": PRINT_BYTES,
            "cpu": limits.seconds,
            "memory": int(limits.memory_mb * _MIB),
            "stdin": b"",
            "files": None,
        }
        return _Job(request, seed, limits.seconds)

    def _script_job(self, script: Script) -> _Job:
        seconds = self._limits.seconds if script.seconds is None else script.seconds
        memory = self._limits.memory_mb if script.memory_mb is None else script.memory_mb
        request = {
            "entry": script.entry,
            "files": {name: _bytes(text) for name, text in script.files.items()},
            "stdin": _bytes(script.stdin),
            "report_bytes": 0,
            "print_bytes": script.max_output + 1,
            "cpu": seconds,
            "memory": int(memory * _MIB),
        }
        return _Job(request, HASH_SEEDS[0], seconds)

    def _answers(self, jobs: Sequence[_Job]) -> list[Answer]:
        """The answers to all jobs: side by side, and then those that starved one by one."""
        if self._closed:
            raise InfrastructureError("the sandbox is closed; make a new one with make_sandbox")
        answers: dict[int, Answer] = {}
        starved: list[int] = []

        def work(number: int) -> None:
            try:
                answers[number] = self._ask(jobs[number])
            except StarvedError:
                starved.append(number)

        def work_alone(number: int) -> None:
            try:
                answers[number] = self._ask(jobs[number])
            except StarvedError as error:
                answers[number] = _failed(f"{error}, even alone")

        self._threads.spread(work, range(len(jobs)))
        for number in sorted(starved):
            self._threads.spread(work_alone, [number])
        return [answers[number] for number in range(len(jobs))]

    def _ask(self, job: _Job) -> Answer:
        """The answer to one job, after as many retries as it needs and is granted.

        Raises:
            StarvedError: the machine gave it too little time.
        """
        patience = 10 + 10 * job.seconds if self._patience is None else self._patience
        guard = Guard(job.seconds + GRACE, patience)
        answer = _failed("")
        for _ in range(self._retries + 1):
            free = self._jails[job.seed]
            jail = free.get()
            keep: Jail | None = None
            try:
                if jail is None:
                    jail = Jail(job.seed)
                answer = jail.ask(job.request, guard)
                if answer.how != IDLE:
                    keep = jail
            except (JailError, InfrastructureError) as error:
                answer = _failed(str(error))
            finally:
                free.put(keep)
            if answer.how != FAILED:
                break
        return answer

    def _start(self, _: int) -> None:
        """Start one jail more of the first hash seed."""
        # Here, in a thread of the pool: a jail dies with the thread that started it.
        free = self._jails[HASH_SEEDS[0]]
        slot = free.get()
        try:
            slot = Jail(HASH_SEEDS[0])
            self.landlock = slot.landlock
        finally:
            free.put(slot)


def _failed(message: str) -> Answer:
    return Answer(FAILED, 0, 0.0, message.encode(), b"", b"")


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")


def _turns(calls: Sequence[Call], refused: Container[int]) -> list[int]:
    """The hash seed for each call: equal calls take turns."""
    times: dict[tuple[str, str, bytes], int] = {}
    seeds = []
    for number, call in enumerate(calls):
        if number in refused:
            seeds.append(HASH_SEEDS[0])
            continue
        key = (call.code, call.function, marshal.dumps(call.args, 2))
        turn = times.get(key, 0)
        times[key] = turn + 1
        seeds.append(HASH_SEEDS[turn % len(HASH_SEEDS)])
    return seeds


def _groups(
    calls: Sequence[Call], seeds: Sequence[int], refused: Container[int]
) -> list[list[int]]:
    """The numbers of the calls, by the process that they share."""
    groups: list[list[int]] = []
    open_groups: dict[tuple[str, str, int], list[int]] = {}
    for number, call in enumerate(calls):
        if number in refused:
            continue
        if call.state is not State.NONE:
            groups.append([number])
            continue
        key = (call.code, call.function, seeds[number])
        group = open_groups.get(key)
        if group is None or len(group) == SHARED_CALLS:
            group = open_groups[key] = []
            groups.append(group)
        group.append(number)
    return groups
