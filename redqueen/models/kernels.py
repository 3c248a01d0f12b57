"""The pieces of a Llama layer with gradients written out, in plain torch.

Automatic differentiation gives the same and moves several times the memory: it keeps every
intermediate and copies every piece of a split on the way back. Each function here keeps its inputs
and little more. Gradients go to activations and adapters only; the base is frozen.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional


def call(function: type[Function], *inputs: Any) -> Any:
    """Return `function.apply(*inputs)`, which has no types of its own."""
    return function.apply(*inputs)  # type: ignore[no-untyped-call]


class _RMSNorm(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        wide = x.float()
        scale = wide.square().mean(-1, keepdim=True).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        return (wide * scale).to(x.dtype).mul_(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        # y = w x s with s = (mean x² + ε)^-1/2, so dx = s (w g - x s · mean(w g · x s)).
        x, weight, scale = ctx.saved_tensors
        slope = (grad * weight).float()
        unit = x.float() * scale
        slope -= unit * (slope * unit).mean(-1, keepdim=True)
        return slope.mul_(scale).to(x.dtype), None, None


def rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Root mean square normalisation (arXiv 1910.07467) over the last dimension, in float32."""
    if x.is_cuda and not torch.is_grad_enabled():
        return functional.rms_norm(x, x.shape[-1:], weight, epsilon)  # one kernel instead of eight
    result: Tensor = call(_RMSNorm, x, weight, epsilon)
    return result


class _SwiGLU(Function):
    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        gate_up = gate_up.contiguous()
        ctx.save_for_backward(gate_up)
        gate, up = gate_up.chunk(2, -1)
        return functional.silu(gate).mul_(up)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (gate_up,) = ctx.saved_tensors
        gate, up = gate_up.chunk(2, -1)
        slope = torch.empty_like(gate_up)
        slope_gate, slope_up = slope.chunk(2, -1)
        torch.mul(functional.silu(gate), grad, out=slope_up)
        slope_gate.copy_(torch.ops.aten.silu_backward(grad * up, gate))
        return slope


def swiglu(gate_up: Tensor) -> Tensor:
    """silu(gate) * up (arXiv 2002.05202) of [..., gate | up]."""
    result: Tensor = call(_SwiGLU, gate_up)
    return result


def _halves_swapped(x: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return torch.cat((x[..., half:], x[..., :half]), -1)


class _Rotation(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        ctx.save_for_backward(cosine, sine)
        return torch.addcmul(x * cosine, _halves_swapped(x), sine)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        cosine, sine = ctx.saved_tensors
        return torch.add(grad * cosine, _halves_swapped(grad * sine)), None, None


def rotate(x_NHD: Tensor, cosine_N1D: Tensor, sine_N1D: Tensor) -> Tensor:
    """Rotary embedding (arXiv 2104.09864), halves paired; the sine's first half is negative."""
    result: Tensor = call(_Rotation, x_NHD, cosine_N1D, sine_N1D)
    return result


Span = tuple[int, int]

SPAN_ROWS = 64
"""On a CPU spans are widened to multiples of it: the library makes a kernel for every number of
rows that it has not met, which takes as long as ten products of a span."""


def _widened(span: Span, rows: int, step: int) -> slice:
    """Rows that hold the span, a multiple of `step` of them if there are so many."""
    start, stop = span
    size = min(-(-(stop - start) // step) * step, rows)
    first = min(start, rows - size)
    return slice(first, first + size)


def _blank_others(low: Tensor, span: Span, wide: slice) -> Tensor:
    """Zero the rows of `low` that are not of the span, so that they add nothing to anything."""
    start, stop = span
    if start > wide.start:
        low[: start - wide.start].zero_()
    if stop < wide.stop:
        low[stop - wide.start :].zero_()
    return low


class _RoutedLinear(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        spans: Sequence[Span],
        *factors: Tensor,
    ) -> Tensor:
        out = functional.linear(x, weight, bias)
        step = SPAN_ROWS if x.device.type == "cpu" else 1
        wides = [_widened(span, len(x), step) for span in spans]
        lows = []
        for span, wide, a, b in zip(spans, wides, factors[::2], factors[1::2], strict=True):
            low = _blank_others(x[wide] @ a, span, wide)
            out[wide].addmm_(low, b)
            lows.append(low)
        ctx.spans, ctx.wides = spans, wides
        ctx.save_for_backward(x, weight, *factors, *lows)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, weight, *rest = ctx.saved_tensors
        runs = len(ctx.spans)
        factors, lows = rest[: 2 * runs], rest[2 * runs :]
        slope = grad @ weight if ctx.needs_input_grad[0] else None
        slopes: list[Tensor] = []
        for span, wide, a, b, low in zip(
            ctx.spans, ctx.wides, factors[::2], factors[1::2], lows, strict=True
        ):
            own = grad[wide]
            slope_low = _blank_others(own @ b.t(), span, wide)
            if slope is not None:
                slope[wide].addmm_(slope_low, a.t())
            slopes += (x[wide].t() @ slope_low, low.t() @ own)
        return slope, None, None, None, *slopes


def routed_linear(
    x_NI: Tensor,
    weight_OI: Tensor,
    bias_O: Tensor | None,
    spans: Sequence[Span],
    factors: Sequence[tuple[Tensor, Tensor]],
) -> Tensor:
    """x Wᵀ + bias, plus x A B for the tokens of each span; A is [in, rank], B [rank, out]."""
    flat = [factor for pair in factors for factor in pair]
    result: Tensor = call(_RoutedLinear, x_NI, weight_OI, bias_O, spans, *flat)
    return result
