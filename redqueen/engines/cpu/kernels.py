"""The pieces of a Llama layer with gradients written out.

What automatic differentiation makes of them is right but moves several times the memory: every
intermediate is kept, every piece of a split is copied on the way back. Each function here keeps its
inputs and little more. Gradients go to activations and adapters only; the base is frozen.

On a CPU with a single thread, as a worker has it, the compiled kernels do the same in one pass.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional

from redqueen.engines.cpu.compiled import Array, array_of, one_blas_thread
from redqueen.engines.cpu.compiled.texts import (
    attend_texts,
    attend_texts_gradient,
    heads_texts,
    heads_texts_gradient,
    norm_texts,
    norm_texts_gradient,
    swiglu_texts,
    swiglu_texts_gradient,
)


def compiled_for(x: Tensor) -> bool:
    """Whether the compiled kernels, which use one thread, serve this tensor best."""
    return x.device.type == "cpu" and torch.get_num_threads() == 1


def _arrays(*tensors: Tensor) -> tuple[Array, ...]:
    return tuple(array_of(tensor) for tensor in tensors)


def _apply(function: type[Function], *inputs: Any) -> Any:
    return function.apply(*inputs)  # type: ignore[no-untyped-call]


class _RMSNorm(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        if compiled_for(x):
            x = x.contiguous()
            out, scale = torch.empty_like(x), x.new_empty(*x.shape[:-1], 1, dtype=torch.float32)
            rows = (tensor.view(-1, tensor.shape[-1]) for tensor in (x, out))
            x_NI, out_NI = _arrays(*rows)
            norm_texts(x_NI, array_of(weight), epsilon, out_NI, array_of(scale.view(-1)))
            ctx.save_for_backward(x, weight, scale)
            return out
        wide = x.float()
        scale = wide.square().mean(-1, keepdim=True).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        return (wide * scale).to(x.dtype).mul_(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        # y = w x s with s = (mean x² + ε)^-1/2, so dx = s (w g - x s · mean(w g · x s)).
        x, weight, scale = ctx.saved_tensors
        if compiled_for(x):
            slope, grad = torch.empty_like(x), grad.contiguous()
            rows = (tensor.view(-1, tensor.shape[-1]) for tensor in (x, grad, slope))
            x_NI, grad_NI, slope_NI = _arrays(*rows)
            weight_I, scale_N = _arrays(weight, scale.view(-1))
            norm_texts_gradient(x_NI, weight_I, scale_N, grad_NI, slope_NI)
            return slope, None, None
        slope = (grad * weight).float()
        unit = x.float() * scale
        slope -= unit * (slope * unit).mean(-1, keepdim=True)
        return slope.mul_(scale).to(x.dtype), None, None


def rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Root mean square normalisation (arXiv 1910.07467) over the last dimension, in float32."""
    result: Tensor = _apply(_RMSNorm, x, weight, epsilon)
    return result


class _SwiGLU(Function):
    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        gate_up = gate_up.contiguous()
        ctx.save_for_backward(gate_up)
        if compiled_for(gate_up):
            out = gate_up.new_empty(*gate_up.shape[:-1], gate_up.shape[-1] // 2)
            swiglu_texts(*_arrays(gate_up.flatten(0, -2), out.view(-1, out.shape[-1])))
            return out
        gate, up = gate_up.chunk(2, -1)
        return functional.silu(gate).mul_(up)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (gate_up,) = ctx.saved_tensors
        if compiled_for(gate_up):
            slope, grad = torch.empty_like(gate_up), grad.contiguous()
            rows = (tensor.view(-1, tensor.shape[-1]) for tensor in (gate_up, grad, slope))
            swiglu_texts_gradient(*_arrays(*rows))
            return slope
        gate, up = gate_up.chunk(2, -1)
        slope = torch.empty_like(gate_up)
        slope_gate, slope_up = slope.chunk(2, -1)
        torch.mul(functional.silu(gate), grad, out=slope_up)
        slope_gate.copy_(torch.ops.aten.silu_backward(grad * up, gate))
        return slope


def swiglu(gate_up: Tensor) -> Tensor:
    """silu(gate) * up (arXiv 2002.05202) of [..., gate | up]."""
    result: Tensor = _apply(_SwiGLU, gate_up)
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
    result: Tensor = _apply(_Rotation, x_NHD, cosine_N1D, sine_N1D)
    return result


class _Heads(Function):
    @staticmethod
    def forward(
        ctx: Any, qkv: Tensor, cosine: Tensor, sine: Tensor, heads: int, kv_heads: int
    ) -> tuple[Tensor, ...]:
        size = qkv.shape[1] // (heads + 2 * kv_heads)
        parts = [qkv.new_empty(len(qkv), count, size) for count in (heads, kv_heads, kv_heads)]
        heads_texts(*_arrays(qkv.reshape(len(qkv), -1, size), cosine, sine, *parts))
        ctx.save_for_backward(cosine, sine)
        return tuple(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        cosine, sine = ctx.saved_tensors
        count = sum(grad.shape[1] for grad in grads)
        slope = grads[0].new_empty(len(cosine), count, cosine.shape[1])
        parts = _arrays(*(grad.contiguous() for grad in grads))
        heads_texts_gradient(parts, *_arrays(cosine, sine, slope))
        return slope.flatten(1), None, None, None, None


def rotated_heads(
    qkv_NO: Tensor, cosine_ND: Tensor, sine_ND: Tensor, heads: int, kv_heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value heads [N, H, D] of the three side by side; the first two are rotated.

    On a CPU only. Cosines and sines are the library's, [N, D].
    """
    query, key, value = _apply(_Heads, qkv_NO, cosine_ND, sine_ND, heads, kv_heads)
    return query, key, value


class _TextAttention(Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, stretches: Array, scale: float
    ) -> Tensor:
        one_blas_thread()
        query, key, value = query.contiguous(), key.contiguous(), value.contiguous()
        out, total = torch.empty_like(query), query.new_empty(query.shape[:2], dtype=torch.float32)
        attend_texts(*_arrays(query, key, value), stretches, scale, *_arrays(out, total))
        ctx.save_for_backward(query, key, value, out, total)
        ctx.stretches, ctx.scale = stretches, scale
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, out, total = ctx.saved_tensors
        slopes = (
            torch.empty_like(query),
            torch.zeros_like(key, dtype=torch.float32),
            torch.zeros_like(value, dtype=torch.float32),
        )
        attend_texts_gradient(
            *_arrays(query, key, value), ctx.stretches, ctx.scale,
            *_arrays(out, total, grad.contiguous()), _arrays(*slopes),
        )  # fmt: skip
        return slopes[0], slopes[1].to(key.dtype), slopes[2].to(value.dtype), None, None


def text_attention(
    q_NHD: Tensor, k_NXD: Tensor, v_NXD: Tensor, stretches: Array, scale: float
) -> Tensor:
    """Attention of packed texts, [N, H, D], on a CPU only; see `Packing.stretches`."""
    result: Tensor = _apply(_TextAttention, q_NHD, k_NXD, v_NXD, stretches, scale)
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
    result: Tensor = _apply(_RoutedLinear, x_NI, weight_OI, bias_O, spans, *flat)
    return result
