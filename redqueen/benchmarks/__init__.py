"""Held-out evaluation suites."""

from redqueen.benchmarks.evaluation import Subject, evaluate
from redqueen.benchmarks.heldout import SUITE, heldout_tasks

__all__ = ["SUITE", "Subject", "evaluate", "heldout_tasks"]
