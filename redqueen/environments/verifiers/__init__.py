"""Tasks and rewards of a taskset of the package verifiers."""

from redqueen.environments.verifiers.environment import Verifiers, VerifiersEnvironment

__all__ = ["Verifiers", "VerifiersEnvironment"]
