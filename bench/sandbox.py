"""Verdicts a second of the sandbox, beside a process for each call and bare `exec`; hostile corpus.

Run `python -m bench.sandbox` from the repository's root. One verdict is one call of a small
program in a fresh state, its outcome parsed and compared with the expected value. The peers run
the same calls: `subprocess` starts one CPython for each (isolated, no limits), `exec` runs them in
this process (no isolation at all: the upper limit). Their programs are this file's own.

Exits 1 when the median is below 2,000 verdicts a second or a hostile program gets through.
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

from redqueen.config import SandboxConfig
from redqueen.sandbox import Call, Sandbox, literals_equal, make_sandbox, parse_literal
from tests.sandbox.hostile import CORPUS, attack, canary, worst

BAR = 2_000.0
"""Verdicts a second that the sandbox must reach on two workers."""
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


def hostile_failures() -> list[str]:
    """What went wrong when every hostile program was run, one line each."""
    faults: list[str] = []
    config = SandboxConfig(workers=WORKERS, seconds=HOSTILE_SECONDS)
    with (
        tempfile.TemporaryDirectory() as folder,
        canary(Path(folder)) as file,
        make_sandbox(config) as sandbox,
    ):
        for hostile in CORPUS:
            faults += attack(sandbox, hostile, file, worst(HOSTILE_SECONDS))
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="rounds of the sandbox and exec")
    parser.add_argument("--verdicts", type=int, default=2000, help="verdicts a round")
    arguments = parser.parse_args()
    rounds, count = arguments.rounds, arguments.verdicts

    rates = {"subprocess per call": verdicts_per_second(in_processes, 30, 3)}
    with make_sandbox(SandboxConfig(workers=WORKERS)) as sandbox:
        name = f"sandbox, {WORKERS} workers"
        rates[name] = verdicts_per_second(in_sandbox(sandbox), count, rounds)
    rates["exec, no isolation"] = verdicts_per_second(in_this_process, count, rounds)

    ours = statistics.median(rates[name])
    print(f"{'verdicts/s':<22}{'median':>9}{'lowest':>9}{'highest':>9}{'rounds':>8}{'ratio':>9}")
    for label, values in rates.items():
        middle = statistics.median(values)
        print(
            f"{label:<22}{middle:>9,.0f}{min(values):>9,.0f}{max(values):>9,.0f}"
            f"{len(values):>8}{middle / ours:>9.3f}"
        )
    start = time.perf_counter()
    faults = hostile_failures()
    took = time.perf_counter() - start
    print(f"hostile programs: {len(CORPUS)} run, {len(faults)} failures, {took:.1f} s")
    for fault in faults:
        print(f"  {fault}"[:80])
    passed = ours >= BAR and not faults
    print(f"bar: >= {BAR:,.0f} verdicts/s and 0 failures: {'passed' if passed else 'FAILED'}")
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
