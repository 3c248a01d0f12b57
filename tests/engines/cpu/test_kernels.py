"""Compiled pieces of a layer, and those of plain torch, against automatic differentiation."""

from types import ModuleType

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from redqueen.engines.cpu import kernels as compiled
from redqueen.engines.cpu.kernels import rotated_heads, text_attention
from redqueen.models import kernels
from redqueen.models.attention import dense_attention
from redqueen.models.kernels import rotate
from redqueen.models.packing import Packing, Text
from tests.gradients import both, randn, same_with_gradients
from tests.loop_attention import loop_attention


@both
@pytest.mark.parametrize("way", [kernels, compiled])
def test_rms_norm(way: ModuleType, dtype: torch.dtype) -> None:
    weight = randn(16, seed=1, dtype=dtype)

    def plain(x: Tensor) -> Tensor:
        return functional.rms_norm(x, (16,), weight.float(), 1e-3)

    x = randn(5, 3, 16, seed=0, dtype=dtype)
    same_with_gradients(lambda x: way.rms_norm(x, weight, 1e-3), plain, [x])


@both
@pytest.mark.parametrize("way", [kernels, compiled])
def test_swiglu(way: ModuleType, dtype: torch.dtype) -> None:
    def plain(gate_up: Tensor) -> Tensor:
        return functional.silu(gate_up[..., :6]) * gate_up[..., 6:]

    same_with_gradients(way.swiglu, plain, [randn(7, 12, seed=0, dtype=dtype)])


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


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(1, 30), st.integers(0, 40)),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([(2, 2), (4, 2), (4, 1)]),
)
def test_attention_of_any_layout_equals_a_loop(
    shapes: list[tuple[int, int, int]], heads: tuple[int, int]
) -> None:
    """Gradients against those of automatic differentiation through plain products."""
    texts = [Text(slot, range(size), range(more)) for slot, size, more in sorted(shapes)]
    packing = Packing(texts, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    q, k, v = (
        torch.randn(len(packing.ids_N), count, 4, generator=generator)
        for count in (heads[0], heads[1], heads[1])
    )
    ours, plain = ([x.clone().requires_grad_(True) for x in (q, k, v)] for _ in range(2))
    result = text_attention(*ours, packing.stretches, 0.3)
    assert torch.allclose(result, loop_attention(q, k, v, texts, packing), atol=1e-5)
    probe = torch.randn(result.shape, generator=generator)
    slopes = torch.autograd.grad((result * probe).sum(), ours)
    expected = packing.attend(dense_attention, *plain, 0.3)
    for one, other in zip(
        slopes, torch.autograd.grad((expected * probe).sum(), plain), strict=True
    ):
        assert torch.allclose(one, other, atol=1e-5 * (1.0 + float(other.abs().max())))
