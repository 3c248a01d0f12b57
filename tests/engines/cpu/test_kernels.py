"""Gradients written out against those of automatic differentiation."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from redqueen.engines.cpu.kernels import (
    compiled_for,
    rms_norm,
    rotate,
    rotated_heads,
    routed_linear,
    swiglu,
)

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 4e-2}


def randn(*shape: int, seed: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def same_with_gradients(
    ours: Callable[..., Tensor], plain: Callable[..., Tensor], inputs: list[Tensor]
) -> None:
    """Values and gradients, relative to the largest; the plain way in float32."""
    dtype = inputs[0].dtype
    leaves = [x.clone().requires_grad_(True) for x in inputs]
    wide = [x.float().requires_grad_(True) for x in inputs]
    found, expected = ours(*leaves), plain(*wide)
    assert found.dtype == dtype
    probe = randn(*found.shape, seed=99, dtype=torch.float32)
    slopes = torch.autograd.grad((found.float() * probe).sum(), leaves)
    references = torch.autograd.grad((expected * probe).sum(), wide)
    for one, other in zip((found.detach(), *slopes), (expected.detach(), *references), strict=True):
        assert float((one.float() - other).abs().max()) <= TOLERANCE[dtype] * float(
            other.abs().max()
        )


both = pytest.mark.parametrize("dtype", TOLERANCE)


@pytest.fixture(params=["compiled", "library"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """With one thread, as in a worker, and with several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if request.param == "compiled" else 2)
    assert compiled_for(torch.ones(1)) == (request.param == "compiled")
    yield request.param
    torch.set_num_threads(before)


@both
@pytest.mark.usefixtures("way")
def test_rms_norm(dtype: torch.dtype) -> None:
    weight = randn(16, seed=1, dtype=dtype)

    def plain(x: Tensor) -> Tensor:
        return functional.rms_norm(x, (16,), weight.float(), 1e-3)

    x = randn(5, 3, 16, seed=0, dtype=dtype)
    same_with_gradients(lambda x: rms_norm(x, weight, 1e-3), plain, [x])


@both
@pytest.mark.usefixtures("way")
def test_swiglu(dtype: torch.dtype) -> None:
    def plain(gate_up: Tensor) -> Tensor:
        return functional.silu(gate_up[..., :6]) * gate_up[..., 6:]

    same_with_gradients(swiglu, plain, [randn(7, 12, seed=0, dtype=dtype)])


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


@both
@pytest.mark.parametrize(("heads", "kv_heads"), [(2, 2), (3, 1)])
def test_rotated_heads(dtype: torch.dtype, heads: int, kv_heads: int) -> None:
    angle = torch.rand(5, 3, generator=torch.Generator().manual_seed(1)).repeat(1, 2)
    cosine, sine = angle.cos().to(dtype), angle.sin().to(dtype)
    signed = sine.float().clone()
    signed[:, :3] *= -1

    def ours(x: Tensor) -> Tensor:
        return torch.cat(rotated_heads(x, cosine, sine, heads, kv_heads), 1)

    def plain(x: Tensor) -> Tensor:
        parts = x.view(5, -1, 6).split((heads, kv_heads, kv_heads), 1)
        turned = [rotate(part, cosine.float()[:, None], signed[:, None]) for part in parts[:2]]
        return torch.cat((*turned, parts[2]), 1)

    same_with_gradients(ours, plain, [randn(5, 6 * (heads + 2 * kv_heads), seed=0, dtype=dtype)])


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
