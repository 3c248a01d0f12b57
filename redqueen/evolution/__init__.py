"""Fitness, selection, variation and replacement of adapters, on low-rank factors alone."""

from redqueen.evolution.crossover import CROSSOVERS
from redqueen.evolution.evolve import buried, check_operators, evolve, is_due
from redqueen.evolution.fitness import FITNESS
from redqueen.evolution.mutation import MUTATIONS

__all__ = ["CROSSOVERS", "FITNESS", "MUTATIONS", "buried", "check_operators", "evolve", "is_due"]
