"""The default backend: pydantic-monty, a Rust interpreter in a pool of worker processes.

Layers that keep untrusted code away from us:

1. The interpreter has no file system, network, environment or foreign code. It limits time,
   memory and recursion with errors that a program cannot catch.
2. A fixed runner program receives the untrusted code as a string, executes it in a namespace of
   its own, and turns the returned value into text there, after counting its size; so nothing big
   or strange is ever rebuilt in our process, and a program that redefines `repr`, `len` or `type`
   changes nothing but its own namespace. A session starts from nothing. It costs twenty times what
   a small call does, so all calls of one program share one, and so do programs that are known to
   keep nothing outside their namespaces (see `State`). One that keeps nothing there either is
   executed once for its calls, else once for each. If a session's calls do not end within their
   limits, each runs again alone. Equal calls never share a session: they are there to show
   whether a program always does the same.
3. Each interpreter is a process with an empty environment. When it dies it is replaced. When it
   hangs beyond its own limit, the pool kills it from outside after `GRACE` seconds.

A worker that dies costs a retry, since we cannot know who killed it; after `retries` the outcome
is `infra_error`. A worker that had to be killed for hanging is retried once, then `timeout`.
An endless loop ends after `seconds`; one step of the interpreter that outlasts its own limit (the
square of a huge integer) after 2 x (seconds + GRACE); nothing takes longer than
(retries + 1) x (seconds + GRACE). A session that its calls had to leave adds at most
SHARED_TIME x seconds + GRACE once.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import pydantic_monty

from redqueen.closing import Closing
from redqueen.config import SandboxConfig
from redqueen.errors import InfrastructureError
from redqueen.sandbox.base import (
    MESSAGE_CHARS,
    NOT_A_LITERAL,
    Call,
    Limits,
    Outcome,
    OutcomeKind,
    State,
    message_of,
)
from redqueen.sandbox.gaps import is_gap
from redqueen.sandbox.literals import (
    MAX_CHARS,
    MAX_DEPTH,
    canonical_repr,
)
from redqueen.sandbox.workers import WorkerThreads, refused

GRACE = 0.5
"""Seconds past the limit after which a hanging worker is killed from outside."""
PRINT_BYTES = 65_537
"""What a program may print; printed text is dropped, more of it is an `output` outcome."""
SHARED_CALLS = 1024
"""Most calls in one session."""
SHARED_TIME = 0.25
"""Share of one call's seconds that a session of several calls may take."""
_WORTH = 16
"""Calls that cost about as much as a session: fewer are not spread over workers."""

_CHECKOUT_SECONDS = 30.0
_CALLS_PER_WORKER = 5_000
_RUNNER_FRAMES = 4
"""Frames that the runner adds to a program's own depth."""
_LATE = "the time is used up"
_REMEDY = "pip install 'pydantic-monty>=1.4,<2', or point MONTY_BIN at its `monty` binary"

# Short on purpose: it is compiled for every session. It measures the value level by level, so that
# what it looks at stays within LIMIT items whatever sharing or cycles the value holds.
_RUNNER = """
def run(code, function, args, loaded):
    scope = loaded[0] if loaded else {'__name__': 'program'}
    try:
        if not loaded:
            exec(code, scope)
            loaded.append(scope)
        if function not in scope:
            return 'missing', '', function
        value = scope[function](*args)
    except BaseException as error:
        return 'raised', type(error).__name__, str(error)[:MESSAGE]
    size = depth = 0
    level = [value]
    while level:
        below = []
        for item in level:
            kind = type(item)
            if kind is int or kind is bool or item is None:
                continue
            if kind is str or kind is bytes:
                size += len(item)
            elif kind is list or kind is tuple or kind is dict or kind is set:
                size += len(item)
                if size > LIMIT or depth >= DEPTH:
                    return 'output', '', ''
                below.extend(item)
                if kind is dict:
                    below.extend(item.values())
            elif kind is not float and kind is not complex or item != item:
                return 'shape', '', kind.__name__
        if size > LIMIT:
            return 'output', '', ''
        level = below
        depth += 1
    try:
        text = repr(value)
    except ValueError:
        return 'output', '', ''
    return ('value', '', text) if len(text) <= LIMIT else ('output', '', '')
reports = []
for code, function, once, several in batch:
    kept = []
    for args in several:
        reports.append(run(code, function, args, kept if once else []))
reports
"""
_Report = tuple[str, str, str]
"""Status, exception's name, detail."""


