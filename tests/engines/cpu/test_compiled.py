"""Compiled kernels against the same sums by PyTorch, row by row."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from redqueen.engines.cpu.compiled import array_of
from redqueen.engines.cpu.compiled.rows import (
    attend_rows,
    heads_rows,
    norm_rows,
    residual_rows,
    swiglu_rows,
)
from redqueen.engines.cpu.kernels import rms_norm, swiglu
from redqueen.engines.cpu.model import RowFactors
from redqueen.models.adapters import AdapterStack, LayerShape
from redqueen.models.fused import Linear
from redqueen.models.kernels import rotate
from redqueen.models.routing import Route

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
SLOTS = (2, None, 0, 2, 2, None, 1)
ROWS = len(SLOTS)
INPUTS = 24

both = pytest.mark.parametrize("dtype", TOLERANCE)


def randn(*shape: int, seed: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def near(found: Tensor, expected: Tensor) -> None:
    error = float((found.float() - expected.float()).abs().max())
    assert error <= TOLERANCE[found.dtype] * float(expected.abs().max())


def stack(widths: tuple[int, ...], adapted: tuple[int, ...], rank: int) -> AdapterStack:
    """Three members' adapters on some of the layers side by side, whose names are their numbers."""
    shapes = {str(part): LayerShape(INPUTS, widths[part]) for part in adapted}
    shapes["elsewhere"] = LayerShape(INPUTS, 8)
    adapters = AdapterStack(shapes, 3, rank, 2.0 * rank)
    adapters.initialize(0, init_noise=0.3)
    return adapters


def layers(names: tuple[str, ...], widths: tuple[int, ...]) -> Linear:
    return Linear(names, widths, torch.zeros(sum(widths), INPUTS), None)


Factors = tuple[NDArray[np.generic], NDArray[np.generic], NDArray[np.generic]]


def adapted(
    widths: tuple[int, ...], dtype: torch.dtype, parts: tuple[int, ...] = (0, 1), rank: int = 5
) -> tuple[Tensor, Tensor, Tensor, Factors, NDArray[np.int64]]:
    """Inputs, outputs of the base, outputs with adapters (by `Route`), factors and their slots."""
    names = tuple(str(part) for part in range(len(widths)))
    adapters = stack(widths, tuple(part for part in parts if part < len(widths)), rank)
    x = randn(ROWS, INPUTS, seed=1, dtype=dtype)
    out = randn(ROWS, sum(widths), seed=2, dtype=dtype)
    rows = RowFactors(adapters, SLOTS, dtype)
    with torch.no_grad():
        route = Route(adapters, SLOTS, "padded", packed=True)
        expected = route.add(names, widths, x.float(), out.float().clone()).to(dtype)
    return x, out, expected, rows.of(layers(names, widths)), rows.slot_R


@both
def test_bfloat16_is_rounded_as_the_library_rounds(dtype: torch.dtype) -> None:
    x = randn(3, 4096, seed=0, dtype=dtype)
    out = torch.empty_like(x)
    one = torch.ones(4096, dtype=dtype)
    norm_rows(array_of(x), array_of(one), 1e-6, array_of(out))
    scale = x.double().square().mean(-1, keepdim=True).add(1e-6).rsqrt()
    expected = (x.double() * scale).to(dtype)
    # A sum in another order may fall on the other side of a tie now and then.
    assert float((out != expected).float().mean()) < (0.01 if dtype == torch.bfloat16 else 1.0)
    near(out, expected)


@both
def test_residual_rows(dtype: torch.dtype) -> None:
    x, out, expected, factors, slot = adapted((16,), dtype)
    residual, weight = (randn(*shape, seed=3, dtype=dtype) for shape in ((ROWS, 16), (16,)))
    total, normed = residual.clone(), torch.empty_like(residual)
    residual_rows(
        array_of(x), factors, slot, array_of(out), array_of(total), array_of(weight), 1e-3,
        array_of(normed),
    )  # fmt: skip
    near(total, residual + expected)
    near(normed, rms_norm(total, weight, 1e-3))


@both
@pytest.mark.parametrize("parts", [(0, 1), (1,), ()])
def test_swiglu_rows(dtype: torch.dtype, parts: tuple[int, ...]) -> None:
    x, out, expected, factors, slot = adapted((12, 12), dtype, parts)
    found = torch.empty(ROWS, 12, dtype=dtype)
    swiglu_rows(array_of(x), factors, slot, array_of(out), array_of(found))
    near(found, swiglu(expected))


