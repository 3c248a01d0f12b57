"""The command line: what each command takes; `redqueen.commands` is what it does."""

import argparse
import logging
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import shtab

from redqueen import __version__
from redqueen.commands import COMMANDS
from redqueen.errors import ConfigError, RedQueenError
from redqueen.terminal import prepare_streams, print_error

EPILOG = """\
examples:
  redqueen train configs/laptop.toml              ten minutes on two CPU cores
  redqueen train configs/laptop.toml --steps 20   the same, one key changed
  redqueen init ./my-model                        a config for another base
  redqueen resume runs/laptop                     go on after a stop or a crash
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

    _training_commands(command)

    _measure_arguments(
        command("eval", "Measure the base and the living students on suites or benchmarks.")
    )

    report = command("report", "Write report.html, one self-contained page, into the run.")
    _run_argument(report)

    watch = command("watch", "Show runs while they go on: a page on this machine, or the terminal.")
    watch.add_argument("run", type=_path, nargs="+", help="directories, also of runs yet to begin")
    watch.add_argument("--port", type=_positive, help="of the page; default 8765")
    watch.add_argument("--plain", action="store_true", help="in the terminal instead")

    status = command("status", "Say how far a run is, and whether it works.")
    _run_argument(status)
    _json_argument(status)

    review = command("review", "List the proposals that screens held back (docs/safety.md).")
    _run_argument(review)
    review.add_argument("--whole", action="store_true", help="whole texts, not their beginnings")

    _metrics_arguments(
        command(
            "metrics", "Write a run's metrics, a row for each step; without a run, what there is."
        )
    )

    _verify_arguments(
        command("verify", "Check a run's prompts, verdicts and rewards from its database.")
    )

    _compare_arguments(
        command("compare", "Run configs x seeds at matched work; one table, one page.")
    )

    _export_arguments(
        command("export", "Write adapters for PEFT, or merged models for transformers.")
    )
    _swarm_arguments(command("swarm", "Train together with other nodes; see docs/swarm.md."))

    command("doctor", "Check what works on this machine.")
    completion = command("completion", "Print a script that completes commands and options.")
    completion.add_argument("shell", choices=shtab.SUPPORTED_SHELLS)
    return parser


def _training_commands(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """Add what begins a run, or goes on with one."""
    train = command("train", "Start a run. Any config key can follow as --section.key VALUE.")
    _config_argument(train)
    train.add_argument("--out", type=_path, help="the run's directory; default: runs/NAME")

    init = command("init", "Write a commented config for a model and this machine.")
    base = "a directory, a .gguf file or a hub id; default: the seedling"
    init.add_argument("base", nargs="?", default="seedling", help=base)
    init.add_argument("--out", type=_path, help="default: NAME.toml, by the base")

    plan = command(
        "plan", "Say what a run would take in memory and time. Takes what `train` takes."
    )
    _config_argument(plan)

    resume = command("resume", "Continue a run exactly where its last checkpoint stands.")
    _run_argument(resume)
    resume.usage = "redqueen resume RUN [--steps N] [--section.key VALUE ...]"
    resume.epilog = (
        "--steps sets a new total number of steps, --policy.base says where the base is now. "
        "What else may change is where the run is done (engine, cluster), how fast it learns and "
        "what is measured; for any other key the error lists those that may."
    )


def _config_argument(command: argparse.ArgumentParser) -> None:
    action = command.add_argument(
        "config", nargs="?", type=_path, help="a TOML file; default: all defaults"
    )
    action.complete = shtab.FILE  # type: ignore[attr-defined]  # where shtab looks for it


def _run_argument(command: argparse.ArgumentParser, **more: Any) -> None:
    action = command.add_argument("run", type=_path, **more)
    action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]  # the same


def _json_argument(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="for a script, on standard output")


def _moved_base(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--policy.base", dest="base", metavar="DIR", help="where the run's base is now, if it moved"
    )


def _metrics_arguments(metrics: argparse.ArgumentParser) -> None:
    _run_argument(metrics, nargs="?")
    form = metrics.add_mutually_exclusive_group()
    for name, text in (("csv", "default"), ("json", "a list of objects"), ("parquet", "a file")):
        form.add_argument(f"--{name}", dest="form", action="store_const", const=name, help=text)
    metrics.add_argument("--out", type=_path, help="default: standard output; parquet needs a file")


def _verify_arguments(verify: argparse.ArgumentParser) -> None:
    _run_argument(verify)
    verify.add_argument("--all", action="store_true", help="every row, not a sample")
    verify.add_argument("--files", metavar="DIR", help="grade benchmarks again, from these files")
    verify.add_argument("--rows", type=_positive, default=200, help="rows of a sample; default 200")
    _json_argument(verify)
    _moved_base(verify)


def _export_arguments(export: argparse.ArgumentParser) -> None:
    _run_argument(export)
    export.add_argument(
        "--member",
        default="best",
        help="a member id, `best` (student), `all`, or `average` of all students",
    )
    export.add_argument(
        "--rank",
        choices=("sum", "keep"),
        default="sum",
        help="of the average: `sum` is exact, `keep` the nearest of a member's rank",
    )
    export.add_argument("--merge", action="store_true", help="a whole model: base and adapter")
    _moved_base(export)
    export.add_argument(
        "--out", type=_path, help="default: RUN/adapters/member-ID, or RUN/models/…"
    )


def _measure_arguments(measure: argparse.ArgumentParser) -> None:
    _run_argument(measure, help="a run; with --benchmark also a base model")
    measure.add_argument(
        "--suite",
        action="append",
        help="what to measure on; can be given several times; default: the run's eval.suites",
    )
    measure.add_argument("--tasks", type=_positive, help="number of tasks of each suite")
    _json_argument(measure)
    measure.add_argument("--samples", type=_positive, help="attempts at temperature 1 per task")
    measure.add_argument(
        "--average", action="store_true", help="measure the average of all students too"
    )
    _moved_base(measure)
    given = measure.add_argument_group("benchmarks (docs/benchmarks.md)")
    given.add_argument("--benchmark", nargs="+", metavar="NAME",
                       help="measure on these instead of suites; `all` for every one")  # fmt: skip
    given.add_argument("--files", default="", metavar="DIR",
                       help="the released files; default: the hub")  # fmt: skip
    given.add_argument("--temperature", type=float, default=0.6, help="of --samples; default 0.6")
    given.add_argument("--max-tokens", type=_positive, help="default: the benchmark's own")
    given.add_argument("--since", help="LiveCodeBench: first contest date, as 2024-08-01")
    given.add_argument("--until", help="LiveCodeBench: last contest date")
    given.add_argument("--out", type=_path, help="for a base; default: evaluations/NAME")


def _compare_arguments(compare: argparse.ArgumentParser) -> None:
    compare.add_argument("study", nargs="?", type=_path, help="a study file; see docs/compare.md")
    compare.add_argument("--configs", nargs="+", type=_path, help="plain configs, in its place")
    compare.add_argument("--seeds", type=_numbers, help="for instance 0,1,2,3")
    compare.add_argument("--match", choices=("adapter", "total", "none"), default="adapter",
                         help="with --configs: what must be equal")  # fmt: skip
    compare.add_argument("--tasks", type=_positive, help="tasks of each suite")
    compare.add_argument("--samples", type=_positive, help="attempts at temperature 1 per task")
    compare.add_argument("--out", type=_path, help="default: comparisons/NAME")
    compare.add_argument("--jobs", type=_positive, default=1, help="runs side by side; default 1")
    compare.add_argument("--report", type=_path, metavar="DIR",
                         help="only write table and page again, from DIR's runs")  # fmt: skip


def _swarm_arguments(swarm: argparse.ArgumentParser) -> None:
    actions = swarm.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, text: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=text, description=text, allow_abbrev=False)

    keygen = action("keygen", "Make a node's identity, and print its public key.")
    keygen.add_argument("file", nargs="?", type=_path, default=Path("swarm.key"))
    join = action("join", "Start a run in a swarm; config keys can follow as with train.")
    join.add_argument("place", help="a shared folder, or a node's address such as tcp/HOST:7447")
    _config_argument(join)
    join.add_argument("--out", type=_path, help="the run's directory; default: runs/NAME")
    status = action("status", "Show a run's peers: what came, what was taken, what was refused.")
    _run_argument(status)


def _path(text: str) -> Path:
    """argparse type: a path; the empty one, of an unset variable, would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(text)


