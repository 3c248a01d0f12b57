"""Held-out evaluation suites."""

from redqueen.benchmarks.evaluation import Subject, evaluate, measure
from redqueen.benchmarks.handwritten import handwritten_tasks
from redqueen.benchmarks.heldout import RESERVED, SUITE, beyond_tasks, heldout_tasks
from redqueen.benchmarks.suites import SUITES, Reserved, suite_tasks

__all__ = [
    "RESERVED",
    "SUITE",
    "SUITES",
    "Reserved",
    "Subject",
    "beyond_tasks",
    "evaluate",
    "handwritten_tasks",
    "heldout_tasks",
    "measure",
    "suite_tasks",
]
