"""Drop and rescale, then average."""

import torch
from pydantic import Field
from torch import Tensor

from redqueen.evolution.factors import Child, Factors
from redqueen.evolution.frames import Frame, recombine, side_by_side
from redqueen.evolution.operators.base import Crossover


class Dare(Crossover):
    """DARE (arXiv 2311.03099, section 3) on singular components, then the mean of the parents.

    DARE drops the entries of an update one by one, which leaves no low rank to keep. Here the
    things dropped are the rank-one components of each parent's update: each goes with chance p =
    `drop`, independently, and the others are multiplied by 1 / (1 - p). As the components are
    orthogonal, both ways have the parent's update P as their mean and p / (1 - p) |P|^2 as their
    expected squared distance from it.

    The mean of the parents thus treated is unbiased: its expectation is the mean of the parents'
    updates. Cutting it back to the best rank-r approximation keeps that where at most r components
    are left of the two parents (2r (1 - p) on average), and otherwise loses the smallest. With
    p = 0 it is `average`. A child of two equal parents is that parent in expectation only.
    """

    drop: float = Field(0.5, ge=0, lt=1)
    """Chance of each parent's singular components to be dropped; the others are scaled up."""

    def cross(self, fitter: Factors, other: Factors, generator: torch.Generator) -> Child:
        """Return the child's factors; see the class."""
        keep = 1.0 - self.drop

        def core(frame: Frame) -> Tensor:
            cores = []
            for parent in range(2):
                c = frame.components(parent)
                dropped = torch.rand(c.S.shape, generator=generator) >= keep
                rest = frame.identity() - c.weighted(dropped.double())
                cores.append(rest / (keep * 2))
            return side_by_side(cores)

        return recombine([fitter, other], core)
