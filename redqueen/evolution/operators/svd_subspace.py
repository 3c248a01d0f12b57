"""Leading components of one parent, trailing ones of the other."""

import math

import torch
from pydantic import Field
from torch import Tensor

from redqueen.evolution.factors import Child, Factors
from redqueen.evolution.frames import Frame, recombine, side_by_side
from redqueen.evolution.operators.base import Crossover


class SvdSubspace(Crossover):
    """Leading singular components of the fitter parent, the rest from the other (PopuLoRA).

    With m = `share` of r (rounded), the child is the sum of the first m components of the one and
    the components m + 1 to r of the other. That has rank r at most: nothing is cut off.
    """

    share: float = Field(0.5, ge=0, le=1)
    """Share of the rank that the fitter parent leads with."""

    def cross(self, fitter: Factors, other: Factors, generator: torch.Generator) -> Child:
        """Return the child's factors; see the class."""

        def core(frame: Frame) -> Tensor:
            lead = math.floor(self.share * frame.rank + 0.5)
            first, second = frame.components(0), frame.components(1)
            leading = (torch.arange(first.S.shape[-1]) < lead).double().expand_as(first.S)
            return side_by_side(
                [first.weighted(leading), frame.identity() - second.weighted(leading)]
            )

        return recombine([fitter, other], core)
