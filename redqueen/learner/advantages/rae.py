"""A moving mean of a role's own rewards as the baseline."""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from redqueen.learner.advantages.base import AdvantageScheme, Floats, Memory
from redqueen.types import Sample


class Rae(AdvantageScheme):
    """Role-conditioned advantage estimation (SPIRAL, arXiv 2506.24119, equation 2, algorithm 1).

    For one sample after the other, with one baseline b, 0 at first, for each environment and kind:

        b <- decay b + (1 - decay) r,    A = r - b

    The paper's baselines are those of a game and a role; a role has its own memory here, and all
    its members share the baseline.
    """

    decay: float = Field(0.95, gt=0, lt=1)
    """How much of the baseline a sample leaves; its memory is about 1 / (1 - decay) samples."""

    def advantages(self, samples: Sequence[Sample], memory: Memory) -> Floats:
        """Return the advantages [N]; `memory` has the baselines."""
        baselines: dict[str, float] = memory.setdefault("baselines", {})
        advantages_N = np.zeros(len(samples))
        for index, sample in enumerate(samples):
            name = f"{sample.environment}/{sample.kind}"
            before = baselines.get(name, 0.0)
            baselines[name] = self.decay * before + (1.0 - self.decay) * sample.reward
            advantages_N[index] = sample.reward - baselines[name]
        return advantages_N
