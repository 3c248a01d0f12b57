"""Products of runs of any length, each with its member's factors, in one kernel for all of them.

In bfloat16, on GPUs from Hopper on. The runs follow each other from the first token on; what comes
behind the last has no adapter.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional

from redqueen.models.adapters import AdapterStack
from redqueen.models.kernels import call

ALIGNMENT = 8
"""The kernel asks that rows begin at multiples of 16 bytes: so many numbers in bfloat16."""


def multiplies_ragged(device: torch.device) -> bool:
    """Return whether the device has the kernel."""
    return (
        device.type == "cuda"
        and hasattr(functional, "grouped_mm")
        and torch.cuda.get_device_capability(device) >= (9, 0)
    )


def aligned(adapters: AdapterStack) -> bool:
    """Return whether all sizes of the adapters are as the kernel asks."""
    sizes = [size for shape in adapters.layers.values() for size in (shape.inputs, shape.outputs)]
    return all(size % ALIGNMENT == 0 for size in (adapters.rank, *sizes))


def add_ragged(
    x_NI: Tensor, out_NO: Tensor, ends_G: Tensor, count: int, a_GIR: Tensor, b_GRO: Tensor
) -> Tensor:
    """Return `out_NO` plus x A B for the tokens of each run. Writes into it without gradients.

    Run g ends before token `ends_G[g]` (int32), the last before `count`.
    """
    low = functional.grouped_mm(x_NI[:count], a_GIR, offs=ends_G)
    delta = functional.grouped_mm(low, b_GRO, offs=ends_G)
    if not torch.is_grad_enabled():
        out_NO[:count].add_(delta)
        return out_NO
    return torch.cat((out_NO[:count] + delta, out_NO[count:]))


class _RaggedLinear(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        ends: Tensor,
        count: int,
        a: Tensor,
        b: Tensor,
    ) -> Tensor:
        out = functional.linear(x, weight, bias)
        low = functional.grouped_mm(x[:count], a, offs=ends)
        out[:count].add_(functional.grouped_mm(low, b, offs=ends))
        ctx.count = count
        ctx.save_for_backward(x, weight, ends, a, b, low)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, weight, ends, a, b, low = ctx.saved_tensors
        slope = grad @ weight if ctx.needs_input_grad[0] else None
        own = grad[: ctx.count].contiguous()
        slope_low = functional.grouped_mm(own, b.transpose(1, 2), offs=ends)
        if slope is not None:
            slope[: ctx.count].add_(functional.grouped_mm(slope_low, a.transpose(1, 2), offs=ends))
        slope_a = functional.grouped_mm(x[: ctx.count].t(), slope_low, offs=ends)
        slope_b = functional.grouped_mm(low.t(), own, offs=ends)
        return slope, None, None, None, None, slope_a, slope_b


def ragged_linear(
    x_NI: Tensor,
    weight_OI: Tensor,
    bias_O: Tensor | None,
    ends_G: Tensor,
    count: int,
    a_GIR: Tensor,
    b_GRO: Tensor,
) -> Tensor:
    """`routed_linear` of spans that follow each other from the first token on, in few kernels.

    Group g ends before token `ends_G[g]` (int32), the last before `count`.
    """
    result: Tensor = call(_RaggedLinear, x_NI, weight_OI, bias_O, ends_G, count, a_GIR, b_GRO)
    return result
