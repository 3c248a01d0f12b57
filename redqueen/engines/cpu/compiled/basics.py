"""What all compiled kernels stand on: how they are compiled, and numbers of two types.

Arrays are views of tensors (`array_of`). bfloat16, which NumPy does not know, travels as its bits
in uint16; sums are float32 and rounded where the library's modules round.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]

# Sums may be taken in any order; infinities and NaN keep their meaning.
_FAST = {"reassoc", "contract", "nsz", "arcp"}
LOG2E = np.float32(math.log2(math.e))
# Of the Taylor series of 2^x: with |x| <= 1/2 the eighth term is below 1e-8.
_C0, _C1, _C2, _C3, _C4, _C5, _C6, _C7 = (
    np.float32(math.log(2.0) ** k / math.factorial(k)) for k in range(8)
)
_I32, _F32 = ir.IntType(32), ir.FloatType()


def compiled(function: Callable[..., Any]) -> Any:
    """Compiled on the first call, run without the interpreter's lock, kept on disk if possible."""
    options: dict[str, Any] = {"nogil": True, "fastmath": _FAST, "error_model": "numpy"}
    try:
        return njit(function, cache=True, **options)
    except RuntimeError:  # no folder for it can be written to
        return njit(function, **options)


def array_of(tensor: Tensor) -> Array:
    """A CPU tensor's memory as an array, bfloat16 as uint16; its gradient knows nothing of it."""
    tensor = tensor.detach()
    array: Array = (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return array


# ── numbers ─────────────────────────────────────────────────────────────────────────────────


@intrinsic
def wide(context, value):
    """float32 of a float32, or of the bits of a bfloat16."""

    def codegen(context, builder, signature, args):
        if signature.args[0] == types.float32:
            return args[0]
        return builder.bitcast(
            builder.shl(builder.zext(args[0], _I32), ir.Constant(_I32, 16)), _F32
        )

    return types.float32(value), codegen


@intrinsic
def _bits(context, value):
    """The bits of a float32."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], _I32)

    return types.uint32(types.float32), codegen


@intrinsic
def _float(context, value):
    """The float32 of these bits."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], _F32)

    return types.float32(types.uint32), codegen


def narrow(like, value):
    """A float32 as the array `like` holds it, rounded to the nearest."""
    raise NotImplementedError("for compiled code only")


@overload(narrow, inline="always")
def _narrow_by_type(like, value):
    if like.dtype == types.float32:
        return lambda like, value: value

    def rounded(like, value):
        bits = _bits(value)
        # Half to even; the few NaN with nothing but low bits would become infinities, and do occur
        # in no product.
        odd = (bits >> np.uint32(16)) & np.uint32(1)
        return np.uint16((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))

    return rounded


@compiled
def exp2(x):
    """2^x for x <= 0, to 2e-7 of it."""
    x = max(x, np.float32(-126))
    whole = np.floor(x + np.float32(0.5))
    f = x - whole
    series = _C0 + f * (_C1 + f * (_C2 + f * (_C3 + f * (_C4 + f * (_C5 + f * (_C6 + f * _C7))))))
    return series * _float(np.uint32((np.int32(whole) + np.int32(127)) << np.int32(23)))


# ── sums ────────────────────────────────────────────────────────────────────────────────────
#
# Indices that do not begin at 0 are unsigned (`np.uintp`): signed ones would be looked at for
# counting from the end, which keeps a loop from being vectorised. So do slices, which also count
# references.


@compiled
def add_product(low, first, count, b, start, stop, sum_O):
    """sum[start:stop] += low[first:first + count] B[:count, start:stop], four rows at a time."""
    start, stop = np.uintp(start), np.uintp(stop)
    even = count - count % 4
    for j in range(0, even, 4):
        k = first + j
        l0, l1, l2, l3 = low[k], low[k + 1], low[k + 2], low[k + 3]
        for o in range(start, stop):
            sum_O[o] += (
                l0 * wide(b[j, o])
                + l1 * wide(b[j + 1, o])
                + l2 * wide(b[j + 2, o])
                + l3 * wide(b[j + 3, o])
            )
    for j in range(even, count):
        l0 = low[first + j]
        for o in range(start, stop):
            sum_O[o] += l0 * wide(b[j, o])


@compiled
def norm(x_I, weight_I, epsilon, out_I):
    """Root mean square normalisation (arXiv 1910.07467); returns what multiplied the input."""
    total = np.float32(0)
    for i in range(len(x_I)):
        total += wide(x_I[i]) * wide(x_I[i])
    scale = np.float32(1) / np.sqrt(total / np.float32(len(x_I)) + np.float32(epsilon))
    for i in range(len(x_I)):
        out_I[i] = narrow(out_I, wide(narrow(out_I, wide(x_I[i]) * scale)) * wide(weight_I[i]))
    return scale
