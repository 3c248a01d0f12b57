"""Held-out evaluation suites."""

from redqueen.benchmarks.evaluation import Subject, evaluate
from redqueen.benchmarks.heldout import RESERVED, SUITE, heldout_tasks

__all__ = ["RESERVED", "SUITE", "Subject", "evaluate", "heldout_tasks"]
