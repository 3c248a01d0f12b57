"""Mutations: one parent, one child of the same rank, and no fitness evaluation in between."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from redqueen.config import EvolutionConfig
from redqueen.evolution.factors import Factors, ThinSVD, layers_by_shape, thin_svd, to_factors

Child = dict[str, tuple[Tensor, Tensor]]
Operator = Callable[[Sequence[Factors], EvolutionConfig, torch.Generator], Child]
"""Makes a child's factors from its parents' (best first). New tensors of the parents' shapes and
types; the parents are left alone. Draws come from the generator, on the CPU, so that the child
does not depend on the device."""

ZERO_B_FLOOR = 0.1
"""Least scale of B's noise, relative to A's root mean square: B is 0 in an untrained adapter."""


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator).to(like)


def _rotation(like_LOK: Tensor, size: float, generator: torch.Generator) -> Tensor:
    """Random rotations [L, k, k] near 1: exp of skew matrices with N(0, size^2) entries."""
    L, _, k = like_LOK.shape
    # In double precision on the CPU: small, and float32 would not be orthogonal to its last digits.
    noise = torch.randn((L, k, k), generator=generator, dtype=torch.float64).triu(1)
    rotation: Tensor = torch.linalg.matrix_exp(size * (noise - noise.mT)).to(like_LOK)
    return rotation


def svd(parents: Sequence[Factors], config: EvolutionConfig, generator: torch.Generator) -> Child:
    """SVD-structured mutation (PopuLoRA, arXiv 2605.16727).

    Singular values are multiplied by exp(`svd_scale` z), z normal, and both singular bases are
    rotated within their span by `svd_rotation`. The row and column space of the update stay the
    parent's. A parent whose update is zero has a child whose update is zero.
    """
    (parent,) = parents
    child: Child = {}
    for names, ((A, B),) in layers_by_shape([parent]):
        U, S, Vh = thin_svd(A, B)
        S = S * torch.exp(config.svd_scale * _normal(S, generator))
        U = U @ _rotation(U, config.svd_rotation, generator)
        Vh = (Vh.mT @ _rotation(Vh.mT, config.svd_rotation, generator)).mT
        new_A, new_B = to_factors(ThinSVD(U, S, Vh), A.shape[-2])
        child |= {name: (new_A[i], new_B[i]) for i, name in enumerate(names)}
    return {name: child[name] for name in parent}


def layer_gaussian(
    parents: Sequence[Factors], config: EvolutionConfig, generator: torch.Generator
) -> Child:
    """Layer-selective Gaussian mutation (PopuLoRA).

    Normal noise on A and B of a random share `layer_fraction` of the adapted linear layers (rounded
    up), with standard deviation `gaussian_scale` times the factor's root mean square.
    """
    (parent,) = parents
    names = list(parent)
    # The slack keeps, say, 0.1 of 30 layers at 3, whatever the last bit of the product.
    count = math.ceil(config.layer_fraction * len(names) - 1e-9)
    order = torch.randperm(len(names), generator=generator).tolist()
    chosen = {names[i] for i in order[:count]}
    child: Child = {}
    for name, (A, B) in parent.items():
        if name not in chosen:
            child[name] = (A.clone(), B.clone())
            continue
        rms_A, rms_B = A.square().mean().sqrt(), B.square().mean().sqrt()
        rms_B = torch.maximum(rms_B, ZERO_B_FLOOR * rms_A)
        child[name] = (
            A + config.gaussian_scale * rms_A * _normal(A, generator),
            B + config.gaussian_scale * rms_B * _normal(B, generator),
        )
    return child


MUTATIONS: dict[str, Operator] = {"svd": svd, "layer_gaussian": layer_gaussian}
