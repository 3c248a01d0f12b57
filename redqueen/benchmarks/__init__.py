"""Held-out evaluation suites."""

from redqueen.benchmarks.evaluate import Subject, evaluate, measure
from redqueen.benchmarks.suites import SUITES, Reserved, suite_tasks
from redqueen.environments.code.handwritten import handwritten_tasks
from redqueen.environments.code.suites import RESERVED, SUITE, beyond_tasks, heldout_tasks

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
