"""A control: advantages that say nothing of the texts that have them."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from redqueen.config.component import Of
from redqueen.learner.advantages.base import AdvantageScheme, Floats, Memory, equal_keys
from redqueen.rng import numpy_rng
from redqueen.types import Sample


class Shuffled(AdvantageScheme):
    """The advantages of another scheme, dealt at random among the attempts at one prompt.

    Each group has the advantages that it would have, so gradients are of the usual size and as many
    texts are learnt from; which of them was right has no part in it. What a run gains with it is
    not learnt from verdicts.
    """

    by: Annotated[Any, Of("advantage")] = Field("grpo")
    """The scheme whose advantages are dealt."""
    seed: int = 0
    """Of the draw, beside the names of member and group."""

    def advantages(self, samples: Sequence[Sample], memory: Memory) -> Floats:
        """Return the advantages [N] of `by`, those of each group in another order."""
        advantages_N: Floats = self.by.advantages(samples, memory)
        for group in equal_keys((sample.member, sample.group) for sample in samples):
            first = samples[group[0]]
            order = numpy_rng(self.seed, "shuffled", first.member, first.group)
            advantages_N[group] = order.permutation(advantages_N[group])
        return advantages_N
