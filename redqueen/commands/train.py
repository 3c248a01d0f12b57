"""`train`, `resume` and `eval`."""

import argparse
import shlex
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from redqueen.commands.output import print_json
from redqueen.formatting import duration
from redqueen.terminal import StopRequest, Terminal

if TYPE_CHECKING:
    from redqueen.trainer import Trainer


def _free_directory(name: str) -> Path:
    """runs/NAME, or runs/NAME-2, -3 … if that holds a run already."""
    path, number = Path("runs") / name, 1
    while (path / "run.db").exists():
        number += 1
        path = Path("runs") / f"{name}-{number}"
    return path


def train(args: argparse.Namespace) -> int:
    """Start a run, and measure it at its end."""
    from redqueen import build
    from redqueen.config import load_config

    config = load_config(args.config, args.overrides)
    directory = args.out or _free_directory(config.name)
    return _run(lambda stop: build.start(config, directory, stop), directory)


def resume(args: argparse.Namespace) -> int:
    """Go on with a run."""
    from redqueen import build

    return _run(lambda stop: build.resume(args.run, args.overrides, stop), args.run)


def _run(make: "Callable[[StopRequest], AbstractContextManager[Trainer]]", directory: Path) -> int:
    """Train to the end or to Ctrl-C, then measure, report and say what comes next."""
    from redqueen import build
    from redqueen.evaluation import measure_benchmarks, measure_suites
    from redqueen.open_run import open_run
    from redqueen.report import population_text
    from redqueen.store.checkpoint import checkpoint_steps

    stop, begun = StopRequest(), time.monotonic()
    with stop.listening():
        with make(stop) as trainer:
            config = trainer.config
            print(
                f"{directory}  base {config.policy.base} ({trainer.base_parameters / 1e6:.1f} M), "
                f"{population_text(config.population)}, seed {config.seed}"
            )
            finished = trainer.run(stop)
        if not finished or stop.asked:
            kept = max(checkpoint_steps(directory))
            again = f", which does steps {kept + 1} to {trainer.step} again"
            print(
                f"Stopped after step {trainer.step}. "
                f"Go on with: {shlex.join(['redqueen', 'resume', str(directory)])}"
                f"{again if kept < trainer.step else ''}"
            )
            return 130
    print(f"Trained {trainer.step} steps in {duration(time.monotonic() - begun)}.")
    if config.eval.enabled:
        run = open_run(directory)
        measure_suites(run, config.eval.suites, config.eval.tasks, config.eval.samples)
        if chosen := build.benchmarks_of(config):
            measure_benchmarks(run, chosen)
    return _finish(directory)


def evaluate(args: argparse.Namespace) -> int:
    """Measure a run, or a base, on suites or benchmarks."""
    from redqueen.evaluation import measure_suites
    from redqueen.open_run import open_run

    if args.benchmark:
        return _evaluate_benchmarks(args)
    run = open_run(args.run, args.base, spare_slots=int(args.average))
    plan = run.config.eval
    measure_suites(
        run,
        tuple(dict.fromkeys(args.suite or plan.suites)),
        args.tasks or plan.tasks,
        args.samples or plan.samples,
    )
    return _finish(args.run, args.json)


def _evaluate_benchmarks(args: argparse.Namespace) -> int:
    """`eval --benchmark`: a run, or a base in a directory of its own."""
    from redqueen import registry
    from redqueen.evaluation import measure_benchmarks, named_benchmarks
    from redqueen.open_run import open_base, open_run

    names = registry.names("benchmark") if args.benchmark == ["all"] else args.benchmark
    chosen = named_benchmarks(names, args.files, since=args.since, until=args.until)
    if (args.run / "run.db").exists():
        run = open_run(args.run, args.base, spare_slots=int(args.average))
    else:
        run = open_base(str(args.run), args.out or Path("evaluations") / args.run.name)
    measure_benchmarks(run, chosen, args.tasks, args.samples or 0, args.temperature,
                       args.max_tokens)  # fmt: skip
    return 0


def _finish(directory: Path, as_json: bool = False) -> int:
    """Show a run's results, tell its trackers, write the page."""
    from redqueen.evaluation import tell_results
    from redqueen.report import print_results, result_values, write_report
    from redqueen.store import RunStore

    with RunStore.open(directory, read_only=True) as store:
        tell_results(store)
        if as_json:
            print_json(result_values(store))
            return 0
        print()
        print_results(store, Terminal())
    print(f"\nReport: {write_report(directory)}")
    print(f"An adapter for other tools: {shlex.join(['redqueen', 'export', str(directory)])}")
    return 0
