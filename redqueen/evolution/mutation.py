"""Mutations: one parent, one child of the same rank, and no fitness evaluation in between."""

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from redqueen.config import EvolutionConfig
from redqueen.evolution.factors import Child, Factors
from redqueen.evolution.frames import Frame, recombine

Operator = Callable[[Sequence[Factors], EvolutionConfig, torch.Generator], Child]
"""Makes a child's factors from its parents' (best first). New tensors of the parents' shapes and
types; the parents are left alone. Draws come from the generator, on the CPU, so that the child
does not depend on the device."""

ZERO_B_FLOOR = 0.1
"""Least scale of B's noise, relative to A's root mean square: B is 0 in an untrained adapter."""
ROTATION_FLOOR = 1e-5
"""Components below this share of the largest are not rotated: their direction is rounding noise,
and a rotation would blow it up to the size of the largest."""


def _rotation(moves_Lm: Tensor, size: float, generator: torch.Generator) -> Tensor:
    """Random rotations [L, m, m] near 1, of the components that move: exp of skew matrices with
    N(0, size^2) entries, in double precision."""
    L, m = moves_Lm.shape
    noise = torch.randn((L, m, m), generator=generator, dtype=torch.float64).triu(1)
    noise = noise * (moves_Lm[:, :, None] & moves_Lm[:, None, :])
    rotation: Tensor = torch.linalg.matrix_exp(size * (noise - noise.mT))
    return rotation


def svd(parents: Sequence[Factors], config: EvolutionConfig, generator: torch.Generator) -> Child:
    """SVD-structured mutation (PopuLoRA, arXiv 2605.16727).

    Singular values are multiplied by exp(`svd_scale` z), z normal, and both singular bases are
    rotated within their span by `svd_rotation`: U S Vh becomes U R S' R'^T Vh. The row and column
    space of the update stay the parent's. A parent whose update is zero has a child whose update
    is zero: it is left to the Gaussian mutations to move it.
    """

    def core(frame: Frame) -> Tensor:
        c = frame.components(0)
        z = torch.randn(c.S.shape, generator=generator).double()
        moves = c.S.gt(ROTATION_FLOOR * c.S[:, :1])
        R_u = _rotation(moves, config.svd_rotation, generator)
        R_v = _rotation(moves, config.svd_rotation, generator)
        scaled = R_u * (c.S * torch.exp(config.svd_scale * z))[:, None, :] @ R_v.mT
        return c.left @ (c.inverse[:, :, None] * scaled * c.inverse[:, None, :]) @ c.right

    (parent,) = parents
    return recombine([parent], core)


def component_mask(
    parents: Sequence[Factors], config: EvolutionConfig, generator: torch.Generator
) -> Child:
    """Component masking (PopuLoRA): each singular component is dropped with chance `mask_drop`.

    The others stay as they were, singular value and both directions.
    """

    def core(frame: Frame) -> Tensor:
        c = frame.components(0)
        dropped = torch.rand(c.S.shape, generator=generator) < config.mask_drop
        return frame.identity() - c.weighted(dropped.double())

    (parent,) = parents
    return recombine([parent], core)


def _gaussian(
    parent: Factors, touched: Iterable[str], scale: float, generator: torch.Generator
) -> Child:
    """Normal noise on A and B of the touched layers, `scale` times the factor's root mean square;
    B's is not below `ZERO_B_FLOOR` times A's, so that an untrained adapter moves as well."""
    chosen = set(touched)
    child: Child = {}
    for name, (A, B) in parent.items():
        if name not in chosen:
            child[name] = (A.clone(), B.clone())
            continue
        rms_A, rms_B = (_at_least_single(factor).square().mean().sqrt() for factor in (A, B))
        rms_B = torch.maximum(rms_B, ZERO_B_FLOOR * rms_A)
        child[name] = (
            _add_noise(A, scale * rms_A, generator),
            _add_noise(B, scale * rms_B, generator),
        )
    return child


def _at_least_single(factor: Tensor) -> Tensor:
    return factor.to(torch.promote_types(factor.dtype, torch.float32))


def _add_noise(factor: Tensor, size: Tensor, generator: torch.Generator) -> Tensor:
    single = _at_least_single(factor)
    noise = torch.randn(factor.shape, generator=generator).to(single)
    return noise.mul_(size).add_(single).to(factor.dtype)


@torch.no_grad()
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
    chosen = [names[i] for i in order[:count]]
    return _gaussian(parent, chosen, config.gaussian_scale, generator)


@torch.no_grad()
def gaussian(
    parents: Sequence[Factors], config: EvolutionConfig, generator: torch.Generator
) -> Child:
    """Full Gaussian mutation (PopuLoRA): the noise of `layer_gaussian` on every layer."""
    (parent,) = parents
    return _gaussian(parent, parent, config.gaussian_scale, generator)


@torch.no_grad()
def neftune(
    parents: Sequence[Factors], config: EvolutionConfig, generator: torch.Generator
) -> Child:
    """NEFTune-style mutation (PopuLoRA): uniform noise on A alone; B stays.

    The noise is `neftune_alpha` / sqrt(numel of A) times U(-1, 1), the scale that NEFTune
    (arXiv 2310.05914, section 2) gives to embeddings, so that its Frobenius norm is about
    alpha / sqrt(3) on a layer of any shape: alpha / sqrt(r) relative to a founder's A.
    """
    (parent,) = parents
    child: Child = {}
    for name, (A, B) in parent.items():
        size = config.neftune_alpha / math.sqrt(A.numel())
        single = _at_least_single(A)
        noise = torch.empty(A.shape).uniform_(-1.0, 1.0, generator=generator).to(single)
        child[name] = (single.add(noise, alpha=size).to(A.dtype), B.clone())
    return child


MUTATIONS: dict[str, Operator] = {
    "svd": svd,
    "layer_gaussian": layer_gaussian,
    "component_mask": component_mask,
    "gaussian": gaussian,
    "neftune": neftune,
}
