"""Components as another package would write them: the package knows none of them."""

from collections.abc import Sequence

import numpy as np
import torch

from redqueen.evolution.diversity import Floats, Group
from redqueen.evolution.factors import Child, Factors
from redqueen.evolution.fitness import Fitness
from redqueen.evolution.operators.base import Crossover, Mutation
from redqueen.evolution.replacement import Replacement
from redqueen.evolution.selection import Selection
from redqueen.learner.advantages.base import AdvantageScheme, Memory, rewards_of
from redqueen.learner.teacher_rewards import TeacherReward
from redqueen.population.matchmaking import Matchmaker
from redqueen.population.ratings import RatingSystem
from redqueen.types import Member, Sample


class LastStudent(Matchmaker):
    def weights(self, teacher: Member, students: Sequence[Member], ratings: RatingSystem) -> Floats:
        return np.arange(len(students)) == len(students) - 1.0


class Threshold(TeacherReward):
    below: float = 0.5

    def of(self, solve_rate: float) -> float:
        return float(0.0 < solve_rate < self.below)


class RawReward(AdvantageScheme):
    def advantages(self, samples: Sequence[Sample], memory: Memory) -> Floats:
        memory["calls"] = memory.get("calls", 0) + 1
        return rewards_of(samples)


class YoungestFittest(Fitness):
    def of(self, group: Group, sigma: float) -> Floats:
        return np.array([float(member.id) for member in group.members])


class BestTwo(Selection):
    def parents(
        self, survivors: Sequence[Member], count: int, rng: np.random.Generator
    ) -> tuple[Member, ...]:
        return tuple(survivors[:count])


class SecondWorst(Replacement):
    def losers(
        self, candidates: Sequence[Member], count: int, rng: np.random.Generator
    ) -> tuple[Member, ...]:
        return tuple(candidates[1 : 1 + count])


class Negate(Mutation):
    size: float = 1.0

    def mutate(self, parent: Factors, generator: torch.Generator) -> Child:
        return {name: (A.clone(), -self.size * B) for name, (A, B) in parent.items()}


class Other(Crossover):
    def cross(self, fitter: Factors, other: Factors, generator: torch.Generator) -> Child:
        return {name: (A.clone(), B.clone()) for name, (A, B) in other.items()}
