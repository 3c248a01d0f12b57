"""What each command of the command line does. Returns are exit statuses."""

import argparse
import json
import shlex
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redqueen.errors import ConfigError
from redqueen.formatting import duration
from redqueen.terminal import StopRequest, counting

# torch and transformers take seconds to import: `--help` and config errors do without.
if TYPE_CHECKING:
    from rich.console import Console

    from redqueen.compare import Study
    from redqueen.open_run import OpenRun
    from redqueen.trainer import Trainer


def _print_json(value: Any) -> None:
    """Print plain values for another program."""
    print(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


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

    return _run(lambda stop: build.resume(args.run, args.steps, stop, base=args.base), args.run)


def _run(make: "Callable[[StopRequest], AbstractContextManager[Trainer]]", directory: Path) -> int:
    """Train to the end or to Ctrl-C, then measure, report and say what comes next."""
    from redqueen import build
    from redqueen.evaluation import measure_benchmarks, measure_suites
    from redqueen.open_run import open_run
    from redqueen.report import population_text

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
            print(
                f"Stopped after step {trainer.step}; nothing is lost. "
                f"Go on with: {shlex.join(['redqueen', 'resume', str(directory)])}"
            )
            return 130
    print(f"Trained {trainer.step} steps in {duration(time.monotonic() - begun)}.")
    if config.eval.enabled:
        run = open_run(directory)
        measure_suites(run, config.eval.suites, config.eval.tasks, config.eval.samples)
        if chosen := build.benchmarks_of(config):
            measure_benchmarks(run, chosen)
    return _finish(directory)


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
    from rich.console import Console

    from redqueen.evaluation import tell_results
    from redqueen.report import print_results, result_values, write_report
    from redqueen.store import RunStore

    with RunStore.open(directory, read_only=True) as store:
        tell_results(store)
        if as_json:
            _print_json(result_values(store))
            return 0
        print()
        print_results(store, Console(highlight=False))
    print(f"\nReport: {write_report(directory)}")
    print(f"An adapter for other tools: {shlex.join(['redqueen', 'export', str(directory)])}")
    return 0


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


def write_page(args: argparse.Namespace) -> int:
    """Write report.html."""
    from redqueen.report import write_report

    print(write_report(args.run))
    return 0


def watch(args: argparse.Namespace) -> int:
    """Show runs until Ctrl-C."""
    from rich.console import Console

    from redqueen.watch import PORT, serve, watch_plain

    if args.plain:
        watch_plain(args.run, Console(highlight=False))
    else:
        serve(args.run, args.port or PORT)
    return 0


def status(args: argparse.Namespace) -> int:
    """Say whether a run works."""
    from rich.console import Console

    from redqueen.report import print_status, status_values
    from redqueen.store import RunStore

    with RunStore.open(args.run, read_only=True) as run:
        if args.json:
            _print_json(status_values(run))
        else:
            print_status(run, Console(highlight=False))
    return 0


def review(args: argparse.Namespace) -> int:
    """List what screens held back."""
    from redqueen.report import held_back_lines
    from redqueen.store import RunStore

    with RunStore.open(args.run, read_only=True) as run:
        for line in held_back_lines(run, args.whole):
            print(line)
    return 0


def write_metrics(args: argparse.Namespace) -> int:
    """Write a run's metrics, or say which there are."""
    from redqueen.metrics import metrics_page

    if args.run is None:
        print(metrics_page(), end="")
        return 0
    from redqueen.files import write_bytes
    from redqueen.report.curves import csv_text, json_text, parquet_bytes, step_table
    from redqueen.store import RunStore

    if args.form == "parquet" and args.out is None:
        raise ConfigError("--parquet writes a file; say which: --out metrics.parquet")
    with RunStore.open(args.run, read_only=True) as run:
        table = step_table(run)
    if args.form == "parquet":
        data = parquet_bytes(table)
    else:
        data = (csv_text if args.form == "csv" else json_text)(table).encode()
    if args.out is None:
        print(data.decode(), end="")
    else:
        write_bytes(args.out, data)
    return 0


def verify_rows(args: argparse.Namespace) -> int:
    """Check a run's rows; status 1 if one differs."""
    from rich.console import Console

    from redqueen import build
    from redqueen.evaluation import named_benchmarks
    from redqueen.open_run import open_run
    from redqueen.store import RunStore
    from redqueen.verify import print_verification, verify_run

    console = Console(highlight=False, stderr=args.json)
    run = open_run(args.run, args.base)
    benchmarks = build.benchmarks_of(run.config)
    if args.files is not None:
        with RunStore.open(args.run, read_only=True) as store:
            benchmarks |= named_benchmarks(store.benchmarks(), args.files)
    with (
        build.open_environments(run.config, benchmarks) as environments,
        counting(console, "rows") as counter,
    ):
        report = verify_run(run, environments, None if args.all else args.rows, counter)
    if args.json:
        _print_json({"agrees": report.agrees, **asdict(report)})
    else:
        print_verification(report, console)
    return 0 if report.agrees else 1


def compare_configs(args: argparse.Namespace) -> int:
    """Run what a comparison lacks; table and page."""
    from rich.console import Console

    from redqueen.compare import compare

    console = Console(highlight=False)
    if args.report:
        return _compare_report(args.report, console)
    study = _study(args)
    out = args.out or Path("comparisons") / (args.study.stem if args.study else study.name)
    stop = StopRequest()
    with stop.listening():
        finished = compare(study, out, console=console, jobs=args.jobs, should_stop=stop)
    if not finished:
        console.print(f"Stopped; nothing is lost. Go on with: {args.command_line}")
        return 130
    return _compare_report(out, console)


def _study(args: argparse.Namespace) -> "Study":
    """The study file with what the command line changes, or a study of plain configs."""
    from redqueen.compare import load_study, study_of

    if (args.study is None) == (args.configs is None):
        raise ConfigError("give a study file, or --configs and their TOML files")
    given = {"tasks": args.tasks, "samples": args.samples}
    changes = {key: value for key, value in given.items() if value is not None}
    if args.configs:
        match = None if args.match == "none" else args.match
        return study_of(args.configs, args.seeds or (0, 1, 2, 3), match, **changes)
    study = load_study(args.study)
    changed = study.evaluation.model_copy(update=changes)
    return study.model_copy(update={"evaluation": changed, "seeds": args.seeds or study.seeds})


def _compare_report(out: Path, console: "Console") -> int:
    """Print the tables, write the page; status 1 if runs are missing."""
    from redqueen.compare import NOTE, report, terminal_table

    result = report(out)
    for table in result.tables:
        if not table.wide:
            console.print(terminal_table(table))
    console.print(f"[dim]{NOTE}[/]\n\nPage: {result.page}\nTable: {result.table}")
    missing = len(result.plan.runs) - len(result.runs)
    if missing:
        console.print(f"{missing} of {len(result.plan.runs)} runs are not finished")
    return 1 if missing else 0


def _best_student(run: "OpenRun") -> int:
    """Return the id of the student that did best on the held-out suite, else of the best rated."""
    from redqueen.report import main_suite, summarize
    from redqueen.store import RunStore
    from redqueen.types import Role

    with RunStore.open(run.directory, read_only=True) as store:
        suite = main_suite(store.suites())
        result = summarize(store, suite) if suite else None
    best = (result.standing("best student") or result.headline) if result else None
    if best is not None and best.member is not None:
        return best.member
    students = run.population.by_role(Role.STUDENT)
    return max(students, key=lambda member: member.conservative_rating).id


def export_adapters(args: argparse.Namespace) -> int:
    """Write adapters, or merged models."""
    from redqueen.open_run import open_run

    run = open_run(args.run, args.base)
    living = {str(member.id): member for member in run.population.members}
    names = [str(_best_student(run)) if args.member == "best" else args.member]
    if args.member == "all":
        names = list(living)
    kind = "models" if args.merge else "adapters"
    for name in names:
        if name == "average":
            factors, alpha = run.average(exact=args.rank == "sum")
        elif name in living:
            factors, alpha = run.model.adapters.get(living[name].slot), run.model.adapters.alpha
        else:
            known = ", ".join((*living, "best", "all", "average"))
            raise ConfigError(f"no living member {name!r} in {args.run}; there are: {known}")
        place = name if name == "average" else f"member-{name}"
        out = args.out or args.run / kind / place
        if args.out and len(names) > 1:
            out = args.out / place
        write = run.model.export_merged if args.merge else run.model.export_factors
        write(factors, alpha, out)
        print(out)
    return 0


def write_config(args: argparse.Namespace) -> int:
    """Write a config for a base and this machine."""
    from redqueen.init import plan_start, write_start
    from redqueen.plan import GIB

    name = Path(args.base).stem or "run"
    out = args.out or Path(f"{name}.toml")
    start = plan_start(args.base, out.stem)
    write_start(start, out)
    peak, free = start.budget.peak / GIB, start.free / GIB
    print(out)
    if start.fits:
        print(f"It takes about {peak:.1f} GiB; {free:.1f} GiB are free here.")
    else:
        print(f"It takes about {peak:.1f} GiB, but {free:.1f} GiB are free here: take a smaller "
              "base, or a machine with more memory.")  # fmt: skip
    shown = shlex.quote(str(out))
    print(f"See what it takes with `redqueen plan {shown}`, start it with `redqueen train {shown}`")
    return 0


def print_completion(args: argparse.Namespace) -> int:
    """Print a shell's completion script."""
    import shtab

    print(shtab.complete(args.parser, args.shell))
    return 0


def plan_run(args: argparse.Namespace) -> int:
    """Say what a run would take."""
    from rich.console import Console

    from redqueen.config import load_config
    from redqueen.plan import print_plan

    print_plan(load_config(args.config, args.overrides), Console(highlight=False))
    return 0


def swarm(args: argparse.Namespace) -> int:
    """Make an identity, start a run in a swarm, or show its peers."""
    actions = {"keygen": _swarm_keygen, "join": _swarm_join, "status": _swarm_status}
    return actions[args.action](args)


def _swarm_keygen(args: argparse.Namespace) -> int:
    try:
        from redqueen.swarm.identity import Identity
    except ImportError as error:
        raise ConfigError(f"{error}; install it with: pip install 'redqueen[swarm]'") from error

    print(Identity.create(args.file).name)
    return 0


def _swarm_join(args: argparse.Namespace) -> int:
    """Train with the section `swarm` filled in; what the command line says goes before."""
    address = args.place.partition("/")[0] in ("tcp", "tls", "quic", "udp")
    place = (
        [("swarm.transport.type", "zenoh"), ("swarm.transport.connect", f'["{args.place}"]')]
        if address
        else [("swarm.transport.path", str(Path(args.place).absolute()))]
    )
    given = dict(args.overrides)
    identity = str(Path(given.get("swarm.identity", "swarm.key")).absolute())
    filled = dict([("swarm.enabled", "true"), *place])
    args.overrides = [*(filled | given | {"swarm.identity": identity}).items()]
    return train(args)


def _swarm_status(args: argparse.Namespace) -> int:
    from rich.console import Console

    from redqueen.store import RunStore, load_exchange_counts
    from redqueen.swarm.status import print_status

    with RunStore.open(args.run, read_only=True) as store:
        rows = store.rows("SELECT count(*), coalesce(sum(published), 0) FROM exchanges")
        steps, published = rows[0]
        print_status(load_exchange_counts(store), steps, published, Console(width=80))
    return 0


def doctor(args: argparse.Namespace) -> int:
    """Check this machine."""
    from redqueen.doctor import run_checks

    return run_checks()


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "train": train,
    "init": write_config,
    "plan": plan_run,
    "resume": resume,
    "eval": evaluate,
    "report": write_page,
    "watch": watch,
    "status": status,
    "review": review,
    "metrics": write_metrics,
    "verify": verify_rows,
    "compare": compare_configs,
    "export": export_adapters,
    "swarm": swarm,
    "doctor": doctor,
    "completion": print_completion,
}
