"""Measuring the base and the members on suites of tasks with known answers."""

from redqueen.benchmarks.evaluate import Subject, evaluate, measure, subjects_of, tasks_of_suite

__all__ = ["Subject", "evaluate", "measure", "subjects_of", "tasks_of_suite"]
