"""How much of a gain needs no program to be read: a guess is right as well.

    python -m bench.shortcuts RUN...      of runs that were measured with `redqueen eval`

`code_i`: a function that passes a value on, or a loop that ends where it began, takes its own
output for an input. Tasks are told apart by whether one solves them who repeats the output for
every argument (*echo*), or for one argument and writes 0, 1, '' or [] for the others (*part*).

`code_o`: a value that many tasks have is guessed by one who always answers it. Tasks with such a
value (a twentieth of them or more) are told apart by it (*is True*): whoever learns to guess it
loses as much on the others. Where all tasks have such values, *forced* says what becomes of the
gain if an answer that is none of them counts as a guess among them: the format is forced then, for
the students as for the base.

Prints by suite how many tasks each class has, and *rest*, those that no such guess solves; the
rates of the base, the elicited base and the students on them; and students over the elicited base,
with a bootstrap interval over tasks.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from redqueen.config import SandboxConfig
from redqueen.environments.code.answers import calls_of
from redqueen.environments.code.echo import reaches
from redqueen.environments.code.texts import repeated
from redqueen.errors import InfrastructureError
from redqueen.report.statistics import bootstrap_means, percentile_interval
from redqueen.rng import numpy_rng
from redqueen.sandbox import OutcomeKind, Sandbox, make_sandbox
from redqueen.store import BASE, ELICITED, Replay, RunStore
from redqueen.types import Task

ECHO, PART, REST, IS = "echo", "part", "rest", "is "
COMMON = 0.05
"""Share of the tasks from which on a value counts as one that can be guessed."""
FILLERS: tuple[Any, ...] = (0, 1, "", [])


def guesses(output: str, arity: int) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield inputs that repeat the output: for every argument, then for one of several."""
    every = repeated(output, arity)
    yield ECHO, every
    for place in range(arity if arity > 1 else 0):
        for filler in FILLERS:
            yield PART, tuple(every[n] if n == place else filler for n in range(arity))


def classes(tasks: Sequence[Task], sandbox: Sandbox) -> dict[str, str]:
    """Return by task id which guess solves it: `echo`, `part`, `is VALUE`, or none (`rest`).

    Raises:
        InfrastructureError: the sandbox failed on a guess.
    """
    return by_value(tasks) | by_echo([task for task in tasks if task.kind == "code_i"], sandbox)


def by_value(tasks: Sequence[Task]) -> dict[str, str]:
    """Return the classes of tasks of all kinds, with no guess but a constant answer to `code_o`."""
    outputs = {task.id: task.payload["output"] for task in tasks if task.kind == "code_o"}
    counts = Counter(outputs.values())
    common = {value for value, count in counts.items() if count >= COMMON * len(outputs)}
    names = {id_: f"{IS}{value}" for id_, value in outputs.items() if value in common}
    return {task.id: names.get(task.id, REST) for task in tasks}


def by_echo(tasks: Sequence[Task], sandbox: Sandbox) -> dict[str, str]:
    """Return the classes of `code_i` tasks; see `classes`."""
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
    """Return who solved which task how often."""
    counts = defaultdict[tuple[str, str], list[int]](lambda: [0, 0])
    for row in store.load_evaluations(suite):
        if row.mode == mode:
            who = row.subject if row.subject in (BASE, ELICITED) else "students"
            counts[who, row.task_id][0] += row.correct
            counts[who, row.task_id][1] += row.samples
    rates = defaultdict[str, dict[str, float]](dict)
    for (who, task), (right, made) in counts.items():
        rates[who][task] = right / made
    return rates


def forced_rates(store: RunStore, suite: str, mode: str, values: Sequence[str]) -> Rates:
    """Return who solved which task how often, where an answer that is none of `values` counts as a
    guess among them."""
    shares = defaultdict[str, dict[str, list[float]]](lambda: defaultdict(list))
    rows = store.rows(
        "SELECT subject, task_id, verdict = 'correct' AS right, answer FROM evaluations "
        "WHERE NOT staged AND suite = ? AND mode = ?",
        (suite, mode),
    )
    for row in rows:
        subject = str(row["subject"])
        who = subject if subject in (BASE, ELICITED) else "students"
        known = row["answer"] in values
        shares[who][row["task_id"]].append(float(row["right"]) if known else 1 / len(values))
    return {
        who: {task: float(np.mean(several)) for task, several in tasks.items()}
        for who, tasks in shares.items()
    }


def values_of(tasks: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the values that all tasks have, by the names of their classes; none if some has
    another."""
    named = [name.removeprefix(IS) for name in tasks if name.startswith(IS)]
    return named if len(named) == len(tasks) else []


def gain(rates: Rates, ids: Sequence[str]) -> tuple[float, float, float]:
    """Return the students' mean gain over the elicited base on some tasks, and its interval."""
    gains = np.array([rates["students"][id_] - rates[ELICITED][id_] for id_ in ids])
    draws = bootstrap_means(gains[:, None], numpy_rng("echo", 0))[:, 0]
    return float(gains.mean()), *percentile_interval(draws)


def least_gain(rates: Rates, tasks: Mapping[str, Sequence[str]]) -> tuple[float, float, float]:
    """Return the gain, with its interval, of the class of tasks that gains least, `echo` and `part`
    aside: what a shortcut cannot give."""
    others = [ids for name, ids in tasks.items() if name not in (ECHO, PART)]
    return min(gain(rates, ids) for ids in others)


def line(rates: Rates, ids: Sequence[str]) -> str:
    """Return a table row's figures for some tasks."""
    means = [np.mean([rates[who][id_] for id_ in ids]) for who in (BASE, ELICITED, "students")]
    value, low, high = gain(rates, ids)
    shares = " | ".join(f"{100 * mean:.1f}" for mean in means)
    return f"{shares} | {100 * value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def classes_of(store: RunStore, suite: str, sandbox: Sandbox) -> dict[str, list[str]]:
    """Return the ids of a measured suite's tasks by what solves them, in a fixed order."""
    ids = {row.task_id for row in store.load_evaluations(suite)}
    solved_by = classes([*Replay(store).tasks(ids).values()], sandbox)
    names = sorted({*solved_by.values()}, key=lambda name: (name == REST, name))
    return {
        name: sorted(id_ for id_, other in solved_by.items() if other == name) for name in names
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
            ]
            if values := values_of(tasks):
                everything = [id_ for ids in tasks.values() for id_ in ids]
                forced = forced_rates(store, suite, mode, values)
                row = line(forced, everything)
                rows.append(f"| {suite}, {mode} | forced | {len(everything)} | {row} |")
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table for each run; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], allow_abbrev=False)
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
