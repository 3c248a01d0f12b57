"""One generation: fitness -> selection -> variation -> replacement, within each kind of member."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np
from torch import Tensor

from redqueen.config import Config, EvolutionConfig
from redqueen.errors import ConfigError
from redqueen.evolution.crossover import CROSSOVERS
from redqueen.evolution.diversity import Survey
from redqueen.evolution.factors import Factors, relative_change
from redqueen.evolution.fitness import group_fitness
from redqueen.evolution.hyperparameters import inherit
from redqueen.evolution.mutation import MUTATIONS
from redqueen.evolution.replacement import child_rating, replaced
from redqueen.evolution.selection import SELECTION
from redqueen.population.population import Population
from redqueen.rng import numpy_rng, torch_rng
from redqueen.types import EvolutionEvent, Member


class AdapterSlots(Protocol):
    """The stacked adapters, seen one slot at a time."""

    def get(self, slot: int) -> Mapping[str, tuple[Tensor, Tensor]]:
        """Layer name -> (A [r, in], B [out, r]) of one slot."""

    def set(self, slot: int, factors: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Copy the factors into the slot."""


class OptimizerSlots(Protocol):
    """The optimizer's state, seen one slot at a time."""

    def reset_slot(self, slot: int) -> None:
        """Forget all moments and the step count of one slot."""

    def copy_slot(self, source: int, target: int) -> None:
        """Give the target slot the moments and the step count of the source slot."""


def check_operators(config: EvolutionConfig) -> None:
    """Check the operators named in the configuration, before any expensive work.

    Raises:
        ConfigError: an operator is not known, or one that may be needed is missing.
    """
    for key, known in (("mutations", MUTATIONS), ("crossovers", CROSSOVERS)):
        for name in getattr(config, key):
            if name not in known:
                raise ConfigError(
                    f"evolution.{key}: unknown operator {name!r}; known: {', '.join(known)}"
                )
    if config.enabled and not config.mutations:
        raise ConfigError(
            "evolution.mutations must name at least one operator: it makes the child "
            "when there are not two survivors to cross"
        )
    if config.enabled and config.crossover_probability > 0 and not config.crossovers:
        raise ConfigError(
            "evolution.crossovers is empty; name an operator or set "
            "evolution.crossover_probability to 0"
        )


def check_rated(config: Config) -> None:
    """Check that selection by rating has ratings to go by.

    Raises:
        ConfigError: members compete that no match ever rates (students without teachers, several
            self-play members), so that their fitness would be the same for ever.
    """
    people, wanted = config.population, config.evolution
    unrated = max(people.self_play, 0 if people.teachers else people.students)
    if wanted.enabled and wanted.fitness in ("conservative", "mean") and unrated > 1:
        raise ConfigError(
            f"evolution.fitness = {wanted.fitness!r} selects by rating, but {unrated} members meet "
            "no rated opponent; set evolution.fitness to 'solve_rate' or evolution.enabled to false"
        )


def is_due(config: EvolutionConfig, step: int) -> bool:
    """Whether a generation ends after `step` steps have been done (step counts from 1)."""
    return config.enabled and config.cull > 0 and step > 0 and step % config.interval == 0


def _pick_operator(
    config: EvolutionConfig, survivors: int, rng: np.random.Generator
) -> tuple[str, int]:
    """Name of the operator, and how many parents it takes."""
    crosses = rng.random() < config.crossover_probability
    names, parents = (config.crossovers, 2) if crosses and survivors >= 2 else (config.mutations, 1)
    return names[int(rng.integers(len(names)))], parents


def _vary(
    removed: Member,
    parents: tuple[Member, ...],
    name: str,
    adapters: AdapterSlots,
    config: Config,
    step: int,
    seed: int,
) -> tuple[dict[str, tuple[Tensor, Tensor]], float]:
    """The child's factors, and how far they are from the first parent's."""
    factors: list[Factors] = [adapters.get(parent.slot) for parent in parents]
    operator = (MUTATIONS if len(parents) == 1 else CROSSOVERS)[name]
    generator = torch_rng(seed, step, "vary", removed.slot, device="cpu")
    child = operator(factors, config.evolution, generator)
    return child, relative_change(child, factors[0])


def _newborn(
    removed: Member,
    id_: int,
    parents: tuple[Member, ...],
    operator: str,
    config: Config,
    step: int,
    seed: int,
) -> Member:
    """The child as a member: rating and hyperparameters from its parents, as configured."""
    mu, sigma = child_rating(parents, config)
    own = inherit(parents[0], config, numpy_rng(seed, step, "hyperparameters", removed.slot))
    return Member(
        id=id_,
        slot=removed.slot,
        roles=removed.roles,
        mu=mu,
        sigma=sigma,
        born=step,
        parents=tuple(parent.id for parent in parents),
        operator=operator,
        learning_rate_factor=own.learning_rate_factor,
        temperature=own.temperature,
    )


def evolve(
    population: Population,
    survey: Survey,
    adapters: AdapterSlots,
    optimizer: OptimizerSlots,
    config: Config,
    step: int,
    seed: int,
) -> tuple[Population, tuple[EvolutionEvent, ...]]:
    """Replace members of each kind by children of the survivors; call it when `is_due`.

    Teachers, students and self-play members (event role: teacher) evolve apart. A child takes the
    slot and roles of the member it replaces and a new id; rating, optimizer state and
    hyperparameters are as configured. `survey` is of this population. Adapters and optimizer are
    changed in place, survivors' slots are left as they are; the population is returned anew. All
    draws derive from (seed, step, slot or group).

    Raises:
        ConfigError: see `check_operators`.
    """
    check_operators(config.evolution)
    wanted = config.evolution
    events = []
    for group in survey.groups:
        fitness = group_fitness(group, config).tolist()
        fitness_of = {m.id: f for m, f in zip(group.members, fitness, strict=True)}
        removed, survivors = replaced(
            group.members, fitness, wanted, numpy_rng(seed, step, "replace", group.name)
        )
        for old in removed:
            rng = numpy_rng(seed, step, "evolve", old.slot)
            name, count = _pick_operator(wanted, len(survivors), rng)
            parents = SELECTION[wanted.selection](survivors, count, wanted.tournament_size, rng)
            factors, change = _vary(old, parents, name, adapters, config, step, seed)
            child = _newborn(old, population.next_id, parents, name, config, step, seed)
            details = {"removed_fitness": fitness_of[old.id], "change": change}
            details |= {f"parent_fitness_{i}": fitness_of[p.id] for i, p in enumerate(parents)}
            # Parents are survivors, whose slots no child takes: the order does not matter.
            adapters.set(old.slot, factors)
            if wanted.child_optimizer == "parent":
                optimizer.copy_slot(parents[0].slot, old.slot)
            else:
                optimizer.reset_slot(old.slot)
            population = population.replace(old.id, child)
            events.append(
                EvolutionEvent(step, old.roles[0], old.id, child.id, child.parents, name, details)
            )
    return population, tuple(events)


def buried(before: Population, events: tuple[EvolutionEvent, ...]) -> tuple[Member, ...]:
    """The members that died in `events`, with `died` set; for the record of the step."""
    return tuple(replace(before.by_id(e.removed), died=e.step) for e in events)
