"""Selection of parents: which of the survivors have children."""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from redqueen.config.component import Component
from redqueen.types import Member


class Selection(Component):
    """Base of what a config names as a selection."""

    def parents(
        self, survivors: Sequence[Member], count: int, rng: np.random.Generator
    ) -> tuple[Member, ...]:
        """Return `count` distinct survivors. Survivors come best first; so do the parents."""
        raise NotImplementedError


class Truncation(Selection):
    """Truncation selection: to have survived is enough, and all survivors are alike."""

    def parents(
        self, survivors: Sequence[Member], count: int, rng: np.random.Generator
    ) -> tuple[Member, ...]:
        """Return `count` distinct survivors, each as likely as the next."""
        drawn = rng.choice(len(survivors), size=count, replace=False)
        return tuple(survivors[i] for i in sorted(drawn.tolist()))


def tournament(candidates: int, count: int, size: int, rng: np.random.Generator) -> list[int]:
    """Return `count` of the numbers below `candidates`: each the least of `size` drawn ones.

    Each further number comes of a tournament among those not chosen yet.
    """
    remaining = list(range(candidates))
    chosen = []
    for _ in range(count):
        drawn = rng.choice(len(remaining), size=min(size, len(remaining)), replace=False)
        chosen.append(remaining.pop(int(drawn.min())))
    return chosen


class Tournament(Selection):
    """Tournament selection (Goldberg and Deb, FOGA 1991): of a few drawn survivors the fittest."""

    size: int = Field(3, ge=1)
    """Members drawn for one tournament; more is stricter, 1 is chance."""

    def parents(
        self, survivors: Sequence[Member], count: int, rng: np.random.Generator
    ) -> tuple[Member, ...]:
        """Return the winners of `count` tournaments."""
        winners = tournament(len(survivors), count, self.size, rng)
        return tuple(survivors[i] for i in sorted(winners))
