"""Hyperparameters that a member carries, and how children change them.

Population-based training (Jaderberg et al., arXiv 1711.09846): copy, then explore.
"""

import math
from typing import NamedTuple

import numpy as np

from redqueen.config.evolution import HyperparametersConfig
from redqueen.types import Member


class Hyperparameters(NamedTuple):
    """The fields of the same names of `Member`."""

    learning_rate_factor: float
    temperature: float | None


def _explore(
    value: float,
    bounds: tuple[float, float],
    config: HyperparametersConfig,
    rng: np.random.Generator,
) -> float:
    """Perturb the value, or draw it anew, evenly on a logarithmic scale; within the bounds."""
    low, high = bounds
    if rng.random() < config.resample_probability:
        return float(np.clip(math.exp(rng.uniform(math.log(low), math.log(high))), low, high))
    factors = config.perturbations
    return float(np.clip(value * factors[int(rng.integers(len(factors)))], low, high))


def inherit(
    parent: Member,
    config: HyperparametersConfig,
    temperature: float,
    rng: np.random.Generator,
) -> Hyperparameters:
    """Return the first parent's hyperparameters, those named in `config.vary` changed.

    `temperature` is the run's, for a parent that has none itself.
    """
    factor, child_temperature = parent.learning_rate_factor, parent.temperature
    if "learning_rate" in config.vary:
        factor = _explore(factor, config.learning_rate_bounds, config, rng)
    if "temperature" in config.vary:
        before = temperature if child_temperature is None else child_temperature
        child_temperature = _explore(before, config.temperature_bounds, config, rng)
    return Hyperparameters(factor, child_temperature)
