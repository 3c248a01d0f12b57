"""`redqueen compare` as a whole: plan, make the runs, write the table and the page."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from redqueen.compare.page import render_comparison
from redqueen.compare.plan import Plan, plan
from redqueen.compare.results import RunResult, read_run
from redqueen.compare.runner import Outcome, Runner, next_command, run_directory
from redqueen.compare.study import Study, load_study, study_toml
from redqueen.compare.table import NOTE, Table, all_tables, markdown_table
from redqueen.errors import ConfigError, InfrastructureError
from redqueen.files import write_text

STUDY = "study.toml"
"""The study itself in its folder, paths made absolute."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison came to."""

    plan: Plan
    runs: tuple[RunResult, ...]
    """The finished ones."""
    tables: tuple[Table, ...]
    page: Path
    table: Path


def compare(
    study: Study,
    out: Path,
    *,
    console: Console,
    jobs: int = 1,
    should_stop: Callable[[], bool] = lambda: False,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
) -> bool:
    """Make what is missing of a study in `out`; False if `should_stop` ended it.

    Nothing is made twice. A run that fails stops no other and is tried again by the next call.

    Raises:
        ConfigError: the study does not work, or `out` holds other runs.
        InfrastructureError: every run failed.
    """
    checked = plan(study)
    _check_tasks(study)
    runner = Runner(checked, out, jobs=jobs, console=console, on_outcome=on_outcome)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / STUDY, study_toml(study))
    finished = runner.run(should_stop)
    reasons = [outcome.reason for outcome in runner.outcomes]
    if finished and reasons and all(reasons):
        raise InfrastructureError(f"every run failed; the last one: {reasons[-1]}")
    return finished


def _check_tasks(study: Study) -> None:
    # Imports transformers, which takes seconds and which a report does without.
    from redqueen.curriculum import RESERVED

    if study.evaluation.tasks > RESERVED:
        raise ConfigError(
            f"evaluation.tasks = {study.evaluation.tasks}: at most {RESERVED} are kept from "
            "training"
        )


def load_runs(checked: Plan, out: Path) -> list[RunResult]:
    """The finished runs of a study, from their own databases."""
    return [
        read_run(run_directory(out, run), run.entry.name, run.seed)
        for run in checked.runs
        if (run_directory(out, run) / "run.db").exists() and next_command(run, out) is None
    ]


def report(out: Path) -> Comparison:
    """Write `compare.html` and `table.md` into `out`, from the runs that are finished.

    Raises:
        ConfigError: there is no study in `out`.
        InfrastructureError: the files could not be written.
    """
    if not (out / STUDY).is_file():
        raise ConfigError(f"no {STUDY} in {out}; make a comparison with `redqueen compare`")
    checked = plan(load_study(out / STUDY))
    runs = load_runs(checked, out)
    tables = all_tables(checked.study, checked.work, runs)
    page, table = out / "compare.html", out / "table.md"
    command = f"redqueen compare {out / STUDY} --out {out}"
    text = [f"# {checked.study.name}", "", *map(markdown_table, tables), NOTE, ""]
    try:
        write_text(page, render_comparison(checked, runs, tables, command))
        write_text(table, "\n".join(text))
    except OSError as error:
        raise InfrastructureError(
            f"could not write the report in {out}: {error.strerror or error}"
        ) from error
    return Comparison(checked, tuple(runs), tuple(tables), page, table)
