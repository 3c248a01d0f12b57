"""The number that selection acts on: one for each member of a group that competes."""

from collections.abc import Callable

import numpy as np

from redqueen.config import Config, EvolutionConfig
from redqueen.evolution.diversity import Floats, Group
from redqueen.types import Role

Fitness = Callable[[Group, Config], Floats]
"""Fitness [M] of the members of a group; more is better, only differences matter."""


def conservative(group: Group, config: Config) -> Floats:
    """Mu - 3 sigma: what the member is almost surely worth."""
    return np.array([member.conservative_rating for member in group.members])


def mean(group: Group, config: Config) -> Floats:
    """Mu: the best guess, which does not punish a newborn for its wide sigma."""
    return np.array([member.mu for member in group.members])


def _pooled(sums_M: Floats, counts_M: Floats) -> Floats:
    """Means; who has nothing to average gets the mean over all that the group did (0 if none)."""
    pooled = sums_M.sum() / max(1.0, counts_M.sum())
    return np.where(counts_M > 0, sums_M / np.maximum(counts_M, 1.0), pooled)


def solve_rate(group: Group, config: Config) -> Floats:
    """What the member earned since the last generation, in place of its rating.

    A student: its solved attempts (with partial credit, their scores) over its attempts. A teacher:
    the mean reward of its proposals, which is the learnability of its tasks less the penalties of
    those that were rejected. A self-play member: the mean of both. Who did nothing is as good as
    the whole group's average.
    """
    done = group.activities
    solved = _pooled(
        np.array([a.solved for a in done]), np.array([float(a.attempts) for a in done])
    )
    earned = _pooled(
        np.array([a.reward for a in done]), np.array([float(a.proposals) for a in done])
    )
    of_role = {Role.STUDENT: solved, Role.TEACHER: earned}
    found_M: Floats = np.mean([of_role[role] for role in group.members[0].roles], axis=0)
    return found_M


def novelty_M(distances_MM: Floats, neighbours: int) -> Floats:
    """Mean distance [M] to the `neighbours` nearest others (Lehman and Stanley, "Abandoning
    objectives", Evolutionary Computation 2011).

    Unknown distances (nan) are left out; who has none is as novel as the others on average.
    """
    distances_MM = distances_MM.copy()
    np.fill_diagonal(distances_MM, np.nan)
    found = [np.sort(row[~np.isnan(row)])[:neighbours] for row in distances_MM]
    known = [float(near.mean()) for near in found if near.size]
    average = float(np.mean(known)) if known else 0.0
    return np.array([near.mean() if near.size else average for near in found])


def novelty(group: Group, config: Config) -> Floats:
    """Mu + weight x sigma_0 x novelty, novelty by behaviour and sigma_0 a newcomer's sigma.

    Lehman and Stanley search for novelty alone; here it is a bonus in units of the rating.
    """
    wanted = config.evolution
    found_M = novelty_M(group.behaviour_MM, wanted.novelty_neighbours)
    return mean(group, config) + wanted.novelty_weight * config.population.sigma * found_M


FITNESS: dict[str, Fitness] = {
    "conservative": conservative,
    "mean": mean,
    "solve_rate": solve_rate,
    "novelty": novelty,
}


def shared(fitness_M: Floats, distances_MM: Floats, config: EvolutionConfig) -> Floats:
    """Fitness sharing (Goldberg and Richardson, "Genetic algorithms with sharing", ICGA 1987).

    f'_i = f~_i / sum_j sh(d_ij), sh(d) = 1 - (d / radius)^exponent within the radius, else 0.
    Dividing asks for positive numbers, and ratings have no natural zero: f~ = f - min f + s, with s
    the standard deviation of f (1 if all are equal). So the least fit keeps a stake that crowding
    divides, and the order does not change when ratings are shifted or scaled. An unknown distance
    (nan) shares nothing.
    """
    # Not by the deviation itself: that of equal numbers may differ from 0 by rounding.
    spread = float(fitness_M.std()) if np.ptp(fitness_M) > 0.0 else 1.0
    raised_M = fitness_M - fitness_M.min() + spread
    near_MM = np.where(np.isnan(distances_MM), np.inf, distances_MM) / config.sharing_radius
    sharing_MM = 1.0 - np.minimum(near_MM, 1.0) ** config.sharing_exponent
    np.fill_diagonal(sharing_MM, 1.0)
    found_M: Floats = raised_M / sharing_MM.sum(1)
    return found_M


def group_fitness(group: Group, config: Config) -> Floats:
    """Fitness [M] as configured, shared among neighbours if sharing is on."""
    fitness_M = FITNESS[config.evolution.fitness](group, config)
    if config.evolution.sharing == "off":
        return fitness_M
    distances_MM = group.weights_MM if config.evolution.sharing == "weights" else group.behaviour_MM
    return shared(fitness_M, distances_MM, config.evolution)
