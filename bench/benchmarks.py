"""Does the benchmark harness grade right? Everything that needs no model, and a table.

Run `python -m bench.benchmarks DIRECTORY` from the repository's root; the directory holds the
released files (docs/benchmarks.md). `--only` chooses parts, `--tasks` the first so many tasks of
each file, `--jobs` the processes. Exits 1 when a bar is missed.

| part | what it does |
|---|---|
| canonical | the released solutions of HumanEval+ and MBPP+ as completions, base and plus tests; |
| | HumanEval+'s inputs against its contracts |
| mutants | solutions with one change in their syntax tree: our verdict beside plain CPython's |
| maths | the reference answers of the mathematics files in a usual text, then wrong answers |
| cruxeval | CRUXEval's inputs and outputs as answers |
| jail | `bench.sandbox` with its bars |
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, cast

from bench import mutants, near_misses, sandbox
from redqueen import registry
from redqueen.benchmarks.base import Benchmark, BenchmarkEnvironment
from redqueen.benchmarks.calls import Calls, run_calls
from redqueen.benchmarks.evalplus import EvalPlus
from redqueen.config import SandboxConfig
from redqueen.environments.base import Attempt, Services
from redqueen.sandbox import make_sandbox
from redqueen.sandbox.cpython import CPythonSandbox
from redqueen.types import Verdict
from tests.sandbox.hostile import CORPUS

MATHS = ("aime24", "aime25", "amc23", "math500", "minerva", "gsm8k", "olympiadbench")
LEAST_REFERENCES = 0.995
MUTANTS = 200
NEAR_MISSES = 300
ALL = slice(None)


@dataclass(frozen=True, slots=True)
class Result:
    """A row of the table; `notes` are the exceptions, one line each."""

    what: str
    reached: str
    bar: str
    passed: bool
    notes: tuple[str, ...] = ()


class Bench:
    """Benchmarks read from a directory, with what grades them."""

    def __init__(self, directory: str, tasks: slice, jobs: int, stack: ExitStack) -> None:
        self.directory, self.tasks = directory, tasks
        self._config = SandboxConfig(backend="cpython", workers=jobs)
        self._stack, self._made = stack, dict[Any, Any]()

    def shared(self, start: Callable[[SandboxConfig], Any]) -> Any:
        if start not in self._made:
            self._made[start] = self._stack.enter_context(start(self._config))
        return self._made[start]

    def open(self, name: str) -> BenchmarkEnvironment:
        benchmark = cast(type[Benchmark], registry.load("benchmark", name))(files=self.directory)
        services = Services(self._no_sandbox, "chat", name=name, shared=self.shared)
        return benchmark.build(services)

    def ids(self, environment: BenchmarkEnvironment) -> list[str]:
        return list(environment.rows)[self.tasks]

    def verdicts(self, environment: BenchmarkEnvironment, texts: dict[str, str]) -> dict[str, Any]:
        attempts = [Attempt(environment.task(id_), text) for id_, text in texts.items()]
        return dict(zip(texts, environment.verify(attempts), strict=True))

    @staticmethod
    def _no_sandbox() -> Any:
        raise RuntimeError("benchmarks run programs in the jail only")


def evalplus(environment: BenchmarkEnvironment) -> EvalPlus:
    assert isinstance(environment.benchmark, EvalPlus)
    return environment.benchmark


def canonical(bench: Bench) -> Iterator[Result]:
    for name in ("humaneval+", "mbpp+"):
        environment = bench.open(name)
        rows = {id_: environment.rows[id_] for id_ in bench.ids(environment)}
        texts = {
            id_: f"```python\n{evalplus(environment).canonical(row)}\n```"
            for id_, row in rows.items()
        }
        verified = bench.verdicts(environment, texts)
        right = [item.verdict is Verdict.CORRECT and item.metrics["base"] == 1
                 for item in verified.values()]  # fmt: skip
        inputs = sum(len(row["plus_input"]) for row in rows.values())
        notes = [f"{id_}: {item.verdict}" for (id_, item), ok in zip(
            verified.items(), right, strict=True) if not ok]  # fmt: skip
        yield Result(
            f"{name}: released solutions, {len(rows)} tasks, {inputs:,} plus inputs",
            f"{sum(right)}/{len(right)}", "all", all(right), tuple(notes),
        )  # fmt: skip
    yield contracts(bench)


def contracts(bench: Bench) -> Result:
    """HumanEval+'s contracts, put at the head of the solutions, refuse none of the inputs."""
    environment = bench.open("humaneval+")
    rows = {id_: environment.rows[id_] for id_ in bench.ids(environment)}
    jobs = [
        Calls(
            f"{row['prompt']}{row['contract']}{row['canonical_solution']}",
            row["entry_point"],
            [*row["base_input"], *row["plus_input"]],
            [30.0] * (len(row["base_input"]) + len(row["plus_input"])),
            output_bytes=1 << 27,
        )
        for row in rows.values()
    ]
    notes = []
    for id_, job, made in zip(
        rows, jobs, run_calls(bench.shared(CPythonSandbox), jobs), strict=True
    ):
        refused = len(job.arguments) - sum(ending.kind == "value" for ending in made)
        if refused:
            notes.append(f"{id_}: {refused} inputs")
    reached = f"{len(rows) - len(notes)}/{len(rows)}"
    return Result("humaneval+: inputs keep their contract", reached, "all", not notes, tuple(notes))


