"""Theorems and proofs in Lean 4."""

from redqueen.environments.lean.environment import Lean, LeanEnvironment, probe

__all__ = ["Lean", "LeanEnvironment", "probe"]
