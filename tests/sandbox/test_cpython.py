"""The cpython backend against this process' own Python, and what holds its jails together."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redqueen.config import SandboxConfig
from redqueen.errors import InfrastructureError
from redqueen.sandbox import (
    NOT_A_LITERAL,
    Call,
    OutcomeKind,
    State,
    make_sandbox,
    render_literal,
)
from redqueen.sandbox.cpython import CPythonSandbox
from redqueen.sandbox.cpython.inside.runner import pack
from redqueen.sandbox.cpython.inside.server import ENDED
from redqueen.sandbox.cpython.jail import Answer
from redqueen.sandbox.cpython.outcomes import call_outcomes

from .test_literals import PLAIN, nest
from .test_monty import PROGRAMS, UNSUPPORTED, cpython

ONE = Call("def f(): return 1", "f")
SPIN = "def f(n):\n    x = 0\n    for i in range(n): x += i\n    return x\n"


def descendants() -> set[int]:
    """Process ids of all that runs below this process, zombies included."""
    return {process.pid for process in psutil.Process().children(recursive=True)}


# ── truth ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [*PROGRAMS, *UNSUPPORTED])
def test_programs_end_as_in_this_process(jail: CPythonSandbox, name: str) -> None:
    code = PROGRAMS.get(name) or UNSUPPORTED[name]
    [outcome] = jail.run([Call(code, "f")])
    if name == "environment":
        assert outcome.text == "'/tmp'"
        return
    kind, what = cpython(code)
    assert (outcome.kind.value, outcome.text or outcome.exception) == (kind, what), outcome


@settings(max_examples=40, deadline=None)
@given(st.lists(PLAIN, max_size=3).map(tuple))
def test_arguments_and_values_cross_unchanged(
    jail: CPythonSandbox, values: tuple[Any, ...]
) -> None:
    [outcome] = jail.run([Call("def f(*args): return args", "f", values)])
    assert outcome.text == render_literal(values), outcome


def test_what_arguments_share_is_shared_in_no_jail(jail: CPythonSandbox) -> None:
    shared = [1]
    call = Call("def f(a, b):\n    a.append(2)\n    return a, b, b is a", "f", (shared, shared))
    assert jail.run([call])[0].text == "([1, 2], [1], False)"
    assert shared == [1]


@pytest.mark.parametrize(
    "value",
    [nest(65), 10**5000, "\ud800", ..., float("nan")],
    ids=["deep", "huge", "surrogate", "ellipsis", "nan"],
)
def test_arguments_without_a_literal_are_refused(jail: CPythonSandbox, value: object) -> None:
    [outcome] = jail.run([Call("def f(x): return 1", "f", (value,))])
    assert outcome.kind is OutcomeKind.UNSUPPORTED
    assert outcome.message.startswith("argument: ")


@pytest.mark.parametrize("name", ["f()", "f(1); f", "code", "print", "", "f\n", "__name__x", "run"])
def test_function_names_are_data(jail: CPythonSandbox, name: str) -> None:
    [outcome] = jail.run([Call("def f(x=1): return x", name)])
    assert (outcome.kind, outcome.exception) == (OutcomeKind.EXCEPTION, "NameError")


def test_the_standard_library_is_there_and_nothing_else(jail: CPythonSandbox) -> None:
    code = "def f(name):\n    import importlib\n    return importlib.import_module(name).__name__"
    names = [
        "sqlite3",
        "ssl",
        "lzma",
        "decimal",
        "xml.dom",
        "asyncio",
        "numpy",
        "redqueen",
        "torch",
    ]
    outcomes = jail.run([Call(code, "f", (name,)) for name in names])
    assert [o.text.strip("'") or o.exception for o in outcomes[:6]] == names[:6]
    assert {outcome.exception for outcome in outcomes[6:]} == {"ModuleNotFoundError"}


def test_generators_and_recursion_are_those_of_cpython(jail: CPythonSandbox) -> None:
    code = "def f(n):\n    m = map(abs, [-1, n])\n    return sum(m), sum(m), round(2.675, 2)"
    deep = "def f(n): return 0 if n == 0 else f(n - 1)"
    first, fine, deeper = jail.run(
        [Call(code, "f", (2,)), Call(deep, "f", (190,)), Call(deep, "f", (300,))]
    )
    assert first.text == "(3, 0, 2.67)"
    assert fine.text == "0"
    assert (deeper.kind, deeper.exception) == (OutcomeKind.EXCEPTION, "RecursionError")


# ── state and determinism ───────────────────────────────────────────────────────────────────────


def test_every_call_starts_fresh_and_shares_only_what_it_may(jail: CPythonSandbox) -> None:
    keep = "n = []\ndef f(x):\n    n.append(x)\n    return n"
    alone = jail.run([Call(keep, "f", (x,), State.NAMESPACE) for x in range(3)])
    assert [outcome.text for outcome in alone] == ["[0]", "[1]", "[2]"]
    several = [Call(SPIN, "f", (n,), State.NONE) for n in range(600)]
    assert [o.text for o in jail.run(several)] == [str(n * (n - 1) // 2) for n in range(600)]


def test_calls_that_shared_a_process_with_a_bad_one_run_again_alone(jail: CPythonSandbox) -> None:
    code = "import os\ndef f(n):\n    while n == 3: pass\n    return os._exit(0) if n == 5 else n"
    outcomes = jail.run([Call(code, "f", (n,), State.NONE) for n in range(8)])
    kinds = [outcome.kind for outcome in outcomes]
    assert kinds[3] is OutcomeKind.TIMEOUT
    assert kinds[5] is OutcomeKind.EXCEPTION
    assert [o.text for n, o in enumerate(outcomes) if n not in (3, 5)] == [
        "0",
        "1",
        "2",
        "4",
        "6",
        "7",
    ]


@pytest.mark.parametrize(
    ("code", "same"),
    [
        ("def f(): return list({'a', 'b', 'c', 'd', 'e', 'f'})", False),
        ("def f(): return hash('queen')", False),
        ("def f(): return id([])", False),
        ("import random\ndef f(): return random.random()", False),
        ("import os\ndef f(): return os.urandom(8)", False),
        ("def f(): return list({33, 1, 17, 9})", True),
        ("def f(): return {'a', 'b', 'c', 'd'}", True),
        ("import random\ndef f(): return random.Random(1).random()", True),
    ],
)
def test_equal_calls_show_what_depends_on_hashes_addresses_and_chance(
    jail: CPythonSandbox, code: str, same: bool
) -> None:
    first, second = jail.run([Call(code, "f"), Call(code, "f")])
    assert (first.text == second.text) is same
    # A single call is asked in the same way every time.
    if same or "{" in code or "hash" in code:
        assert jail.run([Call(code, "f")])[0].text == jail.run([Call(code, "f")])[0].text


def test_sleep_takes_no_time(jail: CPythonSandbox) -> None:
    begun = time.monotonic()
    [outcome] = jail.run(
        [Call("def f():\n    import time\n    time.sleep(3600)\n    return 1", "f")]
    )
    assert outcome.text == "1"
    assert time.monotonic() - begun < 60


# ── isolation ───────────────────────────────────────────────────────────────────────────────────


def test_there_is_no_way_to_the_machine(jail: CPythonSandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary")
    look = """def f(path):
    import os
    found = []
    places = '/proc', '/sys', '/home', '/etc/passwd', '/jail/inside', '/root', '/work'
    for name in (path, os.path.dirname(path), *places):
        try: found.append(os.listdir(name) if os.path.isdir(name) else open(name).read())
        except OSError: pass
    try: open('/usr/lib/x', 'w')
    except OSError as error: found.append(error.errno in (13, 30))
    return found, os.getuid(), os.uname().nodename