def _numbers(text: str) -> tuple[int, ...]:
    """argparse type: whole numbers with commas between."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        message = f"{text!r} should be whole numbers with commas between"
        raise argparse.ArgumentTypeError(message) from None


def _positive(text: str) -> int:
    """argparse type: an integer of at least 1."""
    if not text.isdecimal() or len(text) > 18 or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} should be a whole number of at least 1")
    return int(text)


def _split_overrides(argv: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Take `--section.key value` and `--section.key=value` out of the words of a command.

    argparse cannot: it would take the value of a flag that it does not know for the config file.
    """
    words: list[str] = []
    pairs: list[tuple[str, str]] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        key, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or key in ("out", "help"):
            words.append(word)
            continue
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise ConfigError(f"{word} needs a value")
            value = rest.pop(0)
        pairs.append((key, value))
    return words, pairs


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    prepare_streams()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logging.basicConfig(level=logging.WARNING, format="redqueen: %(message)s")
    logging.getLogger("redqueen").setLevel(logging.INFO)
    words = list(sys.argv[1:] if argv is None else argv)
    overrides: list[tuple[str, str]] = []
    try:
        if words[:1] in (["train"], ["plan"], ["resume"]) or words[:2] == ["swarm", "join"]:
            words, overrides = _split_overrides(words)
        parser = _parser()
        args = parser.parse_args(words)
        args.parser = parser
        args.overrides = overrides
        args.command_line = shlex.join(["redqueen", *words])
        status = COMMANDS[args.command](args)
        sys.stdout.flush()
        return status
    except RedQueenError as error:
        print_error(str(error))
        return 2
    except BrokenPipeError:
        # Who reads has enough, as `head` does. What is left in the buffer must not fail at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:  # the disk's or the system's: a path too long, no permission, no space
        print_error(f"{error.filename or 'the system'}: {error.strerror or error}")
        return 1
    except KeyboardInterrupt:
        print_error("interrupted; the last checkpoint is intact")
        return 130


if __name__ == "__main__":
    sys.exit(main())
