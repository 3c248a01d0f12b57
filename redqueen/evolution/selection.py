"""Selection of parents: which of the survivors have children."""

from collections.abc import Callable, Sequence

import numpy as np

from redqueen.types import Member

Selection = Callable[[Sequence[Member], int, int, np.random.Generator], tuple[Member, ...]]
"""Draws `count` distinct parents from survivors, who come best first; so do the parents."""


def draw_parents(
    survivors: Sequence[Member], count: int, rng: np.random.Generator
) -> tuple[Member, ...]:
    """`count` distinct survivors, each as likely as the next; best first if survivors are."""
    drawn = rng.choice(len(survivors), size=count, replace=False)
    return tuple(survivors[i] for i in sorted(drawn.tolist()))


def truncation(
    survivors: Sequence[Member], count: int, size: int, rng: np.random.Generator
) -> tuple[Member, ...]:
    """Truncation selection: to have survived is enough, and all survivors are alike."""
    return draw_parents(survivors, count, rng)


def tournament(
    survivors: Sequence[Member], count: int, size: int, rng: np.random.Generator
) -> tuple[Member, ...]:
    """Tournament selection (Goldberg and Deb, FOGA 1991): of `size` drawn survivors the fittest.

    Each further parent comes of a tournament among those not chosen yet.
    """
    left = list(range(len(survivors)))
    won = []
    for _ in range(count):
        drawn = rng.choice(len(left), size=min(size, len(left)), replace=False)
        won.append(left.pop(int(drawn.min())))
    return tuple(survivors[i] for i in sorted(won))


SELECTION: dict[str, Selection] = {"truncation": truncation, "tournament": tournament}
