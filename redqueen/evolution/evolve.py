"""One generation: fitness -> selection -> variation -> replacement, within each kind of member."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np
from torch import Tensor

from redqueen.config import Config, EvolutionConfig
from redqueen.evolution.crossover import CROSSOVERS
from redqueen.evolution.factors import Factors, relative_change
from redqueen.evolution.fitness import FITNESS
from redqueen.evolution.mutation import MUTATIONS
from redqueen.evolution.selection import draw_parents, truncation
from redqueen.population.population import BOTH_ROLES, Population
from redqueen.rng import numpy_rng, torch_rng
from redqueen.types import ConfigError, EvolutionEvent, Member, Role


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


def _make_child(
    removed: Member,
    survivors: tuple[Member, ...],
    adapters: AdapterSlots,
    config: Config,
    step: int,
    seed: int,
) -> tuple[dict[str, tuple[Tensor, Tensor]], EvolutionEvent]:
    """The child's factors and the event, whose child id is not known yet (-1)."""
    rng = numpy_rng(seed, step, "evolve", removed.slot)
    name, count = _pick_operator(config.evolution, len(survivors), rng)
    parents = draw_parents(survivors, count, rng)
    factors: list[Factors] = [adapters.get(parent.slot) for parent in parents]
    operator = (MUTATIONS if count == 1 else CROSSOVERS)[name]
    child = operator(
        factors, config.evolution, torch_rng(seed, step, "vary", removed.slot, device="cpu")
    )
    fitness = FITNESS[config.evolution.fitness]
    details = {"removed_fitness": fitness(removed), "change": relative_change(child, factors[0])}
    details |= {f"parent_fitness_{i}": fitness(parent) for i, parent in enumerate(parents)}
    event = EvolutionEvent(
        step=step,
        role=removed.roles[0],
        removed=removed.id,
        child=-1,
        parents=tuple(parent.id for parent in parents),
        operator=name,
        details=details,
    )
    return child, event


def evolve(
    population: Population,
    adapters: AdapterSlots,
    optimizer: OptimizerSlots,
    config: Config,
    step: int,
    seed: int,
) -> tuple[Population, tuple[EvolutionEvent, ...]]:
    """Replace the least fit of each role by children of the survivors; call it when `is_due`.

    Teachers, students and self-play members (event role: teacher) evolve apart. A child takes the
    slot and roles of the member it replaces, a new id, a new rating and an empty optimizer state.
    Adapters and optimizer are changed in place; the population is returned anew. All draws derive
    from (seed, step, slot).

    Raises:
        ConfigError: see `check_operators`.
    """
    check_operators(config.evolution)
    events = []
    for roles in ((Role.TEACHER,), (Role.STUDENT,), BOTH_ROLES):
        removed, survivors = truncation(
            population.with_roles(roles), FITNESS[config.evolution.fitness], config.evolution.cull
        )
        for old in removed:
            factors, event = _make_child(old, survivors, adapters, config, step, seed)
            event = replace(event, child=population.next_id)
            child = Member(
                id=event.child,
                slot=old.slot,
                roles=old.roles,
                mu=config.population.mu,
                sigma=config.population.sigma,
                born=step,
                parents=event.parents,
                operator=event.operator,
            )
            # Parents are survivors, whose slots no child takes: the order does not matter.
            adapters.set(old.slot, factors)
            optimizer.reset_slot(old.slot)
            population = population.replace(old.id, child)
            events.append(event)
    return population, tuple(events)


def buried(before: Population, events: tuple[EvolutionEvent, ...]) -> tuple[Member, ...]:
    """The members that died in `events`, with `died` set; for the record of the step."""
    return tuple(replace(before.by_id(e.removed), died=e.step) for e in events)