def mutated(bench: Bench) -> Iterator[Result]:
    checked, caught, notes = 0, 0, []
    for name in ("humaneval+", "mbpp+"):
        environment = bench.open(name)
        benchmark = evalplus(environment)
        ids = bench.ids(environment)
        # One or two of each task, from the whole file.
        jobs = [
            (id_, mutant)
            for id_ in ids[:: max(1, len(ids) // MUTANTS)]
            for mutant in mutants.of(benchmark.canonical(environment.rows[id_]), 1, seed=id_)
        ]
        ours = [item.verdict is Verdict.CORRECT for item in benchmark.grade(jobs, environment)]
        plain = mutants.plain_verdicts(benchmark, environment.rows, jobs)
        checked += len(jobs)
        caught += plain.count(False)
        notes += [
            f"{id_}: ours {a}, plain CPython {b}"
            for (id_, _), a, b in zip(jobs, ours, plain, strict=True)
            if a != b
        ]
    enough = checked >= MUTANTS or bench.tasks != ALL
    yield Result(
        f"mutants: verdicts beside plain CPython's ({caught} of {checked} caught)",
        f"{checked - len(notes)}/{checked}", "all", not notes and enough, tuple(notes),
    )  # fmt: skip


def maths(bench: Bench) -> Iterator[Result]:
    right, total, wrong_accepted, tried, notes = 0, 0, 0, 0, list[str]()
    accepted = []
    for name in MATHS:
        environment = bench.open(name)
        texts = {
            id_: near_misses.usual_text(environment.task(id_).payload["answer"], number)
            for number, id_ in enumerate(bench.ids(environment))
        }
        verified = bench.verdicts(environment, texts)
        good = [item.verdict is Verdict.CORRECT for item in verified.values()]
        right, total = right + sum(good), total + len(good)
        notes += [f"{id_}: {item.answer!r} {item.verdict}" for (id_, item), ok in zip(
            verified.items(), good, strict=True) if not ok]  # fmt: skip
        ids = list(texts)[:: max(1, len(texts) * len(MATHS) // (2 * NEAR_MISSES))]
        for id_ in ids:
            reference = environment.task(id_).payload["answer"]
            for number, answer in enumerate(near_misses.of(reference)):
                [verdict] = bench.verdicts(
                    environment, {id_: near_misses.usual_text(answer, number)}
                ).values()
                tried += 1
                if verdict.verdict is not Verdict.WRONG:
                    wrong_accepted += 1
                    accepted.append(f"{id_}: {answer!r} for {reference!r} {verdict.verdict}")
    yield Result(
        f"mathematics: {total:,} reference answers of {len(MATHS)} files",
        f"{right / total:.2%}", f">= {LEAST_REFERENCES:.1%}", right / total >= LEAST_REFERENCES,
        tuple(notes),
    )  # fmt: skip
    enough = tried >= NEAR_MISSES or bench.tasks != ALL
    yield Result(
        f"mathematics: {tried:,} wrong and near-miss answers",
        f"{wrong_accepted} accepted", "0", not wrong_accepted and enough, tuple(accepted),
    )  # fmt: skip


def cruxeval(bench: Bench) -> Iterator[Result]:
    for name, what in (("cruxeval-i", "outputs recomputed"), ("cruxeval-o", "outputs as answers")):
        environment = bench.open(name)
        texts = {}
        for id_ in bench.ids(environment):
            row = environment.rows[id_]
            texts[id_] = f"[ANSWER]\nassert f({row['input']}) == {row['output']}\n[/ANSWER]"
        verified = bench.verdicts(environment, texts)
        notes = [f"{id_}: {item.verdict}" for id_, item in verified.items()
                 if item.verdict is not Verdict.CORRECT]  # fmt: skip
        reached = f"{len(texts) - len(notes)}/{len(texts)}"
        yield Result(f"{name}: {what}", reached, "all", not notes, tuple(notes))


def jail(bench: Bench) -> Iterator[Result]:
    for backend, bar in sandbox.BARS.items():
        with make_sandbox(SandboxConfig(backend=backend, workers=sandbox.WORKERS)) as box:
            rates = sandbox.verdicts_per_second(sandbox.in_sandbox(box), 600, 5)
        rate = sorted(rates)[len(rates) // 2]
        yield Result(f"{backend}: verdicts a second, 2 workers", f"{rate:,.0f}", f">= {bar:,.0f}",
                     rate >= bar)  # fmt: skip
        faults = sandbox.hostile_failures(backend)
        yield Result(f"{backend}: {len(CORPUS)} hostile programs",
                     f"{len(faults)} failures", "0", not faults, tuple(faults))  # fmt: skip


PARTS = {"canonical": canonical, "mutants": mutated, "maths": maths, "cruxeval": cruxeval,
         "jail": jail}  # fmt: skip


def _slice(text: str) -> slice:
    return slice(*(int(part) if part else None for part in text.split(":")))


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("directory", help="the released files")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--tasks",
        type=_slice,
        default=ALL,
        help="of each file: a count, or FIRST:LAST from 0, the last one excluded",
    )
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    passed = True
    with ExitStack() as stack:
        bench = Bench(arguments.directory, arguments.tasks, arguments.jobs, stack)
        for part in arguments.only:
            begun = time.monotonic()
            for result in PARTS[part](bench):
                passed &= result.passed
                good = "passed" if result.passed else "FAILED"
                print(f"{result.what}\n    {result.reached} (bar: {result.bar}) {good}, "
                      f"{time.monotonic() - begun:.0f} s", flush=True)  # fmt: skip
                for line in result.notes:
                    print(f"    {line}"[:160], flush=True)
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
