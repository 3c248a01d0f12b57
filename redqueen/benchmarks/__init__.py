"""Measuring the base and the members on suites and benchmarks of tasks with known answers."""

from redqueen.benchmarks.base import TEST, Benchmark
from redqueen.benchmarks.evaluate import (
    Subject,
    evaluate,
    measure,
    requests_of,
    subjects_of,
    tasks_of_suite,
)

__all__ = [
    "TEST",
    "Benchmark",
    "Subject",
    "evaluate",
    "measure",
    "requests_of",
    "subjects_of",
    "tasks_of_suite",
]
