"""Normal noise on both factors, relative to their size: what the Gaussian mutations share."""

from collections.abc import Iterable

import torch
from torch import Tensor

from redqueen.evolution.factors import Child, Factors

ZERO_B_FLOOR = 0.1
"""Least scale of B's noise, relative to A's root mean square: B is 0 in an untrained adapter."""


@torch.no_grad()
def add_gaussian(
    parent: Factors, layers: Iterable[str], scale: float, generator: torch.Generator
) -> Child:
    """Return the factors with normal noise on A and B of some layers, the others as they were.

    Its standard deviation is `scale` times the factor's root mean square; B's is not below
    `ZERO_B_FLOOR` times A's, so that an untrained adapter moves as well.
    """
    chosen = set(layers)
    child: Child = {}
    for name, (A, B) in parent.items():
        if name not in chosen:
            child[name] = (A.clone(), B.clone())
            continue
        rms_A, rms_B = (at_least_single(factor).square().mean().sqrt() for factor in (A, B))
        rms_B = torch.maximum(rms_B, ZERO_B_FLOOR * rms_A)
        child[name] = (_noisy(A, scale * rms_A, generator), _noisy(B, scale * rms_B, generator))
    return child


def at_least_single(factor: Tensor) -> Tensor:
    """Return the factor in single precision, or in its own if that is higher."""
    return factor.to(torch.promote_types(factor.dtype, torch.float32))


def _noisy(factor: Tensor, size: Tensor, generator: torch.Generator) -> Tensor:
    single = at_least_single(factor)
    noise = torch.randn(factor.shape, generator=generator).to(single)
    return noise.mul_(size).add_(single).to(factor.dtype)
