"""`compare`: configs and seeds beside each other."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from redqueen.errors import ConfigError
from redqueen.terminal import StopRequest, Terminal

if TYPE_CHECKING:
    from rich.console import Console

    from redqueen.compare import Study


def compare_configs(args: argparse.Namespace) -> int:
    """Run what a comparison lacks; table and page."""
    from redqueen.compare import compare

    console = Terminal()
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
