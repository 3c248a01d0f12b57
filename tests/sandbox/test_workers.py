"""Worker processes that die, hang, or cannot start."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from pydantic import ValidationError

from redqueen.config import SandboxConfig
from redqueen.errors import ConfigError, InfrastructureError
from redqueen.sandbox import Call, OutcomeKind, Sandbox, make_sandbox
from redqueen.sandbox.monty import GRACE

from .hostile import SLACK, worst

SPIN = "def f(n):\n    x = 0\n    for i in range(n): x += i\n    return x\n"
ONE = Call("def f(): return 1", "f")


def workers() -> set[int]:
    """Process ids of our monty children, zombies included."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = status.read_text().rsplit(")", 1)
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(rest.split()[1]) == os.getpid() and name.endswith("(monty"):
            found.add(int(status.parent.name))
    return found


def stop(pid: int) -> None:
    """SIGSTOP `pid` and wait until each of its threads stands still; the signal alone returns
    sooner, and on a busy machine the worker may still answer a call."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + 10
    while {
        status.read_text().rsplit(")", 1)[1].split()[0]
        for status in Path(f"/proc/{pid}/task").glob("*/stat")
    } != {"T"}:
        assert time.monotonic() < deadline, f"process {pid} does not stop"
        time.sleep(0.001)


@contextmanager
def assassin(
    victims: set[int] | None, sign: signal.Signals, after: float, every: float | None = None
) -> Iterator[set[int]]:
    """Send `sign` after `after` seconds, once or on and on, to `victims` (None: any worker)."""
    stop, hit = threading.Event(), set[int]()

    def strike() -> None:
        stop.wait(after)
        while not stop.is_set():
            for pid in workers() if victims is None else victims:
                with suppress(ProcessLookupError):
                    os.kill(pid, sign)
                    hit.add(pid)
            if every is None:
                return
            stop.wait(every)

    thread = threading.Thread(target=strike)
    thread.start()
    try:
        yield hit
    finally:
        stop.set()
        thread.join()


@contextmanager
def fresh(config: SandboxConfig) -> Iterator[tuple[Sandbox, set[int]]]:
    """A sandbox of its own with the ids of its first workers."""
    before = workers()
    with make_sandbox(config) as sandbox:
        yield sandbox, workers() - before
    assert workers() - before == set(), "no worker may outlive its sandbox, not even as a zombie"


def test_workers_start_with_the_sandbox_and_end_with_it() -> None:
    before = workers()
    sandbox = make_sandbox(SandboxConfig(workers=3))
    born = workers() - before
    assert len(born) == 3
    assert all(Path(f"/proc/{pid}/environ").read_bytes() == b"" for pid in born)
    sandbox.run([ONE] * 20)
    sandbox.close()
    sandbox.close()
    assert workers() - before == set()
    with pytest.raises(InfrastructureError, match="closed"):
        sandbox.run([ONE])


def test_no_worker_is_left_after_crashes_and_limits() -> None:
    calls = [Call("def f(): return [0] * 10**9", "f"), Call("def f():\n while 1: pass", "f"), ONE]
    with (
        fresh(SandboxConfig(seconds=0.1)) as (sandbox, pids),
        assassin(pids, signal.SIGKILL, 0.05) as hit,
    ):
        sandbox.run(calls * 2)
    assert hit


def test_killed_workers_are_replaced_and_the_batch_finishes() -> None:
    sizes = range(20_000, 20_040)
    expected = [str(n * (n - 1) // 2) for n in sizes]
    calls = [Call(SPIN, "f", (n,)) for n in sizes]
    with fresh(SandboxConfig(seconds=5)) as (sandbox, pids):
        with assassin(pids, signal.SIGKILL, 0.02) as hit:
            outcomes = sandbox.run(calls)
        assert hit == pids, "the workers must have been alive when they were killed"
        assert [outcome.text for outcome in outcomes] == expected
        assert not pids & workers()
        assert [outcome.text for outcome in sandbox.run(calls[:3])] == expected[:3]


def test_workers_that_die_every_time_are_an_infrastructure_error_then_work_again() -> None:
    with fresh(SandboxConfig(seconds=5, retries=1)) as (sandbox, _):
        with assassin(None, signal.SIGKILL, 0.0, every=0.005):
            [outcome] = sandbox.run([Call(SPIN, "f", (10**9,))])
        assert outcome.kind is OutcomeKind.INFRA_ERROR
        assert "SIGKILL" in outcome.message
        assert sandbox.run([ONE])[0].text == "1"


def test_a_stuck_worker_is_killed_from_outside_and_its_call_tried_again() -> None:
    with fresh(SandboxConfig(seconds=0.5, workers=1)) as (sandbox, pids):
        (pid,) = pids
        stop(pid)
        start = time.monotonic()
        [outcome] = sandbox.run([ONE])
        assert outcome.text == "1"
        assert time.monotonic() - start < 0.5 + GRACE + SLACK
        assert pid not in workers()


def test_workers_that_hang_every_time_are_a_timeout() -> None:
    with fresh(SandboxConfig(seconds=0.2, workers=1, retries=9)) as (sandbox, _):
        start = time.monotonic()
        with assassin(None, signal.SIGSTOP, 0.0, every=0.01):
            [outcome] = sandbox.run([Call(SPIN, "f", (10**9,))])
        assert outcome.kind is OutcomeKind.TIMEOUT
        assert time.monotonic() - start < worst(0.2)
        assert sandbox.run([ONE])[0].text == "1"


def test_a_missing_worker_binary_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONTY_BIN", "/nonexistent/monty")
    with pytest.raises(InfrastructureError, match="pip install 'pydantic-monty"):
        make_sandbox(SandboxConfig())


def test_a_missing_package_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redqueen.sandbox.auto", None)
    with pytest.raises(ConfigError, match="sandbox 'monty' cannot be imported"):
        make_sandbox(SandboxConfig())


def test_an_unknown_backend_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValidationError, match="unknown sandbox 'mnty'; did you mean 'monty'"):
        SandboxConfig(backend="mnty")
