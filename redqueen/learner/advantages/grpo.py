"""Group-relative advantages."""

from collections.abc import Sequence

import numpy as np

from redqueen.learner.advantages.base import (
    EPSILON,
    AdvantageScheme,
    Floats,
    Memory,
    all_equal,
    groups,
    rewards_of,
)
from redqueen.types import Sample


class Grpo(AdvantageScheme):
    """A_i = (r_i - mean(r)) / std(r) within a group (GRPO: DeepSeekMath, arXiv 2402.03300, 4.1.2).

    The deviation is the unbiased one.
    """

    def advantages(self, samples: Sequence[Sample], memory: Memory) -> Floats:
        """Return the advantages [N]; see the class."""
        rewards_N = rewards_of(samples)
        advantages_N = np.zeros_like(rewards_N)
        for group in groups(samples):
            rewards = rewards_N[group]
            if not all_equal(rewards):
                advantages_N[group] = (rewards - rewards.mean()) / (rewards.std(ddof=1) + EPSILON)
        return advantages_N
