"""The number that selection acts on: one for each member of a group that competes."""

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from redqueen.config.component import Component, Of
from redqueen.config.evolution import EvolutionConfig, SharingConfig
from redqueen.config.rollout import RolloutConfig
from redqueen.evolution.diversity import Floats, Group
from redqueen.types import Role


class Fitness(Component):
    """Base of what a config names as a fitness."""

    @property
    def needs_ratings(self) -> bool:
        """Whether it is the same for ever where no match is rated."""
        return False

    @property
    def compares(self) -> bool:
        """Whether it needs the distances between all members."""
        return False

    @property
    def probe(self) -> "Probe | None":
        """The probe that it goes by; None: it needs none."""
        return None

    def of(self, group: Group, sigma: float) -> Floats:
        """Return the fitness [M] of a group's members; `sigma` is a newcomer's.

        More is better, only differences matter.
        """
        raise NotImplementedError


class Conservative(Fitness):
    """Mu - 3 sigma: what the member is almost surely worth."""

    @property
    def needs_ratings(self) -> bool:
        """Whether it is the same for ever where no match is rated: yes."""
        return True

    def of(self, group: Group, sigma: float) -> Floats:
        """Return mu - 3 sigma."""
        return np.array([member.conservative_rating for member in group.members])


class Mean(Fitness):
    """Mu: the best guess, which does not punish a newborn for its wide sigma."""

    @property
    def needs_ratings(self) -> bool:
        """Whether it is the same for ever where no match is rated: yes."""
        return True

    def of(self, group: Group, sigma: float) -> Floats:
        """Return mu."""
        return np.array([member.mu for member in group.members])


def _pooled(sums_M: Floats, counts_M: Floats) -> Floats:
    """Return means; who has nothing to average gets the mean over the whole group (0 if none)."""
    pooled = sums_M.sum() / max(1.0, counts_M.sum())
    return np.where(counts_M > 0, sums_M / np.maximum(counts_M, 1.0), pooled)


class SolveRate(Fitness):
    """What the member earned since the last generation, in place of its rating.

    A student: its solved attempts (with partial credit, their scores) over its attempts. A teacher:
    the mean reward of its proposals, which is the learnability of its tasks less the penalties of
    those that were rejected. A self-play member: the mean of both. Who did nothing is as good as
    the whole group's average.
    """

    def of(self, group: Group, sigma: float) -> Floats:
        """Return the mean score, the mean reward, or the mean of both."""
        done = group.activities
        by_role = {
            Role.STUDENT: _pooled(
                np.array([a.solved for a in done]), np.array([float(a.attempts) for a in done])
            ),
            Role.TEACHER: _pooled(
                np.array([a.reward for a in done]), np.array([float(a.proposals) for a in done])
            ),
        }
        fitness_M: Floats = np.mean([by_role[role] for role in group.members[0].roles], axis=0)
        return fitness_M