class MontySandbox(Closing):
    """Runs calls on `config.processes` monty processes, one thread of ours for each.

    Raises:
        InfrastructureError: the workers cannot be started.
    """

    @classmethod
    def start(cls, config: SandboxConfig) -> "MontySandbox":
        """Return the sandbox that `config` describes; see `Backend.start`."""
        return cls(config)

    def __init__(self, config: SandboxConfig) -> None:
        limits = Limits.from_config(config)
        self._retries = config.retries
        self._workers = config.processes
        self._runner = _RUNNER.replace("LIMIT", str(min(limits.output_chars, MAX_CHARS)))
        self._runner = self._runner.replace("DEPTH", str(MAX_DEPTH))
        self._runner = self._runner.replace("MESSAGE", str(MESSAGE_CHARS))
        self._limits: pydantic_monty.ResourceLimits = {
            "max_feed_duration_secs": limits.seconds,
            "max_memory": int(limits.memory_mb * 2**20),
            "max_recursion_depth": limits.recursion + _RUNNER_FRAMES,
            "max_suspensions": 100,
            "max_total_sleep_secs": 0.0,
        }
        self._shared: pydantic_monty.ResourceLimits = {
            **self._limits,
            "max_feed_duration_secs": SHARED_TIME * limits.seconds,
        }
        self._stack = ExitStack()
        try:
            self._pool = self._stack.enter_context(
                pydantic_monty.Monty(
                    min_processes=config.processes,
                    max_processes=config.processes,
                    checkout_timeout=_CHECKOUT_SECONDS,
                    request_timeout=limits.seconds + GRACE,
                    max_checkouts_per_worker=_CALLS_PER_WORKER,
                    feed_duration_limit_grace=GRACE,
                )
            )
        except Exception as error:  # the library looks for its program in ways of its own
            raise InfrastructureError(
                f"the monty sandbox cannot start: {error}; {_REMEDY}"
            ) from error
        self._threads = WorkerThreads(config.processes, "sandbox")
        self._closed = False

    def run(self, calls: Sequence[Call]) -> list[Outcome]:
        """See `Sandbox.run`."""
        if self._closed:
            raise InfrastructureError("the sandbox is closed; make a new one with make_sandbox")
        outcomes = refused(calls)
        taken = [number for number in range(len(calls)) if number not in outcomes]
        again: list[int] = []

        def alone(number: int) -> None:
            outcomes[number] = self._call(calls[number])

        def together(numbers: Sequence[int]) -> None:
            if len(numbers) == 1:
                alone(numbers[0])
                return
            try:
                reports = self._session([calls[number] for number in numbers], self._shared)
            except Exception:
                again.extend(numbers)  # one met a limit, or a worker died: alone, each shows which
                return
            for number, report in zip(numbers, reports, strict=True):
                outcomes[number] = _outcome(*report)

        self._threads.spread(together, _sessions(calls, taken, self._workers))
        self._threads.spread(alone, again)
        return [outcomes[number] for number in range(len(calls))]

    def close(self) -> None:
        """End all worker processes. Safe to call twice."""
        if not self._closed:
            self._closed = True
            self._threads.close()
            self._stack.close()

    def _call(self, call: Call) -> Outcome:
        """One call with its retries."""
        failure, hangs = "", 0
        for _ in range(self._retries + 1):
            try:
                return self._attempt(call)
            except pydantic_monty.MontyCrashedError as error:
                failure, hangs = str(error), hangs + error.timed_out
                if hangs > 1:
                    return Outcome(OutcomeKind.TIMEOUT, message=_LATE)
            except (
                Exception
            ) as error:  # whatever it is, it is reported below and is not the program's
                failure = f"{type(error).__name__}: {error}"
        if hangs > self._retries:
            return Outcome(OutcomeKind.TIMEOUT, message=_LATE)
        return Outcome(OutcomeKind.INFRA_ERROR, message=message_of(failure))

    def _attempt(self, call: Call) -> Outcome:
        """One session for `call` alone. Raises what is not the program's doing."""
        try:
            return _outcome(*self._session([call], self._limits)[0])
        except pydantic_monty.MontyRuntimeError as error:
            outcome = _interrupted(error)
            if outcome is None:
                raise
            return outcome

    def _session(
        self, calls: Sequence[Call], limits: pydantic_monty.ResourceLimits
    ) -> list[_Report]:
        """One fresh session for all of `calls`."""
        batch: list[tuple[str, str, bool, list[tuple[Any, ...]]]] = []
        for call in calls:
            program = (call.code, call.function, call.state is State.NONE)
            if not batch or batch[-1][:3] != program:
                batch.append((*program, []))
            batch[-1][3].append(call.args)
        session = self._pool.checkout(
            limits=limits, assert_message_annotations=False, os_policy={"sleep": "zero"}
        )
        with session as worker:
            printed = pydantic_monty.CollectString(max_bytes=PRINT_BYTES)
            reports: list[_Report] = worker.feed_run(
                self._runner, inputs={"batch": batch}, print_callback=printed
            )
        return reports


