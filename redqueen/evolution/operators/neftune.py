"""Uniform noise on A alone."""

import math

import torch
from pydantic import Field

from redqueen.evolution.factors import Child, Factors
from redqueen.evolution.operators.base import Mutation
from redqueen.evolution.operators.noise import at_least_single


class Neftune(Mutation):
    """NEFTune-style mutation (PopuLoRA, arXiv 2605.16727): uniform noise on A; B stays.

    The noise is `alpha` / sqrt(numel of A) times U(-1, 1), the scale that NEFTune
    (arXiv 2310.05914, section 2) gives to embeddings, so that its Frobenius norm is about
    alpha / sqrt(3) on a layer of any shape: alpha / sqrt(r) relative to a founder's A.
    """

    alpha: float = Field(1.0, ge=0)
    """The noise is uniform within this over the root of A's number of entries."""

    @torch.no_grad()
    def mutate(self, parent: Factors, generator: torch.Generator) -> Child:
        """Return the child's factors; see the class."""
        child: Child = {}
        for name, (A, B) in parent.items():
            size = self.alpha / math.sqrt(A.numel())
            single = at_least_single(A)
            noise = torch.empty(A.shape).uniform_(-1.0, 1.0, generator=generator).to(single)
            child[name] = (single.add(noise, alpha=size).to(A.dtype), B.clone())
        return child
