"""The command line: train, resume, eval, report, verify, compare, export, swarm, doctor."""

import argparse
import logging
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from redqueen import __version__
from redqueen.errors import ConfigError, RedQueenError
from redqueen.formatting import duration
from redqueen.terminal import StopRequest, counting, print_error

# torch and transformers take seconds to import: `--help` and config errors do without.
if TYPE_CHECKING:
    from rich.console import Console

    from redqueen.build import OpenRun
    from redqueen.compare import Study
    from redqueen.trainer import Trainer

EPILOG = """\
examples:
  redqueen train                                    the default run on the seedling
  redqueen train configs/default.toml --steps 20    a config, one key changed
  redqueen train --policy.base ./my-model           another base
  redqueen resume runs/default                      go on after a stop or a crash
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="redqueen",
        description="Co-evolve LoRA adapters that teach each other to reason.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"redqueen {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, allow_abbrev=False)

    train = command("train", "Start a run. Any config key can follow as --section.key VALUE.")
    train.add_argument("config", nargs="?", type=Path, help="a TOML file; default: all defaults")
    train.add_argument("--out", type=Path, help="the run's directory; default: runs/NAME")

    resume = command("resume", "Continue a run exactly where its last checkpoint stands.")
    resume.add_argument("run", type=Path)
    resume.add_argument("--steps", type=_positive, help="a new total number of steps")
    _moved_base(resume)

    measure = command("eval", "Measure the base and the living students on held-out suites.")
    measure.add_argument("run", type=Path)
    measure.add_argument(
        "--suite",
        action="append",
        help="what to measure on; can be given several times; default: the run's eval.suites",
    )
    measure.add_argument("--tasks", type=_positive, help="number of tasks of each suite")
    measure.add_argument("--samples", type=_positive, help="attempts at temperature 1 per task")
    _moved_base(measure)

    report = command("report", "Write report.html, one self-contained page, into the run.")
    report.add_argument("run", type=Path)

    verify = command("verify", "Check a run's prompts, verdicts and rewards from its database.")
    verify.add_argument("run", type=Path)
    verify.add_argument("--all", action="store_true", help="every row, not a sample")
    verify.add_argument("--rows", type=_positive, default=200, help="rows of a sample; default 200")
    _moved_base(verify)

    _compare_arguments(
        command("compare", "Run configs x seeds at matched work; one table, one page.")
    )

    export = command("export", "Write one member as a PEFT adapter directory.")
    export.add_argument("run", type=Path)
    export.add_argument("--member", default="best", help="a member id, or `best` (student)")
    _moved_base(export)
    export.add_argument("--out", type=Path, help="default: RUN/adapters/member-ID")

    _swarm_arguments(command("swarm", "Train together with other nodes; see docs/swarm.md."))

    command("doctor", "Check what works on this machine.")
    return parser


def _moved_base(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--policy.base", dest="base", metavar="DIR", help="where the run's base is now, if it moved"
    )


def _compare_arguments(compare: argparse.ArgumentParser) -> None:
    compare.add_argument("study", nargs="?", type=Path, help="a study file; see docs/compare.md")
    compare.add_argument("--configs", nargs="+", type=Path, help="plain configs, in its place")
    compare.add_argument("--seeds", type=_numbers, help="for instance 0,1,2,3")
    compare.add_argument("--match", choices=("adapter", "total", "none"), default="adapter",
                         help="with --configs: what must be equal")  # fmt: skip
    compare.add_argument("--tasks", type=_positive, help="tasks of each suite")
    compare.add_argument("--samples", type=_positive, help="attempts at temperature 1 per task")
    compare.add_argument("--out", type=Path, help="default: comparisons/NAME")
    compare.add_argument("--jobs", type=_positive, default=1, help="runs side by side; default 1")
    compare.add_argument("--report", type=Path, metavar="DIR",
                         help="only write table and page again, from DIR's runs")  # fmt: skip


def _swarm_arguments(swarm: argparse.ArgumentParser) -> None:
    actions = swarm.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, text: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=text, description=text, allow_abbrev=False)

    keygen = action("keygen", "Make a node's identity, and print its public key.")
    keygen.add_argument("file", nargs="?", type=Path, default=Path("swarm.key"))
    join = action("join", "Start a run in a swarm; config keys can follow as with train.")
    join.add_argument("place", help="a shared folder, or a node's address such as tcp/HOST:7447")
    join.add_argument("config", nargs="?", type=Path, help="a TOML file; default: all defaults")
    join.add_argument("--out", type=Path, help="the run's directory; default: runs/NAME")
    status = action("status", "Show a run's peers: what came, what was taken, what was refused.")
    status.add_argument("run", type=Path)


def _numbers(text: str) -> tuple[int, ...]:
    """argparse type: whole numbers with commas between."""
    return tuple(int(part) for part in text.split(","))


def _positive(text: str) -> int:
    """argparse type: an integer of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


