"""Shim."""

from redqueen.engines.policy import Policy as PopulationModel

__all__ = ["PopulationModel"]
