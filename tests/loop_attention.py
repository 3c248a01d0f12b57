"""Attention of packed texts by a loop over them: the slow reference."""

import torch
from torch import Tensor
from torch.nn import functional

from redqueen.models.packing import Packing, Text


def loop_attention(q: Tensor, k: Tensor, v: Tensor, texts: list[Text], packing: Packing) -> Tensor:
    """Each text on its own through the library's attention; [N, Hq, D]."""
    out = torch.full(q.shape, float("nan"))
    for number in range(len(texts)):
        start, stop = packing.prompts[packing.group_of[number]]
        text = range(packing.starts[number], packing.starts[number] + packing.lengths[number])
        index = torch.tensor([*range(start, stop), *text])
        repeats = q.shape[1] // k.shape[1]
        result = functional.scaled_dot_product_attention(
            q[index].transpose(0, 1),
            k[index].transpose(0, 1).repeat_interleave(repeats, 0),
            v[index].transpose(0, 1).repeat_interleave(repeats, 0),
            is_causal=True,
            scale=0.3,
        )
        out[index] = result.transpose(0, 1)
    return out
