"""What every advantage scheme is, and what several of them share.

N is the number of samples of one role in a step.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redqueen.config.component import Component
from redqueen.types import Sample

Floats = NDArray[np.float64]

Memory = dict[str, Any]
"""What a scheme keeps from one step to the next: plain JSON, empty at the start. The learner owns
it, and it belongs to the checkpoint; a scheme itself never changes."""

EPSILON = 1e-6
"""Added to a standard deviation before dividing."""


class AdvantageScheme(Component):
    """Base of what a config names as an advantage scheme."""

    def advantages(self, samples: Sequence[Sample], memory: Memory) -> Floats:
        """Return the advantages [N] of one role's samples in one step.

        A sample that nothing distinguishes from those it is compared with has exactly 0, as zeros
        take no part in the backward pass. Called once a step, without samples too. A scheme that
        looks back writes what it will need into `memory`, in place.
        """
        raise NotImplementedError


def rewards_of(samples: Sequence[Sample]) -> Floats:
    """Return the rewards [N]."""
    return np.array([sample.reward for sample in samples], dtype=np.float64)


def equal_keys(keys: Iterable[Hashable]) -> list[NDArray[np.intp]]:
    """Return the indices of every set of equal keys, each in rising order."""
    places: dict[Hashable, list[int]] = {}
    for index, key in enumerate(keys):
        places.setdefault(key, []).append(index)
    return [np.array(indices) for indices in places.values()]


def all_equal(rewards: Floats) -> bool:
    """Whether there is nothing to compare. Not by the deviation: rounding may leave a little."""
    return bool(rewards.max() == rewards.min())


class GroupScheme(AdvantageScheme):
    """Base of the schemes that compare the attempts at one prompt with each other."""

    def compare(self, rewards: Floats) -> Floats:
        """Return the advantages of one group, whose rewards are not all equal."""
        raise NotImplementedError

    def advantages(self, samples: Sequence[Sample], memory: Memory) -> Floats:
        """Return the advantages [N], 0 in groups whose rewards are all equal.

        Groups are those of one member, even if names collide.
        """
        rewards_N = rewards_of(samples)
        advantages_N = np.zeros_like(rewards_N)
        for group in equal_keys((sample.member, sample.group) for sample in samples):
            if not all_equal(rewards_N[group]):
                advantages_N[group] = self.compare(rewards_N[group])
        return advantages_N
