"""Scaled singular values and rotated singular bases."""

import torch
from pydantic import Field
from torch import Tensor

from redqueen.evolution.factors import Child, Factors
from redqueen.evolution.frames import Frame, recombine
from redqueen.evolution.operators.base import Mutation

ROTATION_FLOOR = 1e-5
"""Components below this share of the largest are not rotated: their direction is rounding noise,
and a rotation would blow it up to the size of the largest."""


def _rotation(moves_Lm: Tensor, size: float, generator: torch.Generator) -> Tensor:
    """Return random rotations [L, m, m] near 1, of the components that move.

    They are the exp of skew matrices with N(0, size^2) entries, in double precision.
    """
    L, m = moves_Lm.shape
    noise = torch.randn((L, m, m), generator=generator, dtype=torch.float64).triu(1)
    noise = noise * (moves_Lm[:, :, None] & moves_Lm[:, None, :])
    rotation: Tensor = torch.linalg.matrix_exp(size * (noise - noise.mT))
    return rotation


class Svd(Mutation):
    """SVD-structured mutation (PopuLoRA, arXiv 2605.16727).

    Singular values are multiplied by exp(`scale` z), z normal, and both singular bases are rotated
    within their span by `rotation`: U S Vh becomes U R S' R'^T Vh. The row and column space of the
    update stay the parent's. A parent whose update is zero has a child whose update is zero: it is
    left to the Gaussian mutations to move it.
    """

    scale: float = Field(0.1, ge=0)
    """Standard deviation of the noise on the logarithms of the singular values."""
    rotation: float = Field(0.05, ge=0)
    """Size of the random rotation of both singular bases."""

    def mutate(self, parent: Factors, generator: torch.Generator) -> Child:
        """Return the child's factors; see the class."""

        def core(frame: Frame) -> Tensor:
            c = frame.components(0)
            z = torch.randn(c.S.shape, generator=generator).double()
            moves = c.S.gt(ROTATION_FLOOR * c.S[:, :1])
            R_u = _rotation(moves, self.rotation, generator)
            R_v = _rotation(moves, self.rotation, generator)
            scaled = R_u * (c.S * torch.exp(self.scale * z))[:, None, :] @ R_v.mT
            return c.left @ (c.inverse[:, :, None] * scaled * c.inverse[:, None, :]) @ c.right

        return recombine([parent], core)