class Probe(Fitness):
    """What the member is worth on common tasks (`redqueen.evolution.probe`).

    In the last step of a generation every teacher writes, and every task goes to every student. A
    student: its mean score. A teacher: the mean reward of its proposals, the differences between
    task kinds taken off. Ratings stay for matchmaking.
    """

    tasks: int = Field(8, ge=1)
    """Proposals that a teacher writes for each of its matches, or tasks of the stream for each
    match. A teacher has one match in each environment; with `rollout.matches` above the number of
    teachers more, all teachers equally many."""
    attempts: int = Field(4, ge=1)
    """Attempts of every student at each of the tasks; they are trained on like others."""

    @property
    def probe(self) -> "Probe":
        """The probe that it goes by: this one."""
        return self

    def step(self, rollout: RolloutConfig, teachers: int, environments: int) -> RolloutConfig:
        """Return the size of the step that is the probe: full rounds of the teachers, so many that
        each has a match in every environment."""
        turns = max(1, teachers)
        rounds = max(-(-rollout.matches // turns), environments)
        return rollout.model_copy(
            update={
                "matches": rounds * turns,
                "students_per_task": "all",
                "tasks_per_match": self.tasks,
                "attempts": self.attempts,
                "mixed_groups": 0,
            }
        )

    def of(self, group: Group, sigma: float) -> Floats:
        """Return the mean scores or rewards.

        Raises:
            ValueError: there was no probe in this step.
        """
        if group.probe_M is None:
            raise ValueError("the fitness `probe` was asked for in a step without a probe")
        return group.probe_M


def novelty_of(distances_MM: Floats, neighbours: int) -> Floats:
    """Return the mean distance [M] to the `neighbours` nearest others.

    Lehman and Stanley, "Abandoning objectives", Evolutionary Computation 2011. Distances that are
    not known (nan) are left out; who has none is as novel as the others on average.
    """
    distances_MM = distances_MM.copy()
    np.fill_diagonal(distances_MM, np.nan)
    nearest = [np.sort(row[~np.isnan(row)])[:neighbours] for row in distances_MM]
    means = [float(near.mean()) for near in nearest if near.size]
    average = float(np.mean(means)) if means else 0.0
    return np.array([near.mean() if near.size else average for near in nearest])


class Novelty(Mean):
    """Mu + weight x sigma_0 x novelty, novelty by behaviour and sigma_0 a newcomer's sigma.

    Lehman and Stanley search for novelty alone; here it is a bonus in units of the rating.
    """

    @property
    def needs_ratings(self) -> bool:
        """Whether it is the same for ever where no match is rated: novelty is not."""
        return False

    @property
    def compares(self) -> bool:
        """Whether it needs the distances between all members: yes."""
        return True

    weight: float = Field(1.0, ge=0)
    """What the greatest possible novelty is worth, in newcomers' sigmas."""
    neighbours: int = Field(3, ge=1)
    """Nearest neighbours that a member is compared with."""

    def of(self, group: Group, sigma: float) -> Floats:
        """Return mu plus the bonus."""
        bonus_M = self.weight * sigma * novelty_of(group.behaviour_MM, self.neighbours)
        return super().of(group, sigma) + bonus_M


ABOVE_ALL = 2.0
"""Dominated novelty of the fittest: distances by behaviour are at most 1."""


class DominatedNovelty(Fitness):
    """Mean distance by behaviour to the nearest members that are fitter.

    Dominated novelty search (Bahlous-Boldi et al., arXiv 2502.00593): a member has to be unlike
    those that are better than it. The fittest, for whom there are none, come above all others.
    Fitter is a matter of the fitness `by`.
    """

    by: Annotated[Any, Of("fitness")] = Field("mean")
    """The fitness that says who is fitter."""
    neighbours: int = Field(3, ge=1)
    """Nearest fitter members that a member is compared with."""

    @property
    def needs_ratings(self) -> bool:
        """Whether it is the same for ever where no match is rated: if `by` is."""
        needed: bool = self.by.needs_ratings
        return needed

    @property
    def compares(self) -> bool:
        """Whether it needs the distances between all members: yes."""
        return True

    @property
    def probe(self) -> Probe | None:
        """The probe that `by` needs."""
        probe: Probe | None = self.by.probe
        return probe

    def of(self, group: Group, sigma: float) -> Floats:
        """Return the distances; a distance that is not known is left out, 0 if none is."""
        fitness_M: Floats = self.by.of(group, sigma)
        result_M = np.zeros(len(fitness_M))
        for i, row in enumerate(group.behaviour_MM):
            fitter = row[fitness_M > fitness_M[i]]
            nearest = np.sort(fitter[~np.isnan(fitter)])[: self.neighbours]
            top = ABOVE_ALL if not fitter.size else 0.0
            result_M[i] = nearest.mean() if nearest.size else top
        return result_M


def shared(fitness_M: Floats, distances_MM: Floats, config: SharingConfig) -> Floats:
    """Return the fitness [M] that is left when neighbours share theirs.

    Goldberg and Richardson, "Genetic algorithms with sharing", ICGA 1987: f'_i = f~_i /
    sum_j sh(d_ij), sh(d) = 1 - (d / radius)^exponent within the radius, else 0. Dividing asks for
    positive numbers, and ratings have no natural zero: f~ = f - min f + s, with s the standard
    deviation of f (1 if all are equal). So the least fit keeps a stake that crowding divides, and
    the order does not change when ratings are shifted or scaled. A distance that is not known (nan)
    shares nothing.
    """
    # Not by the deviation itself: that of equal numbers may differ from 0 by rounding.
    spread = float(fitness_M.std()) if np.ptp(fitness_M) > 0.0 else 1.0
    raised_M = fitness_M - fitness_M.min() + spread
    near_MM = np.where(np.isnan(distances_MM), np.inf, distances_MM) / config.radius
    sharing_MM = 1.0 - np.minimum(near_MM, 1.0) ** config.exponent
    np.fill_diagonal(sharing_MM, 1.0)
    shared_M: Floats = raised_M / sharing_MM.sum(1)
    return shared_M


def group_fitness(group: Group, config: EvolutionConfig, sigma: float) -> Floats:
    """Return the fitness [M] as configured, shared among neighbours if sharing is on."""
    fitness_M: Floats = config.fitness.of(group, sigma)
    if config.sharing.by == "off":
        return fitness_M
    distances_MM = group.weights_MM if config.sharing.by == "weights" else group.behaviour_MM
    return shared(fitness_M, distances_MM, config.sharing)