def _split_overrides(argv: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Take `--section.key value` and `--section.key=value` out of the arguments of `train`.

    argparse cannot: it would take the value of a flag that it does not know for the config file.
    """
    own: list[str] = []
    pairs: list[tuple[str, str]] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        key, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or key in ("out", "help"):
            own.append(word)
            continue
        if not equals:
            if not rest:
                raise ConfigError(f"{word} needs a value")
            value = rest.pop(0)
        pairs.append((key, value))
    return own, pairs


def _free_directory(name: str) -> Path:
    """runs/NAME, or runs/NAME-2, -3 … if that holds a run already."""
    path, number = Path("runs") / name, 1
    while (path / "run.db").exists():
        number += 1
        path = Path("runs") / f"{name}-{number}"
    return path


def _train(args: argparse.Namespace) -> int:
    from redqueen import build
    from redqueen.config import load_config

    config = load_config(args.config, args.overrides)
    directory = args.out or _free_directory(config.name)
    return _run(lambda stop: build.start(config, directory, stop), directory)


def _resume(args: argparse.Namespace) -> int:
    from redqueen import build

    return _run(lambda stop: build.resume(args.run, args.steps, stop, base=args.base), args.run)


def _run(make: "Callable[[StopRequest], AbstractContextManager[Trainer]]", directory: Path) -> int:
    """Train to the end or to Ctrl-C, then measure, report and say what comes next."""
    from redqueen import build
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
        _measure(build.open_run(directory), config.eval.suites, config.eval.tasks,
                 config.eval.samples)  # fmt: skip
    return _finish(directory)


def _measure(run: "OpenRun", suites: Sequence[str], count: int, samples: int) -> None:
    from rich.console import Console

    from redqueen import build
    from redqueen.benchmarks import measure, subjects_of, tasks_of_suite
    from redqueen.store import EvaluationStore

    config, console = run.config, Console(highlight=False)
    with (
        build.open_environments(config) as environments,
        EvaluationStore.open(run.directory) as store,
    ):
        plans = {
            suite: tasks_of_suite(environments, suite, count, config.eval.seed) for suite in suites
        }
        with build.open_engine(config, run.model) as engine:
            engine.sync(range(len(run.population)), run.model.adapters, run.step)
            for suite, tasks in plans.items():
                with counting(console, f"{suite} attempts") as counter:
                    measure(
                        store,
                        engine,
                        environments,
                        suite,
                        tasks,
                        subjects_of(run.population),
                        step=run.step,
                        samples=samples,
                        max_new_tokens=config.rollout.solve_tokens,
                        seed=config.eval.seed,
                        on_progress=counter,
                    )


def _finish(directory: Path) -> int:
    from rich.console import Console

    from redqueen.report import print_results, write_report
    from redqueen.store import RunStore

    print()
    with RunStore.open(directory, read_only=True) as store:
        print_results(store, Console(highlight=False))
    print(f"\nReport: {write_report(directory)}")
    print(f"An adapter for other tools: {shlex.join(['redqueen', 'export', str(directory)])}")
    return 0


def _eval(args: argparse.Namespace) -> int:
    from redqueen import build

    run = build.open_run(args.run, args.base)
    plan = run.config.eval
    _measure(
        run,
        tuple(dict.fromkeys(args.suite or plan.suites)),
        args.tasks or plan.tasks,
        args.samples or plan.samples,
    )
    return _finish(args.run)


def _report(args: argparse.Namespace) -> int:
    from redqueen.report import write_report

    print(write_report(args.run))
    return 0


def _verify(args: argparse.Namespace) -> int:
    from rich.console import Console

    from redqueen import build
    from redqueen.verify import print_verification, verify_run

    console = Console(highlight=False)
    run = build.open_run(args.run, args.base)
    with build.open_environments(run.config) as environments, counting(console, "rows") as counter:
        report = verify_run(run, environments, None if args.all else args.rows, counter)
    print_verification(report, console)
    return 0 if report.agrees else 1


def _compare(args: argparse.Namespace) -> int:
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


def _export(args: argparse.Namespace) -> int:
    from redqueen import build

    run = build.open_run(args.run, args.base)
    living = {str(member.id): member for member in run.population.members}
    name = str(_best_student(run)) if args.member == "best" else args.member
    if name not in living:
        raise ConfigError(f"no living member {name!r} in {args.run}; living: {', '.join(living)}")
    out = args.out or args.run / "adapters" / f"member-{name}"
    run.model.export(living[name].slot, out)
    print(out)
    return 0


def _doctor(args: argparse.Namespace) -> int:
    from redqueen.doctor import run_checks

    return run_checks()


def _swarm(args: argparse.Namespace) -> int:
    return {"keygen": _swarm_keygen, "join": _swarm_join, "status": _swarm_status}[args.action](
        args
    )


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
    return _train(args)


def _swarm_status(args: argparse.Namespace) -> int:
    from rich.console import Console

    from redqueen.store import RunStore, load_exchange_counts
    from redqueen.swarm.status import print_status

    with RunStore.open(args.run, read_only=True) as store:
        rows = store.rows("SELECT count(*), coalesce(sum(published), 0) FROM exchanges")
        steps, published = rows[0]
        print_status(load_exchange_counts(store), steps, published, Console(width=80))
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "train": _train,
    "resume": _resume,
    "eval": _eval,
    "report": _report,
    "verify": _verify,
    "compare": _compare,
    "export": _export,
    "swarm": _swarm,
    "doctor": _doctor,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logging.basicConfig(level=logging.WARNING, format="redqueen: %(message)s")
    words = list(sys.argv[1:] if argv is None else argv)
    overrides: list[tuple[str, str]] = []
    try:
        if words[:1] == ["train"] or words[:2] == ["swarm", "join"]:
            words, overrides = _split_overrides(words)
        args = _parser().parse_args(words)
        args.overrides = overrides
        args.command_line = shlex.join(["redqueen", *words])
        return COMMANDS[args.command](args)
    except RedQueenError as error:
        print_error(str(error))
        return 2
    except KeyboardInterrupt:
        print_error("interrupted; the last checkpoint is intact")
        return 130


if __name__ == "__main__":
    sys.exit(main())
