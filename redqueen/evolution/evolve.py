"""One generation: fitness -> selection -> variation -> replacement, within each kind of member."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from torch import Tensor

from redqueen.config.component import component_name
from redqueen.config.evolution import EvolutionConfig
from redqueen.config.population import PopulationConfig
from redqueen.config.rollout import RolloutConfig
from redqueen.errors import ConfigError
from redqueen.evolution.diversity import Group, Survey
from redqueen.evolution.factors import Child, relative_change
from redqueen.evolution.fitness import Probe, group_fitness
from redqueen.evolution.hyperparameters import inherit
from redqueen.evolution.operators.base import Crossover, Mutation
from redqueen.evolution.replacement import child_rating, split
from redqueen.population.population import Population
from redqueen.rng import numpy_rng, torch_rng
from redqueen.types import GUEST, EvolutionEvent, Member, Role


class AdapterSlots(Protocol):
    """The stacked adapters, seen one slot at a time."""

    def get(self, slot: int) -> Mapping[str, tuple[Tensor, Tensor]]:
        """Return layer name -> (A [r, in], B [out, r]) of one slot."""

    def set(self, slot: int, factors: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Copy the factors into the slot."""


class OptimizerSlots(Protocol):
    """The optimizer's state, seen one slot at a time."""

    def reset_slot(self, slot: int) -> None:
        """Forget all moments and the step count of one slot."""

    def copy_slot(self, source: int, target: int) -> None:
        """Give the target slot the moments and the step count of the source slot."""


def check_rated(population: PopulationConfig, evolution: EvolutionConfig) -> None:
    """Check that selection by rating has ratings to go by.

    Raises:
        ConfigError: members compete that no match ever rates (students without teachers, several
            self-play members), so that their fitness would be the same for ever.
    """
    if evolution.enabled and evolution.fitness.probe and population.self_play > 1:
        raise ConfigError(
            "evolution.fitness = 'probe': self-play members attempt only tasks of their own, so "
            "there are no common tasks; set evolution.fitness to 'solve_rate'"
        )
    unrated = max(population.self_play, 0 if population.teachers else population.students)
    if evolution.enabled and evolution.fitness.needs_ratings and unrated > 1:
        name = component_name("fitness", evolution.fitness)
        raise ConfigError(
            f"evolution.fitness = {name!r} selects by rating, but {unrated} members meet "
            "no rated opponent; set evolution.fitness to 'solve_rate' or evolution.enabled to false"
        )


def check_probed(evolution: EvolutionConfig, rollout: RolloutConfig) -> None:
    """Check that students of other nodes can be measured like one's own.

    Raises:
        ConfigError: there is no probe, or a student cannot attempt its tasks alone.
    """
    if not evolution.enabled or evolution.fitness.probe is None:
        raise ConfigError(
            "swarm.islands: students of other nodes are measured on a probe; set evolution.enabled "
            "to true and evolution.fitness to 'probe'"
        )
    if rollout.interaction.least_students > 1:
        raise ConfigError(
            "swarm.islands: a student of another node is measured alone, and rollout.interaction "
            "needs several; set swarm.islands.enabled to false"
        )


@dataclass(frozen=True, slots=True)
class Birth:
    """A child before it is born: whom it replaces, how it is made, and of whom."""

    removed: Member
    parents: tuple[Member, ...]
    """The fitter first."""
    operator: Mutation | Crossover

    @property
    def operator_name(self) -> str:
        """The operator's name in a config."""
        kind = "mutation" if isinstance(self.operator, Mutation) else "crossover"
        return component_name(kind, self.operator)


@dataclass(frozen=True, slots=True)
class Guest:
    """A student of another node, measured on this step's probe."""

    origin: str
    factors: Mapping[str, tuple[Tensor, Tensor]]
    fitness: float


