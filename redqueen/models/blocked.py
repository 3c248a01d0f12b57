"""A base's weights once more, in the layout in which products of few rows are fastest on a CPU.

A product with a weight as it lies rearranges the weight in every call. That costs two or three
times as long as reading it, and when a handful of texts is being written, reading the weights is
all the work there is. oneDNN's blocked layout is made once; it holds nothing new, so it doubles the
memory of the weights that have it. In float32 those are the large ones: with 8 to 64 rows on two
cores with AVX2, a product with 8.7 M numbers takes a third to a half of the time so, one with 0.2 M
as long.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from redqueen.models.fused import FusedWeights, Linear
from redqueen.models.precision import multiplies_bfloat16

FEW_ROWS = 128
"""Products of more rows are no faster in bfloat16."""
LARGE = 1 << 20
"""Numbers of a weight in float32 from which the layout makes a difference."""


@dataclass(frozen=True, slots=True)
class BlockedLinear(Linear):
    """Linear layers with both layouts of their weight."""

    blocked: Tensor

    def base(self, x_NI: Tensor) -> Tensor:
        """See `Linear`."""
        if torch.is_grad_enabled() or not gains(len(x_NI), x_NI.dtype):
            return Linear.base(self, x_NI)
        return blocked_product(x_NI, self.blocked, self.bias)


def blockable(size: int, dtype: torch.dtype, device: torch.device) -> bool:
    """Return whether a weight of so many numbers gains by the layout on this machine."""
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if dtype == torch.float32:
        return size >= LARGE
    return dtype == torch.bfloat16 and multiplies_bfloat16(device)


def gains(rows: int, dtype: torch.dtype) -> bool:
    """Return whether a product of so many rows is faster with a weight in the layout."""
    return dtype == torch.float32 or rows <= FEW_ROWS


def block(weight_OI: Tensor) -> Tensor:
    """Return a weight in the layout that `blocked_product` takes."""
    result: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight_OI.contiguous())
    return result


def blocked_product(x_NI: Tensor, blocked: Tensor, bias_O: Tensor | None) -> Tensor:
    """Return x Wᵀ + bias [N, O], without gradients."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(x_NI, blocked, bias_O, "none", [], "")
    return result


def with_blocked(weights: FusedWeights) -> FusedWeights:
    """Return the weights with both layouts, where that makes a difference."""

    def both(linear: Linear) -> Linear:
        weight = linear.weight
        if not blockable(weight.numel(), weight.dtype, weight.device):
            return linear
        return BlockedLinear(linear.names, linear.widths, weight, linear.bias, block(weight))

    layers = tuple(
        replace(
            layer,
            qkv=both(layer.qkv),
            attention_out=both(layer.attention_out),
            gate_up=both(layer.gate_up),
            down=both(layer.down),
        )
        for layer in weights.layers
    )
    return replace(weights, layers=layers, head=both(weights.head))
