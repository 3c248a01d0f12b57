"""The clipped policy gradient over a batch that mixes members.

Shapes: B sequences, T tokens (padded). Each member's loss is normalised by its own tokens or
sequences, so that it does not depend on who else is in the batch.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LOG_RATIO_LIMIT = 20.0
"""The log of the ratio is held within +-20, as exp would overflow far beyond."""


def token_weights(
    slots: Sequence[int], lengths: Sequence[int], norm: Literal["token", "sequence"]
) -> NDArray[np.float64]:
    """Return the weight [N] of every token of each sequence in its member's loss.

    `lengths` [N] counts sampled tokens, of which every sequence has at least one.
    `token`: 1 / (the member's tokens), every token counts alike (DAPO, arXiv 2503.14476).
    `sequence`: 1 / (the member's sequences x the sequence's length), every sequence counts alike
    (GRPO). The weights of a member's tokens sum to 1. Sequences of zero advantage are counted too:
    leaving them out of the backward pass must not change anybody's step.
    """
    slots_N, lengths_N = np.asarray(slots), np.asarray(lengths, dtype=np.float64)
    weights_N = np.zeros(len(slots_N))
    for slot in np.unique(slots_N):
        chosen_N = slots_N == slot
        if norm == "token":
            weights_N[chosen_N] = 1.0 / lengths_N[chosen_N].sum()
        else:
            weights_N[chosen_N] = 1.0 / (chosen_N.sum() * lengths_N[chosen_N])
    return weights_N


class Loss(NamedTuple):
    """A micro-batch's part of the loss, and sums over each sequence's tokens for the report."""

    total: Tensor
    """Scalar to differentiate: weighted sum over all tokens."""
    sequence_loss_B: Tensor
    mismatch_B: Tensor
    """Sum of |log p now - log p at sampling|."""
    clipped_B: Tensor
    """Tokens whose ratio the clip holds back (no gradient of the policy term)."""
    kl_B: Tensor
    """Sum of the k3 estimate of KL(sampling policy || current policy)."""
    base_kl_B: Tensor
    """Sum of the k3 estimate of KL(current policy || base); 0 without the base."""
    importance_B: Tensor
    """Sum of the importance weights; 0 without a proximal policy."""
    truncated_B: Tensor
    """Tokens whose importance weight the cap holds back."""


def policy_loss(
    logprobs_BT: Tensor,
    old_logprobs_BT: Tensor,
    mask_BT: Tensor,
    advantages_B: Tensor,
    weights_B: Tensor,
    *,
    clip_low: float,
    clip_high: float,
    base_logprobs_BT: Tensor | None = None,
    kl_coefficient: float = 0.0,
    proximal_logprobs_BT: Tensor | None = None,
    importance_cap: float = math.inf,
) -> Loss:
    """Return PPO's clipped surrogate (arXiv 1707.06347, equation 7), plus a KL to the base.

    With ratio q = exp(log p - log p_old), a token costs -min(q a, clip(q, 1 - low, 1 + high) a),
    plus `kl_coefficient` times the k3 estimate exp(d) - d - 1, d = log p_base - log p (Schulman,
    "Approximating KL divergence", 2020). Values where the mask is False are never read.

    An engine with other numerics than the learner's samples from another policy than the one that
    is differentiated. `proximal_logprobs_BT` are then the learner's for the adapters that sampled:
    the ratio is to these, and the policy term of a token weighs min(exp(log p_proximal - log
    p_old), `importance_cap`), a truncated importance weight (decoupled objective, Hilton et
    al., arXiv 2110.00641; Ionides, "Truncated importance sampling", 2008).
    """
    mask_BT = mask_BT.bool()

    def log_ratio(above_BT: Tensor, below_BT: Tensor) -> Tensor:
        difference_BT = torch.where(mask_BT, above_BT - below_BT, 0.0)
        return difference_BT.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)

    change_BT = torch.where(mask_BT, logprobs_BT - old_logprobs_BT, 0.0)
    start_BT = old_logprobs_BT if proximal_logprobs_BT is None else proximal_logprobs_BT
    log_ratio_BT = log_ratio(logprobs_BT, start_BT)
    ratio_BT = log_ratio_BT.exp()
    advantages_B1 = advantages_B[:, None]
    free_BT = ratio_BT * advantages_B1
    held_BT = ratio_BT.clamp(1.0 - clip_low, 1.0 + clip_high) * advantages_B1
    cost_BT = -torch.minimum(free_BT, held_BT)
    weight_BT = torch.zeros_like(ratio_BT)
    if proximal_logprobs_BT is not None:
        weight_BT = log_ratio(proximal_logprobs_BT, old_logprobs_BT).exp()
        cost_BT = cost_BT * weight_BT.clamp(max=importance_cap)
    base_kl_BT = torch.zeros_like(ratio_BT)
    if base_logprobs_BT is not None:
        distance_BT = log_ratio(base_logprobs_BT, logprobs_BT)
        base_kl_BT = distance_BT.expm1() - distance_BT
        cost_BT = cost_BT + kl_coefficient * base_kl_BT
    sequence_loss_B = (cost_BT * mask_BT).sum(1) * weights_B
    total = sequence_loss_B.sum()
    with torch.no_grad():
        kl_BT = log_ratio_BT.expm1() - log_ratio_BT
        return Loss(
            total=total,
            sequence_loss_B=sequence_loss_B.detach(),
            mismatch_B=change_BT.abs().sum(1),
            clipped_B=((held_BT < free_BT) & mask_BT).sum(1).to(ratio_BT.dtype),
            kl_B=(kl_BT * mask_BT).sum(1),
            base_kl_B=(base_kl_BT * mask_BT).sum(1),
            importance_B=(weight_BT.clamp(max=importance_cap) * mask_BT).sum(1),
            truncated_B=((weight_BT > importance_cap) & mask_BT).sum(1).to(ratio_BT.dtype),
        )
