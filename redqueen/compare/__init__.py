"""Configs × seeds through our own `train` and `eval`: one table, one page."""

from redqueen.compare.compare import STUDY, Comparison, compare, load_runs, report
from redqueen.compare.plan import Plan, PlannedRun, Work, plan, planned_work
from redqueen.compare.results import Answers, KindRow, RunResult, StepRow
from redqueen.compare.runner import Outcome
from redqueen.compare.study import Study, build_study, load_study, study_of
from redqueen.compare.table import NOTE, terminal_table

__all__ = [
    "NOTE",
    "STUDY",
    "Answers",
    "Comparison",
    "KindRow",
    "Outcome",
    "Plan",
    "PlannedRun",
    "RunResult",
    "StepRow",
    "Study",
    "Work",
    "build_study",
    "compare",
    "load_runs",
    "load_study",
    "plan",
    "planned_work",
    "report",
    "study_of",
    "terminal_table",
]
