"""Fitness, selection, variation and replacement of adapters, on low-rank factors alone."""

from redqueen.evolution.behaviour import Activity, BehaviourLog, step_activity
from redqueen.evolution.diversity import Survey, survey
from redqueen.evolution.evolve import Evolution, Guest, check_probed, check_rated, removed_members
from redqueen.evolution.fitness import Probe
from redqueen.evolution.probe import ProbeResult, guest_fitness, probe_result, with_probe

__all__ = [
    "Activity",
    "BehaviourLog",
    "Evolution",
    "Guest",
    "Probe",
    "ProbeResult",
    "Survey",
    "check_probed",
    "check_rated",
    "guest_fitness",
    "probe_result",
    "removed_members",
    "step_activity",
    "survey",
    "with_probe",
]
