"""Crossovers: two parents (the fitter first), one child of the same rank."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from redqueen.config import EvolutionConfig
from redqueen.evolution.factors import Child, Factors, shape_groups
from redqueen.evolution.frames import Frame, recombine
from redqueen.evolution.mutation import Operator


def _side_by_side(cores: Sequence[Tensor]) -> Tensor:
    """X [L, k, k] of the sum of the parents' X [L, r, r]."""
    L, r = len(cores[0]), cores[0].shape[-1]
    X = cores[0].new_zeros((L, r * len(cores), r * len(cores)))
    for i, core in enumerate(cores):
        own = slice(i * r, (i + 1) * r)
        X[:, own, own] = core
    return X


def _weighted_sum(parents: Sequence[Factors], weights: Sequence[float]) -> Child:
    def core(frame: Frame) -> Tensor:
        return _side_by_side([weight * frame.identity() for weight in weights])

    return recombine(parents, core)


def average(
    parents: Sequence[Factors], config: EvolutionConfig, generator: torch.Generator
) -> Child:
    """Best rank-r approximation of the mean of the parents' updates.

    The mean of two products is not the product of two means: the parents' factors are stacked to
    rank 2r, which holds the mean exactly, and truncated back to r.
    """
    return _weighted_sum(parents, [1.0 / len(parents)] * len(parents))


def layerwise(
    parents: Sequence[Factors], config: EvolutionConfig, generator: torch.Generator
) -> Child:
    """Each adapted linear layer whole from one parent, by a fair draw."""
    shape_groups(parents)  # raises unless the parents fit each other
    draws = torch.randint(len(parents), (len(parents[0]),), generator=generator).tolist()
    child: Child = {}
    for name, draw in zip(parents[0], draws, strict=True):
        A, B = parents[draw][name]
        child[name] = (A.clone(), B.clone())
    return child


def dare(parents: Sequence[Factors], config: EvolutionConfig, generator: torch.Generator) -> Child:
    """Drop and rescale, then average (DARE, arXiv 2311.03099, section 3) on singular components.

    DARE drops the entries of an update one by one, which leaves no low rank to keep. Here the
    things dropped are the rank-one components of each parent's update: each goes with chance p =
    `dare_drop`, independently, and the others are multiplied by 1 / (1 - p). As the components are
    orthogonal, both ways have the parent's update P as their mean and p / (1 - p) |P|^2 as their
    expected squared distance from it.

    The mean of the parents thus treated is unbiased: its expectation is the mean of the parents'
    updates. Cutting it back to the best rank-r approximation keeps that where at most r components
    are left of the two parents (2r (1 - p) on average), and otherwise loses the smallest. With
    p = 0 it is `average`. A child of two equal parents is that parent in expectation only.
    """
    keep = 1.0 - config.dare_drop

    def core(frame: Frame) -> Tensor:
        cores = []
        for parent in range(len(parents)):
            c = frame.components(parent)
            dropped = torch.rand(c.S.shape, generator=generator) >= keep
            left_over = frame.identity() - c.weighted(dropped.double())
            cores.append(left_over / (keep * len(parents)))
        return _side_by_side(cores)

    return recombine(parents, core)


def svd_subspace(
    parents: Sequence[Factors], config: EvolutionConfig, generator: torch.Generator
) -> Child:
    """Leading singular components of the fitter parent, the rest from the other (PopuLoRA).

    With m = `subspace_share` of r (rounded), the child is the sum of the first m components of the
    one and the components m + 1 to r of the other. That has rank r at most: nothing is cut off.
    """
    _two(parents)

    def core(frame: Frame) -> Tensor:
        lead = math.floor(config.subspace_share * frame.rank + 0.5)
        fitter, other = frame.components(0), frame.components(1)
        leading = (torch.arange(fitter.S.shape[-1]) < lead).double().expand_as(fitter.S)
        return _side_by_side([fitter.weighted(leading), frame.identity() - other.weighted(leading)])

    return recombine(parents, core)


def extrapolative(
    parents: Sequence[Factors], config: EvolutionConfig, generator: torch.Generator
) -> Child:
    """From the worse parent W through the better one B: W + f (B - W) (PopuLoRA).

    The factor f is drawn evenly between 1, the better parent, and `extrapolation`, once for all
    layers. The child is the best rank-r approximation.
    """
    _two(parents)
    reach = config.extrapolation - 1.0
    f = 1.0 + reach * float(torch.rand((), generator=generator, dtype=torch.float64))
    return _weighted_sum(parents, [f, 1.0 - f])


def _two(parents: Sequence[Factors]) -> None:
    if len(parents) != 2:
        raise ValueError(f"this crossover takes two parents, not {len(parents)}")


CROSSOVERS: dict[str, Operator] = {
    "average": average,
    "layerwise": layerwise,
    "dare": dare,
    "svd_subspace": svd_subspace,
    "extrapolative": extrapolative,
}
