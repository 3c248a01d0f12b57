"""The mean of two updates."""

import torch

from redqueen.evolution.factors import Child, Factors
from redqueen.evolution.frames import weighted_sum
from redqueen.evolution.operators.base import Crossover


class Average(Crossover):
    """Best rank-r approximation of the mean of the parents' updates (PopuLoRA, arXiv 2605.16727).

    The mean of two products is not the product of two means: the parents' factors are stacked to
    rank 2r, which holds the mean exactly, and truncated back to r.
    """

    def cross(self, fitter: Factors, other: Factors, generator: torch.Generator) -> Child:
        """Return the child's factors; see the class."""
        return weighted_sum([fitter, other], [0.5, 0.5])
