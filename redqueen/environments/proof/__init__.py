"""Theorems and proofs of small theories, in Metamath's language."""

from redqueen.environments.proof.environment import Proof, ProofEnvironment

__all__ = ["Proof", "ProofEnvironment"]