@dataclass(frozen=True, slots=True)
class Evolution:
    """Replaces members by children of others. All draws derive from (seed, step, slot or group)."""

    config: EvolutionConfig
    newcomers: PopulationConfig
    """Its mu and sigma are what a newcomer is rated."""
    temperatures: Mapping[Role, float]
    """Of sampling, for members that do not have their own."""
    seed: int
    frozen: frozenset[Role] = frozenset()
    """Members that have no other roles are left as they are."""

    def is_due(self, step: int) -> bool:
        """Return whether a generation ends after `step` steps are done (step counts from 1)."""
        config = self.config
        return config.enabled and config.cull > 0 and step > 0 and step % config.interval == 0

    def probe_at(self, step: int) -> Probe | None:
        """Return the probe that this step is to be, None for an ordinary step."""
        probe: Probe | None = self.config.fitness.probe
        return probe if self.is_due(step) else None

    def probes_before(self, step: int) -> int:
        """Return how many steps before this one were probes."""
        return sum(self.probe_at(earlier) is not None for earlier in range(1, step))

    def evolve(
        self,
        population: Population,
        survey: Survey,
        adapters: AdapterSlots,
        optimizer: OptimizerSlots,
        step: int,
        guests: Sequence[Guest] = (),
    ) -> tuple[Population, tuple[EvolutionEvent, ...]]:
        """Return the next generation, and who replaced whom; call it when `is_due`.

        Teachers, students and self-play members (event role: teacher) evolve apart. A child takes
        the slot and roles of the member it replaces and a new id; rating, optimizer state and
        hyperparameters are as configured. `survey` is of this population. Adapters and optimizer
        are changed in place, survivors' slots are left as they are. A guest that did better on the
        probe than a student that goes takes its place, in a child's stead; the best first.
        """
        events = []
        for group in survey.groups:
            if self.frozen.issuperset(group.members[0].roles):
                continue
            fitness = group_fitness(group, self.config, self.newcomers.sigma).tolist()
            fitness_of = {m.id: f for m, f in zip(group.members, fitness, strict=True)}
            waiting = _best_first(guests) if group.name == "student" else []
            for birth in self._births(group, fitness, step):
                removed, origin = birth.removed, ""
                details = {"removed_fitness": fitness_of[removed.id]}
                if waiting and waiting[0].fitness > _probed(group, removed):
                    guest = waiting.pop(0)
                    child, origin = self._settler(removed, population.next_id, step), guest.origin
                    adapters.set(removed.slot, guest.factors)
                    optimizer.reset_slot(removed.slot)
                    details["guest_fitness"] = guest.fitness
                else:
                    child = self._newborn(birth, population.next_id, step)
                    details["change"] = self._make(birth, adapters, optimizer, step)
                    details |= {
                        f"parent_fitness_{i}": fitness_of[parent.id]
                        for i, parent in enumerate(birth.parents)
                    }
                population = population.replace(removed.id, child)
                events.append(
                    EvolutionEvent(
                        step, removed.roles[0], removed.id, child.id, child.parents,
                        child.operator, details, origin,
                    )
                )  # fmt: skip
        return population, tuple(events)

    def _settler(self, removed: Member, id_: int, step: int) -> Member:
        """Return the member that a guest becomes: nothing is known of it but its weights."""
        return Member(
            id=id_,
            slot=removed.slot,
            roles=removed.roles,
            mu=self.newcomers.mu,
            sigma=self.newcomers.sigma,
            born=step,
            operator=GUEST,
        )

    def _births(self, group: Group, fitness: list[float], step: int) -> list[Birth]:
        """Return who goes, and for each of them an operator and parents."""
        rng = numpy_rng(self.seed, step, "replace", group.name)
        removed, survivors = split(group.members, fitness, self.config, rng)
        births = []
        for member in removed:
            rng = numpy_rng(self.seed, step, "evolve", member.slot)
            operator = self._draw_operator(len(survivors), rng)
            count = 1 if isinstance(operator, Mutation) else 2
            parents = self.config.selection.parents(survivors, count, rng)
            births.append(Birth(member, parents, operator))
        return births

    def _draw_operator(self, survivors: int, rng: np.random.Generator) -> Mutation | Crossover:
        crosses = rng.random() < self.config.crossover_probability and survivors >= 2
        operators = self.config.crossovers if crosses else self.config.mutations
        operator: Mutation | Crossover = operators[int(rng.integers(len(operators)))]
        return operator

    def _make(
        self, birth: Birth, adapters: AdapterSlots, optimizer: OptimizerSlots, step: int
    ) -> float:
        """Put the child into its slot; return how far its update is from its first parent's.

        Parents are survivors, whose slots no child takes: the order of births does not matter.
        """
        slot, first = birth.removed.slot, birth.parents[0].slot
        factors = [adapters.get(parent.slot) for parent in birth.parents]
        generator = torch_rng(self.seed, step, "vary", slot, device="cpu")
        child: Child
        if isinstance(birth.operator, Mutation):
            child = birth.operator.mutate(factors[0], generator)
        else:
            child = birth.operator.cross(factors[0], factors[1], generator)
        change = relative_change(child, factors[0])
        adapters.set(slot, child)
        if self.config.child_optimizer == "parent":
            optimizer.copy_slot(first, slot)
        else:
            optimizer.reset_slot(slot)
        return change

    def _newborn(self, birth: Birth, id_: int, step: int) -> Member:
        """Return the child as a member: rating and hyperparameters as configured."""
        removed = birth.removed
        mu, sigma = child_rating(birth.parents, self.config, self.newcomers)
        inherited = inherit(
            birth.parents[0],
            self.config.hyperparameters,
            self.temperatures[removed.roles[0]],
            numpy_rng(self.seed, step, "hyperparameters", removed.slot),
        )
        return Member(
            id=id_,
            slot=removed.slot,
            roles=removed.roles,
            mu=mu,
            sigma=sigma,
            born=step,
            parents=tuple(parent.id for parent in birth.parents),
            operator=birth.operator_name,
            learning_rate_factor=inherited.learning_rate_factor,
            temperature=inherited.temperature,
        )


def _best_first(guests: Sequence[Guest]) -> list[Guest]:
    return sorted(guests, key=lambda guest: (-guest.fitness, guest.origin))


def _probed(group: Group, member: Member) -> float:
    """Return what the probe of this step says of a member."""
    if group.probe_M is None:
        raise ValueError("guests are compared by a probe, which this step had none of")
    return float(group.probe_M[group.members.index(member)])


def removed_members(before: Population, events: tuple[EvolutionEvent, ...]) -> tuple[Member, ...]:
    """Return the members that `events` removed, with `died` set; for the record of the step."""
    return tuple(replace(before.by_id(e.removed), died=e.step) for e in events)
