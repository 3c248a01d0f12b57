"""Noise on every layer."""

import torch
from pydantic import Field

from redqueen.evolution.factors import Child, Factors
from redqueen.evolution.operators.base import Mutation
from redqueen.evolution.operators.noise import add_gaussian


class Gaussian(Mutation):
    """Full Gaussian mutation (PopuLoRA, arXiv 2605.16727): `layer_gaussian`'s noise everywhere."""

    scale: float = Field(0.1, ge=0)
    """Noise relative to the root mean square of the factor that it is added to."""

    def mutate(self, parent: Factors, generator: torch.Generator) -> Child:
        """Return the child's factors; see the class."""
        return add_gaussian(parent, parent, self.scale, generator)
