"""Rewards as weights, with nothing to compare them with."""

from collections.abc import Sequence

from redqueen.learner.advantages.base import AdvantageScheme, Floats, Memory, rewards_of
from redqueen.types import Sample


class Imitation(AdvantageScheme):
    """A_i = r_i: with rewards that are weights of chosen texts, one update is supervised finetuning
    on them, since the gradient of the ratio is that of the log-likelihood where the ratio is 1.

    Meant for `rollout.interaction = "specialists"`, whose texts that are not to be learnt from have
    no reward. Of ordinary rewards it is REINFORCE without a baseline.
    """

    def advantages(self, samples: Sequence[Sample], memory: Memory) -> Floats:
        """Return the rewards [N]."""
        return rewards_of(samples)
