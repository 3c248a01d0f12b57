"""Ragged products against a loop over runs, with gradients."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from redqueen.models.adapters import AdapterStack, LayerShape
from redqueen.models.ragged import add_ragged, aligned, multiplies_ragged, ragged_linear
from tests.gradients import randn, same_with_gradients

RAGGED = pytest.mark.skipif(
    not hasattr(functional, "grouped_mm"), reason="this torch has no ragged products"
)
DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
    ),
]


@RAGGED
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("rest", [0, 5])
@pytest.mark.parametrize("biased", [True, False])
def test_ragged_linear(biased: bool, rest: int, device: str) -> None:
    """`rest` tokens behind the groups have no adapter."""
    dtype, ends = torch.bfloat16, [3, 20, 21]
    weight = randn(24, 16, seed=1, dtype=dtype).to(device)
    bias = randn(24, seed=2, dtype=dtype).to(device) if biased else None

    def ours(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        ends_G = torch.tensor(ends, dtype=torch.int32, device=device)
        return ragged_linear(x, weight, bias, ends_G, ends[-1], a, b)

    def plain(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        groups = [x[start:stop] for start, stop in zip([0, *ends], [*ends, len(x)], strict=True)]
        added = [part @ a[g] @ b[g] for g, part in enumerate(groups[:-1])]
        added.append(torch.zeros(len(groups[-1]), 24, device=device))
        wide = None if bias is None else bias.float()
        return functional.linear(x, weight.float(), wide) + torch.cat(added)

    inputs = [(ends[-1] + rest, 16), (3, 16, 8), (3, 8, 24)]
    same_with_gradients(
        ours, plain, [randn(*s, seed=3 + i, dtype=dtype).to(device) for i, s in enumerate(inputs)]
    )


@RAGGED
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("grad", [True, False])
def test_add_ragged(grad: bool, device: str) -> None:
    ends, dtype = [2, 9], torch.bfloat16
    x, out = (randn(12, 16, seed=seed, dtype=dtype).to(device) for seed in (0, 1))
    a, b = (randn(*s, seed=2, dtype=dtype).to(device) for s in ((2, 16, 8), (2, 8, 16)))
    expected = out.float().clone()
    for run, (start, stop) in enumerate([(0, 2), (2, 9)]):
        expected[start:stop] += x[start:stop].float() @ a[run].float() @ b[run].float()
    ends_G = torch.tensor(ends, dtype=torch.int32, device=device)
    with torch.set_grad_enabled(grad):
        result = add_ragged(x, out, ends_G, ends[-1], a, b)
    assert torch.allclose(result.float(), expected, rtol=0.05, atol=0.5)
    assert (result.data_ptr() == out.data_ptr()) == (not grad)


@pytest.mark.parametrize(
    ("rank", "inputs", "fits"), [(8, 16, True), (4, 16, False), (8, 12, False)]
)
def test_sizes_that_the_kernel_takes(rank: int, inputs: int, fits: bool) -> None:
    stack = AdapterStack({"layer": LayerShape(inputs, 24)}, 1, rank, 1.0)
    assert aligned(stack) == fits


def test_a_cpu_has_no_such_kernel() -> None:
    assert not multiplies_ragged(torch.device("cpu"))
