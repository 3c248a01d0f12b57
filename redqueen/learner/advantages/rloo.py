"""REINFORCE with the other attempts as the baseline."""

from collections.abc import Sequence

import numpy as np

from redqueen.learner.advantages.base import (
    AdvantageScheme,
    Floats,
    Memory,
    all_equal,
    groups,
    rewards_of,
)
from redqueen.types import Sample


class Rloo(AdvantageScheme):
    """A_i = r_i - sum over j != i of r_j / (k - 1) in a group of k (RLOO, arXiv 2402.14740, 2.3).

    The baseline does not contain the sample itself, so that the gradient is unbiased. A sample
    alone in its group has nothing to be compared with: 0.
    """

    def advantages(self, samples: Sequence[Sample], memory: Memory) -> Floats:
        """Return the advantages [N]; see the class."""
        rewards_N = rewards_of(samples)
        advantages_N = np.zeros_like(rewards_N)
        for group in groups(samples):
            rewards = rewards_N[group]
            if not all_equal(rewards):
                others = (rewards.sum() - rewards) / (len(rewards) - 1)
                advantages_N[group] = rewards - others
        return advantages_N
