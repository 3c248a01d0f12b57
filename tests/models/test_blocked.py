import pytest
import torch
from torch import Tensor
from torch.nn import functional

from redqueen.models.blocked import FEW_ROWS, BlockedLinear, block, blockable, with_blocked

pytestmark = pytest.mark.skipif(
    not blockable(torch.empty(1, dtype=torch.bfloat16)),
    reason="no bfloat16 products by oneDNN on this processor",
)


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).bfloat16()


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("shape", [(48, 32), (896, 130), (1, 7)])
@pytest.mark.parametrize("rows", [1, 3, FEW_ROWS, FEW_ROWS + 1])
def test_both_layouts_give_the_same_product(
    rows: int, shape: tuple[int, int], biased: bool
) -> None:
    weight, x = drawn(*shape), drawn(rows, shape[1])
    bias = drawn(shape[0]) if biased else None
    linear = BlockedLinear(("layer",), (shape[0],), weight, bias, block(weight))
    exact = functional.linear(x.double(), weight.double(), None if bias is None else bias.double())
    with torch.no_grad():
        out = linear.base(x)
    assert out.dtype == torch.bfloat16
    assert torch.allclose(out.double(), exact, rtol=2**-7, atol=2**-7 * shape[1] ** 0.5)


def test_gradients_flow_through_the_plain_layout() -> None:
    weight, x = drawn(6, 4), drawn(2, 4).requires_grad_()
    linear = BlockedLinear(("layer",), (6,), weight, None, block(weight))
    linear.base(x).sum().backward()
    assert torch.allclose(x.grad, weight.sum(0).expand(2, 4), atol=0.05)


def test_a_base_in_float32_keeps_one_layout(make_model) -> None:
    weights = make_model().base.packed.weights
    assert with_blocked(weights) is weights
