"""Configs against each other: runs at matched work, paired by seed, with a verdict on claims."""

from redqueen.compare.claims import CLAIMS, Finding, Part, judge
from redqueen.compare.compare import DATABASE, Comparison, compare, report
from redqueen.compare.data import RunData, StudyData, load_data
from redqueen.compare.plan import plan
from redqueen.compare.runner import Outcome, Progress
from redqueen.compare.study import Plan, PlannedRun, Study, build_study, load_study, study_of
from redqueen.compare.summary import Summary, summarize_study
from redqueen.compare.table import markdown, study_table
from redqueen.compare.work import Work, planned_work

__all__ = [
    "CLAIMS",
    "DATABASE",
    "Comparison",
    "Finding",
    "Outcome",
    "Part",
    "Plan",
    "PlannedRun",
    "Progress",
    "RunData",
    "Study",
    "StudyData",
    "Summary",
    "Work",
    "build_study",
    "compare",
    "judge",
    "load_data",
    "load_study",
    "markdown",
    "plan",
    "planned_work",
    "report",
    "study_of",
    "study_table",
    "summarize_study",
]