"""
    assert jail.run([Call(look, "f", (str(secret),))])[0].text == "([True], 65534, 'jail')"


def test_capabilities_are_gone_and_stay_gone(jail: CPythonSandbox) -> None:
    # Reading them is refused like everything else, so what they would allow is tried.
    code = """def f():
    import os
    good = 0
    for act in (lambda: os.chroot('/'), lambda: os.setuid(0), lambda: os.nice(-1)):
        try: act()
        except OSError: continue
        good += 1
    return good
"""
    assert jail.run([Call(code, "f")])[0].text == "0"


def test_memory_is_limited_and_the_limit_is_near_what_it_says(jail: CPythonSandbox) -> None:
    code = "def f(n): return len(bytearray(n << 20))"
    fits, not_fits = jail.run([Call(code, "f", (40,)), Call(code, "f", (80,))])
    assert fits.text == str(40 << 20)
    assert not_fits.kind is OutcomeKind.MEMORY


def test_large_requests_leave_the_next_its_memory(jail: CPythonSandbox) -> None:
    big = Call("def f(x): return len(x)", "f", ("a" * 20_000_000,))
    small = Call("def f(n): return len(bytearray(n << 20))", "f", (40,))
    with CPythonSandbox(SandboxConfig(workers=1, memory_mb=64)) as sandbox:
        outcomes = sandbox.run([big, small, big, small])
    assert [outcome.text for outcome in outcomes] == ["20000000", str(40 << 20)] * 2


def test_a_process_that_dies_is_the_programs_doing(jail: CPythonSandbox) -> None:
    crash = "import ctypes\ndef f(): ctypes.string_at(1)"
    leave = "import os\ndef f(): os._exit(99)"
    outcomes = jail.run([Call(crash, "f"), Call(leave, "f")])
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.EXCEPTION] * 2
    assert "SIGSEGV" in outcomes[0].message
    assert "exit status 99" in outcomes[1].message


# ── time ────────────────────────────────────────────────────────────────────────────────────────


def test_processor_time_decides(jail: CPythonSandbox) -> None:
    [endless] = jail.run([Call("def f():\n    while True: pass", "f")])
    assert endless.kind is OutcomeKind.TIMEOUT
    assert "processor" in endless.message


def test_two_threads_share_one_limit(needs_jail: None) -> None:
    code = """import hashlib, threading
