"""The pieces of a Llama layer by compiled kernels, forward and backward in one pass each.

They use one thread, so they serve worker processes best. Everything else runs the same pieces in
plain torch (`redqueen.models.kernels`).
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

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
from redqueen.models.kernels import call


def compiled_for(x: Tensor) -> bool:
    """Return whether the compiled kernels serve this tensor best: on a CPU with one thread."""
    return x.device.type == "cpu" and torch.get_num_threads() == 1


def _arrays(*tensors: Tensor) -> tuple[Array, ...]:
    return tuple(array_of(tensor) for tensor in tensors)


class _RMSNorm(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        x = x.contiguous()
        out, scale = torch.empty_like(x), x.new_empty(*x.shape[:-1], 1, dtype=torch.float32)
        rows = (tensor.view(-1, tensor.shape[-1]) for tensor in (x, out))
        x_NI, out_NI = _arrays(*rows)
        norm_texts(x_NI, array_of(weight), epsilon, out_NI, array_of(scale.view(-1)))
        ctx.save_for_backward(x, weight, scale)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        # y = w x s with s = (mean x² + ε)^-1/2, so dx = s (w g - x s · mean(w g · x s)).
        x, weight, scale = ctx.saved_tensors
        slope, grad = torch.empty_like(x), grad.contiguous()
        rows = (tensor.view(-1, tensor.shape[-1]) for tensor in (x, grad, slope))
        x_NI, grad_NI, slope_NI = _arrays(*rows)
        weight_I, scale_N = _arrays(weight, scale.view(-1))
        norm_texts_gradient(x_NI, weight_I, scale_N, grad_NI, slope_NI)
        return slope, None, None


def rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Root mean square normalisation (arXiv 1910.07467) over the last dimension, in float32."""
    result: Tensor = call(_RMSNorm, x, weight, epsilon)
    return result


class _SwiGLU(Function):
    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        gate_up = gate_up.contiguous()
        ctx.save_for_backward(gate_up)
        out = gate_up.new_empty(*gate_up.shape[:-1], gate_up.shape[-1] // 2)
        swiglu_texts(*_arrays(gate_up.flatten(0, -2), out.view(-1, out.shape[-1])))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (gate_up,) = ctx.saved_tensors
        slope, grad = torch.empty_like(gate_up), grad.contiguous()
        rows = (tensor.view(-1, tensor.shape[-1]) for tensor in (gate_up, grad, slope))
        swiglu_texts_gradient(*_arrays(*rows))
        return slope


def swiglu(gate_up: Tensor) -> Tensor:
    """silu(gate) * up (arXiv 2002.05202) of [..., gate | up]."""
    result: Tensor = call(_SwiGLU, gate_up)
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
    query, key, value = call(_Heads, qkv_NO, cosine_ND, sine_ND, heads, kv_heads)
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
    result: Tensor = call(_TextAttention, q_NHD, k_NXD, v_NXD, stretches, scale)
    return result
