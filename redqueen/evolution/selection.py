"""Truncation selection: who goes, who stays, and who has children."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from redqueen.evolution.fitness import Fitness
from redqueen.types import Member


class Selection(NamedTuple):
    """`removed` worst first, `survivors` best first."""

    removed: tuple[Member, ...]
    survivors: tuple[Member, ...]


def cull_count(members: int, cull: float) -> int:
    """Share `cull` rounded down, but one at least and all but one at most; 0 if cull is 0."""
    if cull == 0.0 or members < 2:
        return 0
    return min(members - 1, max(1, math.floor(cull * members + 1e-9)))


def truncation(members: Sequence[Member], fitness: Fitness, cull: float) -> Selection:
    """Remove the least fit; of equals the one that has lived longest."""
    ranked = sorted(members, key=lambda member: (fitness(member), member.id))
    count = cull_count(len(ranked), cull)
    return Selection(tuple(ranked[:count]), tuple(reversed(ranked[count:])))


def draw_parents(
    survivors: Sequence[Member], count: int, rng: np.random.Generator
) -> tuple[Member, ...]:
    """`count` distinct survivors, each as likely as the next; best first if survivors are."""
    drawn = rng.choice(len(survivors), size=count, replace=False)
    return tuple(survivors[i] for i in sorted(drawn.tolist()))
