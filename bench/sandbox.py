"""Verdicts a second of the sandbox, beside a process for each call and bare `exec`; hostile corpus.

Run `python -m bench.sandbox` from the repository's root. One verdict is one call of a small
program in a fresh state, its outcome parsed and compared with the expected value: monty starts a
session for each, cpython forks a process in its jail. The peers run the same calls: `subprocess`
starts one CPython for each (isolated, no limits), `exec` runs them in this process (no isolation
at all: the upper limit). Their programs are this file's own.

Exits 1 when a backend's median is below its bar, a hostile program gets through, or a process is
left behind.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from redqueen.config import SandboxConfig
from redqueen.sandbox import Call, Sandbox, literals_equal, make_sandbox, parse_literal
from tests.sandbox.hostile import CORPUS, attack, canary, worst

BARS = {"monty": 2_000.0, "cpython": 500.0}
"""Verdicts a second that each backend must reach on two workers and two idle cores."""
SHARE = {"monty": 1.0, "cpython": 0.3}
"""How many of the verdicts of a round each backend is asked for."""
KIND = {"monty": "alone", "cpython": "cpython"}
"""What the corpus calls each backend."""
WORKERS = 2
HOSTILE_SECONDS = 0.3

TASKS: list[tuple[str, tuple[Any, ...], Any]] = [
    (
        "def f(xs, k):\n    total = 0\n    for x in xs:\n        if x % 2:\n"
        "            total += x * k\n    return total",
        ([3, 4, 5, 8, 1], 4),
        36,
    ),
    ("def f(s):\n    return ''.join(c.upper() for c in s if c not in 'aeiou')", ("queen",), "QN"),
    (
        "def f(xs):\n    seen = {}\n    for x in xs:\n        seen[x] = seen.get(x, 0) + 1\n"
        "    return sorted(seen.items())",
        ([2, 1, 2, 5],),
        [(1, 1), (2, 2), (5, 1)],
    ),
    (
        "def f(n):\n    out = []\n    while n > 0:\n        out.append(n % 3)\n        n //= 3\n"
        "    return out[::-1]",
        (47,),
        [1, 2, 0, 2],
    ),
    (
        "def f(a, b):\n    while b:\n        a, b = b, a % b\n    return a",
        (84, 36),
        12,
    ),
    (
        "def f(words, sep):\n    words = [w.strip() for w in words]\n"
        "    return sep.join(sorted(words, key=len))",
        ([" bbb", "a ", "cc"], "-"),
        "a-cc-bbb",
    ),
]

Runner = Callable[[Sequence[Call]], list[str]]


def in_sandbox(sandbox: Sandbox) -> Runner:
    return lambda calls: [outcome.text for outcome in sandbox.run(calls)]


def in_this_process(calls: Sequence[Call]) -> list[str]:
    texts = []
    for call in calls:
        scope: dict[str, Any] = {}
        exec(call.code, scope)
        texts.append(repr(scope[call.function](*call.args)))
    return texts


def _one_process(call: Call) -> str:
    source = f"{call.code}\nprint(repr({call.function}(*{call.args!r})))"
    command = [sys.executable, "-I", "-S", "-c", source]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def in_processes(calls: Sequence[Call]) -> list[str]:
    with ThreadPoolExecutor(WORKERS) as threads:
        return list(threads.map(_one_process, calls))


def verdicts_per_second(runner: Runner, count: int, rounds: int) -> list[float]:
    """Rates of `rounds` rounds of `count` verdicts, after a short one to warm up."""
    calls = [Call(code, "f", args) for code, args, _ in TASKS]
    rates = []
    for size in [min(count, 60), *[count] * rounds]:
        start = time.perf_counter()
        texts = runner([calls[i % len(calls)] for i in range(size)])
        for i, text in enumerate(texts):
            ok, value = parse_literal(text)
            expected = TASKS[i % len(TASKS)][2]
            if not (ok and literals_equal(value, expected)):
                raise SystemExit(f"wrong verdict: {text!r} instead of {expected!r}")
        rates.append(size / (time.perf_counter() - start))
    return rates[1:]


def hostile_failures(backend: str) -> list[str]:
    """What went wrong when every hostile program was run, one line each."""
    faults: list[str] = []
    config = SandboxConfig(backend=backend, workers=WORKERS, seconds=HOSTILE_SECONDS)
    with (
        tempfile.TemporaryDirectory() as folder,
        canary(Path(folder)) as file,
        make_sandbox(config) as sandbox,
    ):
        for hostile in CORPUS:
            faults += attack(sandbox, hostile, file, worst(HOSTILE_SECONDS), KIND[backend])
        below = psutil.Process().children(recursive=True)
        zombies = [process.pid for process in below if process.status() == psutil.STATUS_ZOMBIE]
        if zombies:
            faults.append(f"{len(zombies)} zombies")
    left = psutil.Process().children(recursive=True)
    return [*faults, *(f"left behind: {process.name()}" for process in left)]


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="rounds of the backends and exec")
    parser.add_argument("--verdicts", type=int, default=2000, help="verdicts a round")
    parser.add_argument("--backends", nargs="+", default=list(BARS), choices=list(BARS))
    arguments = parser.parse_args()
    rounds, count = arguments.rounds, arguments.verdicts

    rates = {"subprocess per call": verdicts_per_second(in_processes, 30, 3)}
    for backend in arguments.backends:
        with make_sandbox(SandboxConfig(backend=backend, workers=WORKERS)) as sandbox:
            share = int(SHARE[backend] * count)
            rates[backend] = verdicts_per_second(in_sandbox(sandbox), share, rounds)
    rates["exec, no isolation"] = verdicts_per_second(in_this_process, count, rounds)

    least = statistics.median(rates["subprocess per call"])
    print(f"{'verdicts/s':<22}{'median':>9}{'lowest':>9}{'highest':>9}{'rounds':>8}{'ratio':>9}")
    for label, values in rates.items():
        middle = statistics.median(values)
        print(
            f"{label:<22}{middle:>9,.0f}{min(values):>9,.0f}{max(values):>9,.0f}"
            f"{len(values):>8}{middle / least:>9.1f}"
        )
    passed = True
    for backend in arguments.backends:
        start = time.perf_counter()
        faults = hostile_failures(backend)
        took = time.perf_counter() - start
        reached = statistics.median(rates[backend])
        good = reached >= BARS[backend] and not faults
        passed &= good
        print(f"{backend}: {len(CORPUS)} hostile programs, {len(faults)} failures, {took:.1f} s")
        for fault in faults:
            print(f"  {fault}"[:80])
        print(
            f"  bar: >= {BARS[backend]:,.0f} verdicts/s, 0 failures, nothing left: "
            f"{'passed' if good else 'FAILED'}"
        )
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
