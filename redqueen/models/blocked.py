"""A base's weights once more, in the layout in which products of few rows are fastest on a CPU.

A product in bfloat16 with a weight as it lies rearranges the weight in every call. That costs two
or three times as long as reading it, and when a handful of texts is being written, reading the
weights is all the work there is. oneDNN's blocked layout is made once; it holds nothing new, so it
doubles the base's memory.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from redqueen.models.fused import FusedWeights, Linear
from redqueen.models.precision import multiplies_bfloat16

FEW_ROWS = 128
"""Products of more rows are no faster."""


@dataclass(frozen=True, slots=True)
class BlockedLinear(Linear):
    """Linear layers with both layouts of their weight."""

    blocked: Tensor

    def base(self, x_NI: Tensor) -> Tensor:
        """See `Linear`."""
        if len(x_NI) > FEW_ROWS or torch.is_grad_enabled():
            return Linear.base(self, x_NI)
        return few_rows(x_NI, self.blocked, self.bias)


def blockable(weight: Tensor) -> bool:
    """Return whether this machine has the layout for a weight of this type and device."""
    return (
        weight.dtype == torch.bfloat16
        and weight.device.type == "cpu"
        and multiplies_bfloat16(weight.device)
    )


def block(weight_OI: Tensor) -> Tensor:
    """Return a weight in the layout for few rows, which `few_rows` takes."""
    result: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight_OI.contiguous())
    return result


def few_rows(x_NI: Tensor, blocked: Tensor, bias_O: Tensor | None) -> Tensor:
    """Return x Wᵀ + bias [N, O], without gradients."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(x_NI, blocked, bias_O, "none", [], "")
    return result


def with_blocked(weights: FusedWeights) -> FusedWeights:
    """Return the weights with both layouts, or as they are where the machine has no other."""
    if not blockable(weights.head.weight):
        return weights

    def both(linear: Linear) -> Linear:
        return BlockedLinear(
            linear.names, linear.widths, linear.weight, linear.bias, block(linear.weight)
        )

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
