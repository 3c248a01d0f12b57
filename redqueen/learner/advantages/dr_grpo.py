"""Group-relative advantages without the division by the deviation."""

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


class DrGrpo(AdvantageScheme):
    """A_i = r_i - mean(r) within a group (Dr. GRPO, arXiv 2503.20783, section 3.2).

    Dividing by the deviation would favour tasks that are nearly always or nearly never solved. The
    paper's other change, no division by a sequence's own length, is `learner.loss_norm = "token"`.
    """

    def advantages(self, samples: Sequence[Sample], memory: Memory) -> Floats:
        """Return the advantages [N]; see the class."""
        rewards_N = rewards_of(samples)
        advantages_N = np.zeros_like(rewards_N)
        for group in groups(samples):
            rewards = rewards_N[group]
            if not all_equal(rewards):
                advantages_N[group] = rewards - rewards.mean()
        return advantages_N
