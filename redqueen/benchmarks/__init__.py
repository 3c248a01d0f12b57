"""Held-out evaluation suites."""

from redqueen.benchmarks.evaluate import Subject, evaluate, measure

__all__ = ["Subject", "evaluate", "measure"]
