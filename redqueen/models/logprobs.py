"""Log-probabilities of tokens without their logits: the output head in pieces of tokens.

Logits of 8,192 tokens over a vocabulary of 150,000 take 5 GB in float32, and automatic
differentiation keeps several copies. A token's log-probability is one number, so its gradient to
the final state is one vector [D] times the number that comes back: it is made along with the
logits of its piece, and nothing is computed twice (the idea of Liger Kernel's fused linear
cross-entropy, arXiv 2410.10989).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from redqueen.models.head import OutputHead
from redqueen.models.kernels import call

PIECE_BYTES = {"cpu": 128 << 20, "cuda": 512 << 20}
"""Most memory of one piece's logits in float32, by device; products of a few hundred rows are at
full speed."""
ROW_STEP = 16
"""Pieces are multiples of so many tokens."""
Suppress = Callable[[Tensor, slice], Tensor]


def piece_rows(vocabulary: int, device: torch.device) -> int:
    """Return how many tokens' logits are made at a time."""
    rows = PIECE_BYTES.get(device.type, 128 << 20) // (4 * vocabulary)
    return max(ROW_STEP, rows // ROW_STEP * ROW_STEP)


class _TokenLogprobs(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x_MD: Tensor,
        head: OutputHead,
        token_M: Tensor,
        temperature_M: Tensor,
        rows: int,
        suppress: Suppress | None,
    ) -> Tensor:
        differentiated = ctx.needs_input_grad[0]
        slope_MD = torch.empty_like(x_MD) if differentiated else None
        logprob_M = torch.empty(len(x_MD), device=x_MD.device)
        for start in range(0, len(x_MD), rows):
            part = slice(start, start + rows)
            token_P1, temperature_P1 = token_M[part, None], temperature_M[part, None]
            scaled_PV = head.logits(x_MD[part])
            capped_PV = scaled_PV.clone() if differentiated and head.softcap is not None else None
            if suppress is not None:
                scaled_PV = suppress(scaled_PV, part)
            scaled_PV.div_(temperature_P1)
            scaled_PV.sub_(scaled_PV.amax(1, keepdim=True))
            chosen_P1 = scaled_PV.gather(1, token_P1)
            total_P1 = scaled_PV.exp_().sum(1, keepdim=True)
            logprob_M[part] = (chosen_P1 - total_P1.log())[:, 0]
            if slope_MD is not None:
                # d log p / d logits = (one-hot - p) / temperature
                slope_PV = scaled_PV.mul_(-1.0 / (total_P1 * temperature_P1))
                slope_PV.scatter_add_(1, token_P1, 1.0 / temperature_P1)
                slope_MD[part] = head.pull_back(slope_PV, capped_PV, x_MD.dtype)
        if slope_MD is not None:
            ctx.save_for_backward(slope_MD)
        return logprob_M

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_M: Tensor) -> tuple[Tensor | None, ...]:
        (slope_MD,) = ctx.saved_tensors
        return slope_MD * grad_M[:, None].to(slope_MD.dtype), None, None, None, None, None


def token_logprobs(
    x_MD: Tensor,
    head: OutputHead,
    token_M: Tensor,
    temperature_M: Tensor,
    rows: int | None = None,
    suppress: Suppress | None = None,
) -> Tensor:
    """Return log_softmax(logits / temperature) of a token each, float32 [M], differentiable in x.

    Args:
        x_MD: final states, normalised, as the head takes them.
        head: the output head.
        token_M: the tokens.
        temperature_M: positive, float32.
        rows: tokens in a piece; None: as many as `piece_rows` says.
        suppress: gives the logits [P, V] of a piece with minus infinity where a token may not
            stand; the slice says which of the M tokens they are of.
    """
    if rows is None:
        rows = piece_rows(head.vocabulary(x_MD), x_MD.device)
    result: Tensor = call(_TokenLogprobs, x_MD, head, token_M, temperature_M, rows, suppress)
    return result