def f():
    def work(): hashlib.pbkdf2_hmac('sha256', b'a', b'b', 10**9)
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""
    with CPythonSandbox(SandboxConfig(workers=1, seconds=0.5)) as sandbox:
        [outcome] = sandbox.run([Call(code, "f")])
    assert outcome.kind is OutcomeKind.TIMEOUT
    assert "processor" in outcome.message


def test_a_program_that_only_waits_is_a_timeout(jail: CPythonSandbox) -> None:
    [outcome] = jail.run([Call("import threading\ndef f(): threading.Event().wait()", "f")])
    assert outcome.kind is OutcomeKind.TIMEOUT
    assert "waited" in outcome.message


@contextmanager
def starving() -> Iterator[None]:
    """Stop the processes of requests in jails below us, so that they hardly ever run."""
    over = threading.Event()

    def send(sign: signal.Signals) -> None:
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                above = process.parents()
                if len(above) > 1 and above[1].name() == "bwrap":
                    process.send_signal(sign)

    def starve() -> None:
        while not over.wait(0.01):
            send(signal.SIGSTOP)
        send(signal.SIGCONT)

    thread = threading.Thread(target=starve)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_machine_that_gives_no_time_is_never_a_verdict(needs_jail: None) -> None:
    with CPythonSandbox(SandboxConfig(workers=1, seconds=5, retries=0), patience=0.5) as sandbox:
        with starving():
            [outcome] = sandbox.run([Call(SPIN, "f", (10**9,))])
        assert outcome.kind is OutcomeKind.INFRA_ERROR, outcome
        assert sandbox.run([ONE])[0].text == "1"


