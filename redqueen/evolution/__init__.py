"""Fitness, selection, variation and replacement of adapters, on low-rank factors alone."""

from redqueen.evolution.activity import Activity, Chronicle, step_activity
from redqueen.evolution.crossover import CROSSOVERS
from redqueen.evolution.diversity import Group, Survey, survey
from redqueen.evolution.evolve import buried, check_operators, check_rated, evolve, is_due
from redqueen.evolution.fitness import FITNESS
from redqueen.evolution.mutation import MUTATIONS
from redqueen.evolution.replacement import REPLACEMENT
from redqueen.evolution.selection import SELECTION

__all__ = [
    "CROSSOVERS",
    "FITNESS",
    "MUTATIONS",
    "REPLACEMENT",
    "SELECTION",
    "Activity",
    "Chronicle",
    "Group",
    "Survey",
    "buried",
    "check_operators",
    "check_rated",
    "evolve",
    "is_due",
    "step_activity",
    "survey",
]
