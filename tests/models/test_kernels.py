"""Gradients written out against those of automatic differentiation.

Those of `rms_norm` and `swiglu` are tested beside the compiled ones.
"""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from redqueen.models.kernels import rotate, routed_linear
from tests.gradients import both, randn, same_with_gradients


@both
def test_rotate(dtype: torch.dtype) -> None:
    angle = torch.arange(7.0)[:, None, None] * torch.tensor([1.0, 0.1, 0.01])
    cosine = torch.cat((angle.cos(), angle.cos()), -1)
    sine = torch.cat((-angle.sin(), angle.sin()), -1)

    def plain(x: Tensor) -> Tensor:
        """The rotation of pairs (i, i + half) as complex numbers."""
        turned = torch.complex(x[..., :3], x[..., 3:]) * torch.polar(torch.ones_like(angle), angle)
        return torch.cat((turned.real, turned.imag), -1)

    x = randn(7, 2, 6, seed=0, dtype=dtype)
    same_with_gradients(lambda x: rotate(x, cosine.to(dtype), sine.to(dtype)), plain, [x])


SPANS = {10: [(0, 3), (3, 4), (6, 10)], 200: [(0, 70), (70, 75), (90, 199)]}
"""By the number of rows; those of the second are widened into each other."""


@both
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("rows", SPANS)
def test_routed_linear(dtype: torch.dtype, biased: bool, rows: int) -> None:
    weight = randn(9, 8, seed=1, dtype=dtype)
    bias = randn(9, seed=2, dtype=dtype) if biased else None
    spans = SPANS[rows]

    def ours(x: Tensor, *factors: Tensor) -> Tensor:
        pairs = list(zip(factors[::2], factors[1::2], strict=True))
        return routed_linear(x, weight, bias, spans, pairs)

    def plain(x: Tensor, *factors: Tensor) -> Tensor:
        parts = [functional.linear(x, weight.float(), None if bias is None else bias.float())]
        for (start, stop), a, b in zip(spans, factors[::2], factors[1::2], strict=True):
            mask = torch.zeros(rows, 1)
            mask[start:stop] = 1
            parts.append(mask * (x @ a @ b))
        return sum(parts[1:], parts[0])

    factors = [
        randn(*shape, seed=3 + i, dtype=dtype) for i, shape in enumerate([(8, 2), (2, 9)] * 3)
    ]
    same_with_gradients(ours, plain, [randn(rows, 8, seed=0, dtype=dtype), *factors])


@both
def test_widened_spans_leave_the_rows_of_others_as_they_are(dtype: torch.dtype) -> None:
    x, weight = randn(200, 8, seed=0, dtype=dtype), randn(9, 8, seed=1, dtype=dtype)
    pair = randn(8, 2, seed=2, dtype=dtype), randn(2, 9, seed=3, dtype=dtype)
    found = routed_linear(x, weight, None, [(70, 75)], [pair])
    base = functional.linear(x, weight)
    assert torch.equal(found[:70], base[:70])
    assert torch.equal(found[75:], base[75:])
    assert not torch.equal(found[70:75], base[70:75])


def test_frozen_activations_get_no_gradient() -> None:
    weight, x = torch.ones(3, 2), torch.ones(4, 2)
    a, b = (torch.ones(s).requires_grad_(True) for s in ((2, 1), (1, 3)))
    out = routed_linear(x, weight, None, [(0, 4)], [(a, b)])
    assert [g.shape for g in torch.autograd.grad(out.sum(), [a, b])] == [(2, 1), (1, 3)]
    assert not routed_linear(x, weight, None, [], []).requires_grad