# ── processes ───────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_left_behind(needs_jail: None) -> None:
    before = descendants()
    stay = "import threading\ndef f():\n    def spin():\n        while True: pass\n"
    stay += "    threading.Thread(target=spin).start()\n    return 1"
    calls = [Call(stay, "f"), Call("def f():\n    while True: pass", "f"), ONE, ONE]
    calls.append(Call("import threading\ndef f(): threading.Event().wait()", "f"))
    sandbox = CPythonSandbox(SandboxConfig(seconds=0.2))
    outcomes = sandbox.run(calls)
    assert [o.text for o in outcomes] == ["1", "", "1", "1", ""]
    # For each jail there is bubblewrap and its server; no request's process, no zombie.
    names = [psutil.Process(pid) for pid in descendants() - before]
    assert all(process.status() != psutil.STATUS_ZOMBIE for process in names)
    assert sum(process.name() == "bwrap" for process in names) * 2 == len(names)
    sandbox.close()
    sandbox.close()
    assert descendants() - before == set()
    with pytest.raises(InfrastructureError, match="closed"):
        sandbox.run([ONE])


def test_killed_jails_are_replaced_and_the_batch_finishes(needs_jail: None) -> None:
    before = descendants()
    with CPythonSandbox(SandboxConfig(workers=2, seconds=5)) as sandbox:
        victims = descendants() - before
        over = threading.Event()

        def strike() -> None:
            over.wait(0.1)
            for pid in victims:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

        thread = threading.Thread(target=strike)
        thread.start()
        sizes = range(30_000, 30_040)
        outcomes = sandbox.run([Call(SPIN, "f", (n,)) for n in sizes])
        thread.join()
        assert [outcome.text for outcome in outcomes] == [str(n * (n - 1) // 2) for n in sizes]
        assert not victims & descendants()
    assert descendants() - before == set()


def test_jails_end_when_their_process_is_killed(needs_jail: None, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            sandbox = CPythonSandbox(SandboxConfig(workers=1))
            ready.write_text(" ".join(map(str, descendants())))
            ready.rename(tmp_path / "go")
            sandbox.run([Call("def f():\n    while True: pass", "f")] * 50)
        os._exit(0)
    deadline = time.monotonic() + 60
    while not (tmp_path / "go").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    children = [int(word) for word in (tmp_path / "go").read_text().split()]
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert len(children) == 2
    gone = [process for process in map(_process, children) if process is not None]
    _, alive = psutil.wait_procs(gone, timeout=20)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


# ── refusals ────────────────────────────────────────────────────────────────────────────────────


def test_without_bubblewrap_it_is_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for backend in ("cpython", "auto"):
        with pytest.raises(InfrastructureError, match=r"not installed; run: apt-get install"):
            make_sandbox(SandboxConfig(backend=backend))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo bubblewrap 0.3.1", "0.5 or newer"),
        (
            'if [ "$1" = --version ]; then echo bwrap 0.8; else echo "bwrap: No" >&2; fi',
            "bwrap: No",
        ),
        ('if [ "$1" = --version ]; then echo bwrap 0.8; fi', "its server is silent"),
    ],
)
def test_a_bubblewrap_that_does_not_work_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, message: str
) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(InfrastructureError, match=message):
        CPythonSandbox(SandboxConfig())


def test_values_that_are_no_literals(jail: CPythonSandbox) -> None:
    codes = [
        "def f(): return f",
        "def f(): return float('nan')",
        "class A(int): pass\ndef f(): return A(3)",
    ]
    outcomes = jail.run([Call(code, "f") for code in codes])
    assert {outcome.exception for outcome in outcomes} == {NOT_A_LITERAL}


def test_what_a_program_says_of_itself_is_cut() -> None:
    report = pack([("raised", "X" * 5000, "y" * 5000)])
    [outcome] = call_outcomes(Answer(ENDED, 0, 0.0, report, b"", b""), 1, 100)
    assert max(len(outcome.exception), len(outcome.message)) <= 300
