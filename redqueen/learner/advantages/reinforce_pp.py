"""REINFORCE++ with a baseline for each stratum, over one step or several."""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from redqueen.learner.advantages.base import (
    EPSILON,
    AdvantageScheme,
    Floats,
    Memory,
    all_equal,
    equal_keys,
    rewards_of,
)
from redqueen.types import Sample


class ReinforcePlusPlus(AdvantageScheme):
    """A_i = (r_i - mean(r)) / std(r) within a stratum, whatever the prompts.

    Task-relative REINFORCE++ (Absolute Zero Reasoner, arXiv 2505.03335, section 3.3.5):
    REINFORCE++ (arXiv 2501.03262) with one mean and one unbiased standard deviation for each role
    and task kind; in a population there is one more for each member. Sequences count alike,
    whatever their length.
    """

    pooled: bool = False
    """One stratum for all members of a role: for teachers, of whose proposals in a step each member
    has too few for a mean and a deviation of its own."""
    window: int = Field(1, ge=1)
    """Steps whose rewards make up the mean and the deviation, the present one included."""

    def _stratum(self, sample: Sample) -> str:
        member = "all" if self.pooled else str(sample.member)
        return f"{member}/{sample.environment}/{sample.kind}"

    def advantages(self, samples: Sequence[Sample], memory: Memory) -> Floats:
        """Return the advantages [N]; `memory` has the rewards of the last `window` - 1 steps.

        Where the rewards of the window are all equal the advantages are 0.
        """
        rewards_N = rewards_of(samples)
        advantages_N = np.zeros_like(rewards_N)
        strata = [self._stratum(sample) for sample in samples]
        past: list[dict[str, list[float]]] = memory.get("steps", [])
        present: dict[str, list[float]] = {}
        for indices in equal_keys(strata):
            name, rewards = strata[indices[0]], rewards_N[indices]
            present[name] = rewards.tolist()
            window = np.concatenate([*(step.get(name, []) for step in past), rewards])
            if not all_equal(window):
                advantages_N[indices] = (rewards - window.mean()) / (window.std(ddof=1) + EPSILON)
        if self.window > 1:
            memory["steps"] = [*past, present][1 - self.window :]
        return advantages_N
