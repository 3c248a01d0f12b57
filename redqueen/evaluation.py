"""What `redqueen eval` does: suites and benchmarks for the base and all living students."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from redqueen import build
from redqueen.benchmarks import (
    TEST,
    Benchmark,
    Subject,
    measure,
    requests_of,
    subjects_of,
    tasks_of_suite,
)
from redqueen.callbacks.base import Callbacks, RunInfo
from redqueen.config.component import build_component
from redqueen.environments.base import Environment, sources_of
from redqueen.errors import ConfigError
from redqueen.open_run import OpenRun
from redqueen.report import print_benchmarks, write_harness_json
from redqueen.report.heldout import ALL
from redqueen.report.queries import results_of
from redqueen.store import (
    AVERAGE,
    EvaluationAttempt,
    EvaluationStore,
    Replay,
    RunReader,
    RunStore,
)
from redqueen.terminal import Terminal, counting
from redqueen.types import Task

SAME_META = (build.BASE_DIGEST, "environments", "redqueen_version")
SAME_KEYS = (
    "policy.dtype", "policy.device", "policy.quantization", "engine.type", "environments",
    "sandbox", "rollout.solve_tokens",
)  # fmt: skip
"""What decides, beside the prompts and seeds, what a base answers and how that is judged."""


def measure_suites(run: OpenRun, suites: Sequence[str], count: int, samples: int) -> None:
    """Measure the base and all living students on `count` tasks of each suite."""
    config = run.config
    with (
        build.open_environments(config) as environments,
        EvaluationStore.open(run.directory) as store,
    ):
        plans = {
            suite: tasks_of_suite(environments, suite, count, config.eval.seed) for suite in suites
        }
        tokens = dict.fromkeys(suites, config.rollout.solve_tokens)
        for suite, tasks in plans.items():
            take_over_base(run, store, suite, tasks, environments, samples)
        _measure(run, environments, store, plans, tokens, samples, 1.0)


def take_over_base(
    run: OpenRun,
    store: EvaluationStore,
    suite: str,
    tasks: Sequence[Task],
    environments: Mapping[str, Environment],
    samples: int,
) -> None:
    """Stage what the runs of `eval.base_from` have of the base and of the elicited base.

    A task counts whose attempts were all asked for as they would be here, seeds included, by a run
    that is `alike`. Copies carry their texts, so `redqueen verify` judges them again.
    """
    subjects = [subject for subject in subjects_of(run.population) if subject.slot is None]
    missing = requests_of(environments, tasks, subjects, samples, run.config.eval.seed)
    for directory in _runs_of(run):
        made = _base_attempts(directory, suite, store) if missing else {}
        same = {
            key: made[key]
            for key, asked in missing.items()
            if [attempt.request for attempt in made.get(key, ())] == asked
        }
        missing = {key: asked for key, asked in missing.items() if key not in same}
        attempts = [attempt for some in same.values() for attempt in some]
        if attempts:
            store.stage_evaluation(attempts, tasks, step=run.step)
            print(f"{suite}: {len(attempts):,} attempts of the base are those of {directory}")


def _runs_of(run: OpenRun) -> Iterator[Path]:
    """Yield the runs of `eval.base_from` but this one."""
    for place in run.config.eval.base_from:
        for database in sorted(Path(place).glob("**/run.db")):
            if not database.parent.samefile(run.directory):
                yield database.parent


def _base_attempts(
    directory: Path, suite: str, own: RunReader
) -> Mapping[tuple[str, str, str], list[EvaluationAttempt]]:
    """Return a run's attempts by subject, mode and task; none if it cannot be read or is not like
    `own`."""
    made: dict[tuple[str, str, str], list[EvaluationAttempt]] = {}
    try:
        with RunStore.open(directory, read_only=True) as other:
            attempts = Replay(other).evaluation(suite) if alike(own, other) else []
    except ConfigError as error:
        print(f"{suite}: nothing is taken over: {error}")
        return made
    for attempt in attempts:
        made.setdefault((attempt.subject, attempt.mode, attempt.task_id), []).append(attempt)
    return made


def alike(one: RunReader, two: RunReader) -> bool:
    """Return whether two runs get the same answers from their base, and judge them alike."""
    if any(one.meta(key) != two.meta(key) for key in SAME_META):
        return False
    configs = one.config_values(), two.config_values()
    ours, theirs = (
        [reduce(getitem, path.split("."), values) for path in SAME_KEYS] for values in configs
    )
    return ours == theirs


def named_benchmarks(
    names: Sequence[str], files: str, **window: str | None
) -> dict[str, Benchmark]:
    """Return benchmarks by name; `window` is for LiveCodeBench."""
    dates = {key: day for key, day in window.items() if day is not None}
    chosen: dict[str, Any] = {}
    for name in names:
        keys = {"type": name, "files": files} | (dates if name == "livecodebench" else {})
        try:
            chosen[name] = build_component("benchmark", keys)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise ConfigError(f"{key} = {first['input']!r}: {first['msg']}") from None
        except ValueError as error:
            raise ConfigError(f"--benchmark {name}: {error}") from None
    return chosen


def measure_benchmarks(
    run: OpenRun,
    chosen: Mapping[str, Benchmark],
    tasks: int | None = None,
    samples: int = 0,
    temperature: float = 1.0,
    max_tokens: int | None = None,
) -> None:
    """Measure the base and all living students; print the table, and write the JSON files."""
    config = run.config
    settings = {"base": config.policy.base, "step": run.step, "limit": tasks, "samples": samples,
                "temperature": temperature, "seed": config.eval.seed}  # fmt: skip
    with (
        build.open_environments(config, chosen) as environments,
        EvaluationStore.open(run.directory) as store,
    ):
        plans = {
            name: sources_of(environments[name])[TEST].tasks(tasks or sys.maxsize, 0)
            for name in chosen
        }
        tokens = {name: max_tokens or item.solve_tokens for name, item in chosen.items()}
        _measure(run, environments, store, plans, tokens, samples, temperature)
        print_benchmarks(store, Terminal())
        for path in write_harness_json(store, run.directory / "benchmarks", settings):
            print(path)


def _measure(
    run: OpenRun,
    environments: Mapping[str, Environment],
    store: EvaluationStore,
    plans: Mapping[str, Sequence[Task]],
    tokens: Mapping[str, int],
    samples: int,
    temperature: float,
) -> None:
    """Measure on all plans with one engine; `tokens` limits the completions of each."""
    console = Terminal()
    voters = run.config.rollout.interaction.evaluation_votes()
    subjects, slots = subjects_of(run.population), run.model.adapters.slots
    if slots > len(run.population) > 0:
        factors, _ = run.average(exact=False)
        run.model.adapters.set(slots - 1, factors)
        subjects.append(Subject(AVERAGE, slots - 1))
    with build.open_engine(run.config, run.model) as engine:
        engine.sync(range(slots), run.model.adapters, run.step)
        for name, tasks in plans.items():
            with counting(console, f"{name} attempts") as counter:
                measure(
                    store,
                    engine,
                    environments,
                    name,
                    tasks,
                    subjects,
                    step=run.step,
                    samples=max(samples, voters),
                    max_new_tokens=tokens[name],
                    seed=run.config.eval.seed,
                    temperature=temperature,
                    on_progress=counter,
                    vote=voters > 0,
                )


def tell_results(run: RunReader) -> None:
    """Tell the run's callbacks how the members do on all suites that were measured."""
    results = {
        f"eval/{result.suite}/{mode}/{standing.label.replace(' ', '_')}": rate.value
        for result in results_of(run)
        for standing in result.standings
        for (mode, kind), rate in standing.rates.items()
        if kind == ALL
    }
    info = RunInfo(run.directory, run.config(), run.last_step())
    Callbacks(build.callbacks_of(info)).on_evaluation(info.step, results)