def _sessions(calls: Sequence[Call], numbers: Sequence[int], workers: int) -> list[list[int]]:
    """The calls with these numbers, by the session that they share.

    Every second time that equal calls go to other sessions, their order is reversed, so that a
    program that shows an address does not find itself at the same one.
    """
    times: dict[tuple[str, str, str], int] = {}
    shared: dict[tuple[int, tuple[str, str] | None], list[int]] = {}
    for number in numbers:
        call = calls[number]
        key = (call.code, call.function, repr(call.args))
        turn = times.get(key, 0)
        times[key] = turn + 1
        owner = key[:2] if call.state is State.INTERPRETER else None
        shared.setdefault((turn, owner), []).append(number)
    sessions = []
    for (turn, _), members in shared.items():
        most = workers * SHARED_CALLS
        parts = -(-len(members) // most) * workers
        size = max(-(-len(members) // parts), _WORTH)
        ordered = members[:: -1 if turn % 2 else 1]
        sessions += [ordered[start : start + size] for start in range(0, len(ordered), size)]
    return sessions


def _interrupted(error: pydantic_monty.MontyRuntimeError) -> Outcome | None:
    """Outcome of an error that the runner could not catch, hence no program can forge.

    None when it is no limit and no gap of the interpreter: then the package is at fault.
    """
    name, message = type(error.exception()).__name__, error.display("msg")
    if name == "TimeoutError":
        return Outcome(OutcomeKind.TIMEOUT, message=_LATE)
    if name == "MemoryError":
        flooded = message.endswith(f"> {PRINT_BYTES} bytes")
        kind = OutcomeKind.OUTPUT if flooded else OutcomeKind.MEMORY
        return Outcome(kind, message="printed too much" if flooded else "out of memory")
    if name == "RuntimeError" and message.startswith("suspension limit"):
        return Outcome(OutcomeKind.UNSUPPORTED, message="too many requests to the outside")
    if message.startswith("Internal error in monty") or is_gap(name, message):
        return Outcome(OutcomeKind.UNSUPPORTED, message=message_of(f"{name}: {message}"))
    return None


def _outcome(status: str, exception: str, detail: str) -> Outcome:
    """Outcome of the runner's report."""
    if status == "value":
        text = canonical_repr(detail)
        if text is not None:
            return Outcome(OutcomeKind.VALUE, text)
    if status == "raised":
        kind = OutcomeKind.UNSUPPORTED if is_gap(exception, detail) else OutcomeKind.EXCEPTION
        name = exception if kind is OutcomeKind.EXCEPTION else ""
        prefix = "" if name else f"{exception}: "
        return Outcome(kind, exception=name, message=message_of(prefix + detail))
    if status == "missing":
        message = f"the program defines no {detail!r}"
        return Outcome(OutcomeKind.EXCEPTION, exception="NameError", message=message_of(message))
    if status == "output":
        return Outcome(OutcomeKind.OUTPUT, message="the returned value is too long or too deep")
    what = "nan" if detail == "float" else f"a value of type {detail}"
    message = f"the program returned {what}, which has no literal"
    return Outcome(OutcomeKind.EXCEPTION, exception=NOT_A_LITERAL, message=message_of(message))
