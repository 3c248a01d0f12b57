"""Dropped singular components."""

import torch
from pydantic import Field
from torch import Tensor

from redqueen.evolution.factors import Child, Factors
from redqueen.evolution.frames import Frame, recombine
from redqueen.evolution.operators.base import Mutation


class ComponentMask(Mutation):
    """Component masking (PopuLoRA, arXiv 2605.16727): some singular components are dropped.

    The others stay as they were, singular value and both directions.
    """

    drop: float = Field(0.3, ge=0, lt=1)
    """Chance of each singular component to be dropped."""

    def mutate(self, parent: Factors, generator: torch.Generator) -> Child:
        """Return the child's factors; see the class."""

        def core(frame: Frame) -> Tensor:
            c = frame.components(0)
            dropped = torch.rand(c.S.shape, generator=generator) < self.drop
            return frame.identity() - c.weighted(dropped.double())

        return recombine([parent], core)
