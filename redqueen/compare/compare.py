"""`redqueen compare` as a whole: plan, make the runs, book them, write the table and the page."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from redqueen.compare.claims import Finding, judge
from redqueen.compare.data import StudyData, load_data
from redqueen.compare.database import StudyDatabase
from redqueen.compare.page import render_comparison
from redqueen.compare.plan import plan
from redqueen.compare.runner import (
    Outcome,
    Progress,
    Runner,
    base_path,
    hold,
    is_done,
    open_jobs,
)
from redqueen.compare.study import EvaluationSection, Plan, PlannedRun, Study
from redqueen.compare.summary import Summary, summarize_study
from redqueen.compare.table import markdown
from redqueen.compare.worker import settings_of
from redqueen.config import Config
from redqueen.errors import InfrastructureError
from redqueen.files import write_text
from redqueen.store import EvaluationRow

DATABASE = "study.db"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison came to."""

    data: StudyData
    summary: Summary
    findings: tuple[Finding, ...]
    page: Path
    table: Path


def base_name(config: Config, path: Path) -> str:
    """What a base's measurement at `path` is called in the study database."""
    return f"base:{config.policy.base} ({path.stem})"


def compare(
    study: Study,
    out: Path,
    *,
    jobs: int = 1,
    command: str = "redqueen compare",
    should_stop: Callable[[], bool] = lambda: False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
) -> bool:
    """Make what is missing of a study in `out`; False if `should_stop` ended it.

    Every run is booked in `out`/study.db as soon as it is finished; a failed one is booked with
    its reason, and tried again by the next call. Nothing is made twice: a run whose results are in
    study.db is done even if its folder is gone.

    Raises:
        ConfigError: the study does not work, or `out` holds other runs.
        InfrastructureError: every run failed.
    """
    plan_ = plan(study)
    out.mkdir(parents=True, exist_ok=True)
    with hold(out) as held, StudyDatabase.create_or_open(out / DATABASE) as db:
        ledger = Ledger(db, plan_, out)
        waiting = open_jobs(plan_, out, ledger.booked())
        ledger.begin(command)

        def heard(outcome: Outcome) -> None:
            ledger.book(outcome)
            on_outcome(outcome)

        runner = Runner(
            waiting,
            out / "logs",
            side_by_side=jobs,
            threads=study.threads,
            on_progress=on_progress,
            on_outcome=heard,
            held=held,
        )
        finished = runner.run(should_stop)
        failed = [outcome for outcome in runner.progress.done if outcome.reason is not None]
        if finished and waiting and len(failed) == len(waiting):
            raise InfrastructureError(f"every run failed; the last one: {failed[-1].reason}")
    return finished


class Ledger:
    """Books runs in the study database as they finish."""

    def __init__(self, db: StudyDatabase, plan_: Plan, out: Path):
        self.db = db
        self.plan = plan_
        self.out = out
        self.runs = {run.key: run for run in plan_.runs}

    def booked(self) -> set[str]:
        """Keys of the runs whose results are in the file, made as the plan says."""
        if not self._same_settings():
            return set()
        suites = self.plan.study.evaluation.suites
        return {key for key, run in self.runs.items() if self.db.holds(run, suites)}

    def _same_settings(self) -> bool:
        before = self.db.meta("study")
        return before is not None and settings_of(
            EvaluationSection(**before["evaluation"])
        ) == settings_of(self.plan.study.evaluation)

    def begin(self, command: str) -> None:
        """Book the study itself, and what was finished before but is not in the file."""
        wanted = self.plan.study.evaluation
        if not self._same_settings():
            self.db.forget_results()
        self.db.write_plan(self.plan, command)
        known = {
            (entry, seed)
            for entry, seed in self.db.rows("SELECT entry, seed FROM runs WHERE reason IS NULL")
        }
        for run in self.plan.runs:
            if (run.entry.name, run.seed) not in known and is_done(
                self.out / "runs" / run.key, run, wanted
            ):
                self.add(run)

    def book(self, outcome: Outcome) -> None:
        """Book what became of a job; a base is booked with the first run on it."""
        run = self.runs.get(outcome.job.key)
        if run is None:
            self._complete_bases()
        elif outcome.reason is None:
            self.add(run)
        else:
            self.db.add_failure(run.entry.name, run.seed, outcome.reason)

    def add(self, run: PlannedRun) -> None:
        """Book a finished run."""
        name = self._base(run) if run.entry.evaluate else None
        self.db.add_run(run, self.out / "runs" / run.key, name)

    def _base(self, run: PlannedRun) -> str | None:
        """Book the run's base if it is measured and not there yet; returns its name."""
        path = base_path(self.out, run.config, self.plan.study.evaluation)
        name = base_name(run.config, path)
        if not self.db.rows("SELECT 1 FROM runs WHERE entry = ?", (name,)):
            if not path.exists():
                return None
            rows = [EvaluationRow(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
            self.db.add_base(name, rows)
        return name

    def _complete_bases(self) -> None:
        """Runs that were booked before their base was measured get it now."""
        booked = self.db.rows(
            "SELECT entry, seed FROM runs WHERE base IS NULL AND reason IS NULL "
            "AND seed IS NOT NULL"
        )
        for entry, seed in booked:
            run = self.runs[f"{entry}/seed-{seed}"]
            if run.entry.evaluate and self._base(run) is not None:
                self.add(run)


def report(out: Path) -> Comparison:
    """Write `compare.html` and `table.md` into `out` from its study.db alone.

    Raises:
        ConfigError: there is no study.db, or not of this version.
        InfrastructureError: the files could not be written.
    """
    with StudyDatabase.open(out / DATABASE) as db:
        data = load_data(db)
    summary, findings = summarize_study(data), tuple(judge(data))
    page, table = out / "compare.html", out / "table.md"
    try:
        write_text(page, render_comparison(data, summary, findings))
        write_text(table, markdown(data, summary, findings))
    except OSError as error:
        raise InfrastructureError(
            f"could not write the report in {out}: {error.strerror or error}"
        ) from error
    return Comparison(data, summary, findings, page, table)
