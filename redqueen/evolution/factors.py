"""Algebra on low-rank factors that never forms the product.

A layer's update is dW = (alpha / r) B A. The factor alpha / r is the same for every member, so that
it cancels wherever a child is made of parents: here "product" means P = B A, with A [..., r, in],
B [..., out, r]. The leading dimensions are a batch of layers of equal shape.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

Factors = Mapping[str, tuple[Tensor, Tensor]]
"""One member's adapter: layer name -> (A [r, in], B [out, r])."""

Child = dict[str, tuple[Tensor, Tensor]]
"""New factors of one member, by layer, in the parents' order."""

FOUNDER_ROW_NORM = 3.0**-0.5
"""Expected norm of a row of A at initialisation (uniform in +-1/sqrt(in), as in LoRA)."""


class ThinSVD(NamedTuple):
    """P = U diag(S) Vh with U [..., out, k], S [..., k] falling, Vh [..., k, in]."""

    U: Tensor
    S: Tensor
    Vh: Tensor


def to_factors(svd: ThinSVD, rank: int) -> tuple[Tensor, Tensor]:
    """Return factors of the best rank-`rank` approximation (Eckart-Young): A [..., rank, in], B.

    Each component sigma u v^T is split evenly, B column sqrt(sigma) u and A row sqrt(sigma) v^T,
    except that a row of A is never shorter than a founder's. Were both sides of a component
    (nearly) zero, as an even split makes them for a parent that has not been trained yet, both
    gradients would be zero as well and the child could never learn. The product is not affected.
    Missing components (k < rank) are zero.
    """
    U, S, Vh = svd.U[..., :rank], svd.S[..., :rank], svd.Vh[..., :rank, :]
    row_norm = S.sqrt().clamp_min(FOUNDER_ROW_NORM)
    A = row_norm[..., :, None] * Vh
    B = U * (S / row_norm)[..., None, :]
    missing = rank - S.shape[-1]
    if missing > 0:
        A = torch.nn.functional.pad(A, (0, 0, 0, missing))
        B = torch.nn.functional.pad(B, (0, missing))
    return A, B


def product_inner(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> float:
    """Return the Frobenius inner product of two products, summed over the batch.

    <B A, D C> = tr(A^T B^T D C) = sum((B^T D) * (A C^T)), from two r x r matrices in double
    precision.
    """
    (A, B), (C, D) = ((pair[0].double(), pair[1].double()) for pair in (one, other))
    return float(((B.mT @ D) * (A @ C.mT)).sum())


def relative_change(child: Factors, parent: Factors) -> float:
    """Return ||P_child - P_parent|| over the larger norm, all layers together; in [0, 2].

    Accurate to about 1e-8, as the square is a difference of double precision sums.
    """
    children = math.fsum(product_inner(child[n], child[n]) for n in parent)
    parents = math.fsum(product_inner(parent[n], parent[n]) for n in parent)
    mixed = math.fsum(product_inner(child[n], parent[n]) for n in parent)
    size = max(children, parents)
    return math.sqrt(max(0.0, children + parents - 2.0 * mixed) / size) if size > 0.0 else 0.0


def shape_groups(parents: Sequence[Factors]) -> list[list[str]]:
    """Return the names of the layers by shape; groups and names keep the first parent's order.

    Raises:
        ValueError: the parents do not have the same layers with the same shapes.
    """
    groups: dict[tuple[torch.Size, torch.Size], list[str]] = {}
    for name, (A, B) in parents[0].items():
        groups.setdefault((A.shape, B.shape), []).append(name)
        for other in parents[1:]:
            if other.keys() != parents[0].keys():
                raise ValueError("the parents' adapters sit on different layers")
            if (other[name][0].shape, other[name][1].shape) != (A.shape, B.shape):
                raise ValueError(f"the parents' adapters differ in shape at {name}")
    return list(groups.values())
