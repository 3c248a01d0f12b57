"""Hyperparameters that a member carries, and how children change them.

Population-based training (Jaderberg et al., arXiv 1711.09846): copy, then explore.
"""

import math
from typing import NamedTuple

import numpy as np

from redqueen.config import Config
from redqueen.types import Member


class Hyperparameters(NamedTuple):
    """A member's own: see `Member`."""

    learning_rate_factor: float
    temperature: float | None


def _explore(
    value: float, bounds: tuple[float, float], config: Config, rng: np.random.Generator
) -> float:
    """Perturb the value, or draw it anew, evenly on a logarithmic scale; within the bounds."""
    low, high = bounds
    if rng.random() < config.evolution.resample_probability:
        return float(np.clip(math.exp(rng.uniform(math.log(low), math.log(high))), low, high))
    factors = config.evolution.perturbations
    return float(np.clip(value * factors[int(rng.integers(len(factors)))], low, high))


def inherit(parent: Member, config: Config, rng: np.random.Generator) -> Hyperparameters:
    """The first parent's hyperparameters, those named in `evolution.hyperparameters` mutated."""
    wanted = config.evolution.hyperparameters
    factor, temperature = parent.learning_rate_factor, parent.temperature
    if "learning_rate" in wanted:
        factor = _explore(factor, config.evolution.learning_rate_bounds, config, rng)
    if "temperature" in wanted:
        own = config.rollout.temperature if temperature is None else temperature
        temperature = _explore(own, config.evolution.temperature_bounds, config, rng)
    return Hyperparameters(factor, temperature)
