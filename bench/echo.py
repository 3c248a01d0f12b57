"""How much of a gain on `code_i` needs no program to be read: the output is an answer itself.

    python -m bench.echo RUN...      of runs that were measured with `redqueen eval`

A function that passes a value on, or a loop that ends where it began, takes its own output for an
input. Prints by suite how many tasks somebody solves who repeats the output for every argument
(*echo*), how many others one who repeats it for one argument and writes 0, 1, '' or [] for the
rest (*part*), and the rates of the base, the elicited base and the students on these tasks and on
the rest; the last column is students over the elicited base, with a bootstrap interval over tasks.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from redqueen.config import SandboxConfig
from redqueen.environments.code.answers import calls_of
from redqueen.environments.code.echo import reaches, repeated
from redqueen.errors import InfrastructureError
from redqueen.report.statistics import bootstrap_means, percentile_interval
from redqueen.rng import numpy_rng
from redqueen.sandbox import OutcomeKind, Sandbox, make_sandbox
from redqueen.store import BASE, ELICITED, Replay, RunStore
from redqueen.types import Task

ECHO, PART, REST = "echo", "part", "rest"
FILLERS: tuple[Any, ...] = (0, 1, "", [])


def guesses(output: str, arity: int) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield inputs that repeat the output: for every argument, then for one of several."""
    every = repeated(output, arity)
    yield ECHO, every
    for place in range(arity if arity > 1 else 0):
        for filler in FILLERS:
            yield PART, tuple(every[n] if n == place else filler for n in range(arity))


def classes(tasks: Sequence[Task], sandbox: Sandbox) -> dict[str, str]:
    """Return by task id which of `guesses` solve it: `echo`, `part`, or none (`rest`).

    Raises:
        InfrastructureError: the sandbox failed on a guess.
    """
    asked = [
        (task, name, args)
        for task in tasks
        for name, args in guesses(task.payload["output"], task.payload["arity"])
    ]
    calls = [call for task, _, args in asked for call in calls_of(task.payload["program"], [args])]
    solved = defaultdict[str, set[str]](set)
    for (task, name, _), outcome in zip(asked, sandbox.run(calls), strict=True):
        if outcome.kind is OutcomeKind.INFRA_ERROR:
            raise InfrastructureError(f"the sandbox failed on {task.id}: {outcome.message}")
        if reaches(outcome, task.payload["output"]):
            solved[task.id].add(name)
    return {
        task.id: next((name for name in (ECHO, PART) if name in solved[task.id]), REST)
        for task in tasks
    }


Rates = Mapping[str, Mapping[str, float]]
"""Who -> task id -> share of right answers; who is `base`, `elicited` or `students`."""


def rates_of(store: RunStore, suite: str, mode: str) -> Rates:
    """Return who solved which `code_i` task how often."""
    counts = defaultdict[tuple[str, str], list[int]](lambda: [0, 0])
    for row in store.load_evaluations(suite):
        if row.mode == mode and row.kind == "code_i":
            who = row.subject if row.subject in (BASE, ELICITED) else "students"
            counts[who, row.task_id][0] += row.correct
            counts[who, row.task_id][1] += row.samples
    rates = defaultdict[str, dict[str, float]](dict)
    for (who, task), (right, made) in counts.items():
        rates[who][task] = right / made
    return rates


def gain(rates: Rates, ids: Sequence[str]) -> tuple[float, float, float]:
    """Return the students' mean gain over the elicited base on some tasks, and its interval."""
    gains = np.array([rates["students"][id_] - rates[ELICITED][id_] for id_ in ids])
    draws = bootstrap_means(gains[:, None], numpy_rng("echo", 0))[:, 0]
    return float(gains.mean()), *percentile_interval(draws)


def line(rates: Rates, ids: Sequence[str]) -> str:
    """Return a table row's figures for some tasks."""
    means = [np.mean([rates[who][id_] for id_ in ids]) for who in (BASE, ELICITED, "students")]
    value, low, high = gain(rates, ids)
    shares = " | ".join(f"{100 * mean:.1f}" for mean in means)
    return f"{shares} | {100 * value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def classes_of(store: RunStore, suite: str, sandbox: Sandbox) -> dict[str, list[str]]:
    """Return the ids of a measured suite's `code_i` tasks by what solves them, in a fixed order."""
    ids = {row.task_id for row in store.load_evaluations(suite) if row.kind == "code_i"}
    solved_by = classes([*Replay(store).tasks(ids).values()], sandbox)
    return {
        name: sorted(id_ for id_, other in solved_by.items() if other == name)
        for name in (ECHO, PART, REST)
    }


def table(store: RunStore, sandbox: Sandbox) -> list[str]:
    """Return the rows of all suites that a run was measured on."""
    rows = []
    for suite in store.suites():
        tasks = classes_of(store, suite, sandbox)
        for mode in ("sampled", "greedy"):
            rates = rates_of(store, suite, mode)
            rows += [
                f"| {suite}, {mode} | {name} | {len(ids)} | {line(rates, ids)} |"
                for name, ids in tasks.items()
                if ids
            ]
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table for each run; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("runs", type=Path, nargs="+")
    for directory in parser.parse_args(argv).runs:
        print(f"\n{directory}\n")
        print("| suite | solved by | tasks | base | elicited base | students | over the elicited |")
        print("|---|---|---:|---:|---:|---:|---:|")
        with (
            RunStore.open(directory, read_only=True) as store,
            make_sandbox(SandboxConfig()) as sandbox,
        ):
            print("\n".join(table(store, sandbox)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
