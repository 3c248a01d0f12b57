import pytest
import torch
from torch import Tensor
from torch.nn import functional

from redqueen.models.blocked import (
    FEW_ROWS,
    LARGE,
    BlockedLinear,
    block,
    blockable,
    blocked_product,
    gains,
    with_blocked,
)

CPU = torch.device("cpu")
TYPES = [
    pytest.param(
        dtype,
        marks=pytest.mark.skipif(
            not blockable(LARGE, dtype, CPU), reason="no such products by oneDNN on this processor"
        ),
    )
    for dtype in (torch.float32, torch.bfloat16)
]
"""Of what the machine has kernels for."""


def drawn(dtype: torch.dtype, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("shape", [(48, 32), (896, 130), (1, 7)])
@pytest.mark.parametrize("rows", [1, 3, FEW_ROWS, FEW_ROWS + 1])
def test_both_layouts_give_the_same_product(
    rows: int, shape: tuple[int, int], biased: bool, dtype: torch.dtype
) -> None:
    weight, x = drawn(dtype, *shape), drawn(dtype, rows, shape[1])
    bias = drawn(dtype, shape[0]) if biased else None
    linear = BlockedLinear(("layer",), (shape[0],), weight, bias, block(weight))
    exact = functional.linear(x.double(), weight.double(), None if bias is None else bias.double())
    with torch.no_grad():
        out = linear.base(x)
    assert out.dtype == dtype
    error = 2**-7 if dtype == torch.bfloat16 else 2**-17
    assert torch.allclose(out.double(), exact, rtol=error, atol=error * shape[1] ** 0.5)


@pytest.mark.parametrize("dtype", TYPES)
def test_gradients_flow_through_the_plain_layout(dtype: torch.dtype) -> None:
    weight, x = drawn(dtype, 6, 4), drawn(dtype, 2, 4).requires_grad_()
    linear = BlockedLinear(("layer",), (6,), weight, None, block(weight))
    linear.base(x).sum().backward()
    assert torch.allclose(x.grad, weight.sum(0).expand(2, 4), atol=0.05)


@pytest.mark.parametrize("dtype", TYPES)
def test_a_row_does_not_depend_on_the_others_but_for_rounding(dtype: torch.dtype) -> None:
    weight, x = drawn(dtype, 130, 96), drawn(dtype, 40, 96)
    together, alone = (
        blocked_product(x, block(weight), None),
        blocked_product(x[7:8], block(weight), None),
    )
    assert torch.allclose(together[7:8].float(), alone.float(), atol=1e-5, rtol=2**-7)


def test_a_small_base_in_float32_keeps_one_layout(make_model) -> None:
    weights = make_model().base.packed.weights
    assert with_blocked(weights) == weights
    assert gains(FEW_ROWS + 1, torch.float32)
    assert not gains(FEW_ROWS + 1, torch.bfloat16)
    assert not blockable(LARGE - 1, torch.float32, CPU)
    assert not blockable(LARGE, torch.float64, CPU)
    assert not blockable(LARGE, torch.float32, torch.device("cuda"))