@both
@pytest.mark.parametrize("normed", [False, True])
@pytest.mark.parametrize("parts", [(0, 1, 2), (0, 2), ()])
def test_heads_rows(dtype: torch.dtype, normed: bool, parts: tuple[int, ...]) -> None:
    heads, kv_heads, size = 4, 2, 8
    widths = (heads * size, kv_heads * size, kv_heads * size)
    x, out, expected, factors, slot = adapted(widths, dtype, parts, rank=4)
    weights = [randn(size if normed else 0, seed=seed, dtype=dtype) for seed in (4, 5)]
    angle_PD = torch.rand(9, size // 2, generator=torch.Generator().manual_seed(6)).repeat(1, 2)
    cosine_PD, sine_PD = angle_PD.cos().to(dtype), angle_PD.sin().to(dtype)
    position = torch.tensor([3, 0, 8, 8, 1, 2, 5])
    found = [torch.empty(ROWS, n, size, dtype=dtype) for n in (heads, kv_heads, kv_heads)]
    heads_rows(
        array_of(x), factors, slot, array_of(out), (*map(array_of, weights), 1e-3),
        array_of(cosine_PD), array_of(sine_PD), array_of(position), *map(array_of, found),
    )  # fmt: skip
    query, key, value = expected.view(ROWS, -1, size).split((heads, kv_heads, kv_heads), 1)
    if normed:
        query, key = rms_norm(query, weights[0], 1e-3), rms_norm(key, weights[1], 1e-3)
    sine = sine_PD[position][:, None].clone()
    sine[..., : size // 2].neg_()
    near(found[0], rotate(query, cosine_PD[position][:, None], sine))
    near(found[1], rotate(key, cosine_PD[position][:, None], sine))
    near(found[2], value)


@both
@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 11), min_size=1, max_size=4),
    written=st.integers(1, 9),
    share=st.sampled_from([1, 2, 3]),
    seed=st.integers(0, 9),
)
def test_attend_rows(
    dtype: torch.dtype, lengths: list[int], written: int, share: int, seed: int
) -> None:
    kv_heads, size, scale = 2, 12, 0.4
    generator = torch.Generator().manual_seed(seed)
    group = torch.randint(len(lengths), (5,), generator=generator)
    length = np.array(lengths)[group.numpy()]
    start = (np.cumsum(lengths) - lengths)[group.numpy()]
    row = torch.randperm(7, generator=generator)[:5]
    prompts = [randn(sum(lengths), kv_heads, size, seed=s, dtype=dtype) for s in (1, 2)]
    own = [randn(7, 10, kv_heads, size, seed=s, dtype=dtype) for s in (3, 4)]
    latest = [randn(5, kv_heads, size, seed=s, dtype=dtype) for s in (5, 6)]
    # Large scores: exponentials must neither overflow nor lose the small ones.
    query = 4.0 * randn(5, kv_heads * share, size, seed=7, dtype=dtype)
    out = torch.empty_like(query)
    before = [state.clone() for state in own]
    attend_rows(
        array_of(query), tuple(map(array_of, latest)), tuple(map(array_of, prompts)), start,
        length, tuple(map(array_of, own)), row.numpy(), written, scale, array_of(out),
    )  # fmt: skip
    for state, new, old in zip(own, latest, before, strict=True):
        old[row, written - 1] = new
        assert torch.equal(state, old)
    for r in range(5):
        keys, values = (
            torch.cat((prompt[start[r] : start[r] + length[r]], state[row[r], :written]))
            for prompt, state in zip(prompts, own, strict=True)
        )
        expected = functional.scaled_dot_product_attention(
            query[r].double()[:, None],
            keys.double().repeat_interleave(share, 1).transpose(0, 1),
            values.double().repeat_interleave(share, 1).transpose(0, 1),
            scale=scale,
        )[:, 0]
        near(out[r], expected)


def test_factors_follow_the_rows_that_are_left() -> None:
    adapters = stack((16,), (0,), 4)
    rows = RowFactors(adapters, SLOTS, torch.float32)
    a, b, edges = rows.of(layers(("0",), (16,)))
    assert rows.of(layers(("0",), (16,)))[0] is a
    assert edges.tolist() == [0, 16]
    rows.keep(torch.tensor([1, 2, 6]))
    assert rows.slot_R.tolist() == [-1, 0, 1]
    for slot, place in ((0, 0), (1, 1), (2, 2)):
        assert np.array_equal(a[place], adapters.A["0"][slot].detach())
        assert np.allclose(b[place], 2.0 * adapters.B["0"][slot].detach().T)
    few = RowFactors(adapters, [2, 2, None], torch.float32)
    assert few.slot_R.tolist() == [0, 0, -1]
    assert len(few.of(layers(("0",), (16,)))[0]) == 1


@pytest.mark.slow
def test_products_of_matrices_keep_to_one_thread() -> None:
    code = (
        "from redqueen.engines.cpu.compiled import one_blas_thread\n"
        "from threadpoolctl import threadpool_info\n"
        "one_blas_thread()\n"
        "pools = [pool for pool in threadpool_info() if 'scipy.libs' in pool['filepath']]\n"
        "print([pool['num_threads'] for pool in pools])"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4"}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[1]"
