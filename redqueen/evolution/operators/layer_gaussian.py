"""Noise on a random share of the layers."""

import math

import torch
from pydantic import Field

from redqueen.evolution.factors import Child, Factors
from redqueen.evolution.operators.base import Mutation
from redqueen.evolution.operators.noise import add_gaussian


class LayerGaussian(Mutation):
    """Layer-selective Gaussian mutation (PopuLoRA, arXiv 2605.16727)."""

    scale: float = Field(0.1, ge=0)
    """Noise relative to the root mean square of the factor that it is added to."""
    fraction: float = Field(1.0 / 3.0, gt=0, le=1)
    """Share of the adapted linear layers that are touched, rounded up."""

    def mutate(self, parent: Factors, generator: torch.Generator) -> Child:
        """Return the child's factors; see the class."""
        names = list(parent)
        # The slack keeps, say, 0.1 of 30 layers at 3, whatever the last bit of the product.
        count = math.ceil(self.fraction * len(names) - 1e-9)
        order = torch.randperm(len(names), generator=generator).tolist()
        return add_gaussian(parent, [names[i] for i in order[:count]], self.scale, generator)
