"""Crossovers: two parents (the fitter first), one child of the same rank."""

from collections.abc import Sequence

import torch

from redqueen.config import EvolutionConfig
from redqueen.evolution.factors import Factors, layers_by_shape, stack, thin_svd, to_factors
from redqueen.evolution.mutation import Child, Operator


def average(
    parents: Sequence[Factors], config: EvolutionConfig, generator: torch.Generator
) -> Child:
    """Best rank-r approximation of the mean of the parents' updates.

    The mean of two products is not the product of two means: the parents' factors are stacked to
    rank 2r, which holds the mean exactly, and truncated back to r.
    """
    share = 1.0 / len(parents)
    child: Child = {}
    for names, pairs in layers_by_shape(parents):
        rank = pairs[0][0].shape[-2]
        A, B = to_factors(thin_svd(*stack(pairs, [share] * len(pairs))), rank)
        child |= {name: (A[i], B[i]) for i, name in enumerate(names)}
    return {name: child[name] for name in parents[0]}


def layerwise(
    parents: Sequence[Factors], config: EvolutionConfig, generator: torch.Generator
) -> Child:
    """Each adapted linear layer whole from one parent, by a fair draw."""
    layers_by_shape(parents)  # raises unless the parents fit each other
    draws = torch.randint(len(parents), (len(parents[0]),), generator=generator).tolist()
    child: Child = {}
    for name, draw in zip(parents[0], draws, strict=True):
        A, B = parents[draw][name]
        child[name] = (A.clone(), B.clone())
    return child


CROSSOVERS: dict[str, Operator] = {"average": average, "layerwise": layerwise}
