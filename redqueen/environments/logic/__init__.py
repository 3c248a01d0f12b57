"""Constraint puzzles in a small typed language, with Z3 to say whether they have a solution."""

from redqueen.environments.logic.environment import Logic, LogicEnvironment

__all__ = ["Logic", "LogicEnvironment"]
