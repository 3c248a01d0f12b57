"""Beyond the better of two updates."""

import torch
from pydantic import Field

from redqueen.evolution.factors import Child, Factors
from redqueen.evolution.frames import weighted_sum
from redqueen.evolution.operators.base import Crossover


class Extrapolation(Crossover):
    """From the worse parent W through the better one B: W + f (B - W) (PopuLoRA).

    The factor f is drawn evenly between 1, the better parent, and `reach`, once for all layers.
    The child is the best rank-r approximation.
    """

    reach: float = Field(1.5, ge=1)
    """Furthest step from the worse parent through the better one; 1 ends at the better one."""

    def cross(self, fitter: Factors, other: Factors, generator: torch.Generator) -> Child:
        """Return the child's factors; see the class."""
        u = float(torch.rand((), generator=generator, dtype=torch.float64))
        f = 1.0 + (self.reach - 1.0) * u
        return weighted_sum([fitter, other], [f, 1.0 - f])
