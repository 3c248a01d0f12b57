"""Replacement: who goes at the end of a generation, and what a newcomer starts from."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pydantic import Field

from redqueen.config.component import Component
from redqueen.config.evolution import EvolutionConfig
from redqueen.config.population import PopulationConfig
from redqueen.evolution.selection import tournament
from redqueen.types import Member


class Replacement(Component):
    """Base of what a config names as a replacement."""

    def losers(
        self, candidates: Sequence[Member], count: int, rng: np.random.Generator
    ) -> tuple[Member, ...]:
        """Return `count` of the candidates, who come worst first, in the order they go."""
        raise NotImplementedError


class Worst(Replacement):
    """The least fit (the other half of truncation selection)."""

    def losers(
        self, candidates: Sequence[Member], count: int, rng: np.random.Generator
    ) -> tuple[Member, ...]:
        """Return the first `count`."""
        return tuple(candidates[:count])


class TournamentReplacement(Replacement):
    """The least fit of a few drawn candidates, time and again: a weak one may be lucky."""

    size: int = Field(3, ge=1)
    """Members drawn for one tournament; more is stricter, 1 is chance."""

    def losers(
        self, candidates: Sequence[Member], count: int, rng: np.random.Generator
    ) -> tuple[Member, ...]:
        """Return the losers of `count` tournaments."""
        return tuple(candidates[i] for i in tournament(len(candidates), count, self.size, rng))


class Oldest(Replacement):
    """The first born, as in ageing evolution (Real et al., AAAI 2019); of equals the least fit."""

    def losers(
        self, candidates: Sequence[Member], count: int, rng: np.random.Generator
    ) -> tuple[Member, ...]:
        """Return the `count` first born."""
        return tuple(sorted(candidates, key=lambda member: member.born)[:count])


class Split(NamedTuple):
    """`removed` in the order in which they were picked, `survivors` best first."""

    removed: tuple[Member, ...]
    survivors: tuple[Member, ...]


def cull_count(members: int, cull: float, elites: int = 0) -> int:
    """Return the share `cull` rounded down, but at least one; at most all but one and the elites.

    0 if `cull` is 0.
    """
    if cull == 0.0 or members < 2:
        return 0
    return max(0, min(members - max(1, elites), max(1, math.floor(cull * members + 1e-9))))


def split(
    members: Sequence[Member],
    fitness: Sequence[float],
    config: EvolutionConfig,
    rng: np.random.Generator,
) -> Split:
    """Return who of a group goes and who stays; the `elites` fittest never go.

    Of members of equal fitness the first born is the weaker.

    Raises:
        ValueError: not one fitness a member.
    """
    if len(fitness) != len(members):
        raise ValueError(f"{len(fitness)} fitness values for {len(members)} members")
    pairs = zip(fitness, members, strict=True)
    ranked = [m for _, m in sorted(pairs, key=lambda pair: (pair[0], pair[1].id))]
    count = cull_count(len(ranked), config.cull, config.elites)
    candidates = ranked[: len(ranked) - config.elites] if config.elites else ranked
    removed = config.replacement.losers(candidates, count, rng)
    gone = {member.id for member in removed}
    return Split(removed, tuple(m for m in reversed(ranked) if m.id not in gone))


def child_rating(
    parents: Sequence[Member], config: EvolutionConfig, newcomers: PopulationConfig
) -> tuple[float, float]:
    """Return the (mu, sigma) that a child starts from.

    `new`: a newcomer's, mu_0 and sigma_0. `parents`: mu the mean of the parents', sigma the root
    mean square of theirs, but no less than `child_sigma` x sigma_0, as nobody has seen the child.
    """
    if config.child_rating == "new":
        return newcomers.mu, newcomers.sigma
    mu = math.fsum(parent.mu for parent in parents) / len(parents)
    variance = math.fsum(parent.sigma**2 for parent in parents) / len(parents)
    return mu, max(math.sqrt(variance), config.child_sigma * newcomers.sigma)
