"""Replacement: who goes at the end of a generation, and what a newcomer starts from."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from redqueen.config import Config, EvolutionConfig
from redqueen.types import Member

Rule = Callable[[Sequence[Member], int, int, np.random.Generator], tuple[Member, ...]]
"""Picks `count` of the candidates to go; they come worst first, and so do the picked."""


class Split(NamedTuple):
    """`removed` in the order in which they were picked, `survivors` best first."""

    removed: tuple[Member, ...]
    survivors: tuple[Member, ...]


def cull_count(members: int, cull: float, elites: int = 0) -> int:
    """Share `cull` rounded down, but one at least; all but one, and all but the elites, at most.

    0 if `cull` is 0.
    """
    if cull == 0.0 or members < 2:
        return 0
    return max(0, min(members - max(1, elites), max(1, math.floor(cull * members + 1e-9))))


def worst(
    candidates: Sequence[Member], count: int, size: int, rng: np.random.Generator
) -> tuple[Member, ...]:
    """The least fit (the other half of truncation selection)."""
    return tuple(candidates[:count])


def tournament(
    candidates: Sequence[Member], count: int, size: int, rng: np.random.Generator
) -> tuple[Member, ...]:
    """The least fit of `size` drawn candidates, time and again: a weak one may be lucky."""
    left = list(candidates)
    lost = []
    for _ in range(count):
        drawn = rng.choice(len(left), size=min(size, len(left)), replace=False)
        lost.append(left.pop(int(drawn.min())))
    return tuple(lost)


def oldest(
    candidates: Sequence[Member], count: int, size: int, rng: np.random.Generator
) -> tuple[Member, ...]:
    """The first born, as in ageing evolution (Real et al., AAAI 2019); of equals the least fit."""
    return tuple(sorted(candidates, key=lambda member: member.born)[:count])


REPLACEMENT: dict[str, Rule] = {"worst": worst, "tournament": tournament, "oldest": oldest}


def replaced(
    members: Sequence[Member],
    fitness: Sequence[float],
    config: EvolutionConfig,
    rng: np.random.Generator,
) -> Split:
    """Who of a group goes; the `elites` fittest never do. Of equals the first born is the weaker.

    Raises:
        ValueError: not one fitness a member.
    """
    if len(fitness) != len(members):
        raise ValueError(f"{len(fitness)} fitness values for {len(members)} members")
    pairs = zip(fitness, members, strict=True)
    ranked = [m for _, m in sorted(pairs, key=lambda pair: (pair[0], pair[1].id))]
    count = cull_count(len(ranked), config.cull, config.elites)
    candidates = ranked[: len(ranked) - config.elites] if config.elites else ranked
    rule = REPLACEMENT[config.replacement]
    removed = rule(candidates, count, config.tournament_size, rng)
    gone = {member.id for member in removed}
    return Split(removed, tuple(m for m in reversed(ranked) if m.id not in gone))


def child_rating(parents: Sequence[Member], config: Config) -> tuple[float, float]:
    """(mu, sigma) that a child starts from.

    `new`: a newcomer's, mu_0 and sigma_0. `parents`: mu the mean of the parents', sigma the root
    mean square of theirs, but no less than `child_sigma` x sigma_0, as nobody has seen the child.
    """
    if config.evolution.child_rating == "new":
        return config.population.mu, config.population.sigma
    mu = math.fsum(parent.mu for parent in parents) / len(parents)
    variance = math.fsum(parent.sigma**2 for parent in parents) / len(parents)
    floor = config.evolution.child_sigma * config.population.sigma
    return mu, max(math.sqrt(variance), floor)
