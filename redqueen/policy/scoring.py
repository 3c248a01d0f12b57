"""Log-probabilities of given tokens under members' adapters, with gradients to the adapters."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from redqueen.policy.loading import Base
from redqueen.policy.routing import Router


class Scores(NamedTuple):
    """Per-token results, float32 [rows, longest completion], zero where `mask_BT` is False."""

    logprobs_BT: Tensor
    mask_BT: Tensor


def slot_order(slots: Sequence[int | None]) -> list[int]:
    """Row numbers sorted by slot (stable, base rows last): the order in which routing is fast."""
    return sorted(range(len(slots)), key=lambda i: (slots[i] is None, slots[i] or 0))


def bucket(lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Split sequences into micro-batches of at most `max_tokens` padded tokens each.

    Sequences are sorted by (length, index), so the split is deterministic and padding small. A
    sequence longer than `max_tokens` gets a batch of its own.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        if batches and (len(batches[-1]) + 1) * lengths[index] <= max_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def _filler(base: Base) -> int:
    # Any token will do behind the text; not the padding token, which some models look for.
    return 1 if getattr(base.model.config, "pad_token_id", None) == 0 else 0


def score(
    base: Base,
    router: Router,
    slots: Sequence[int | None] | None,
    prompt_ids: Sequence[Sequence[int]],
    token_ids: Sequence[Sequence[int]],
    *,
    temperature: float | Sequence[float] = 1.0,
) -> Scores:
    """log_softmax(logits / temperature) of each completion token, given prompt and predecessors.

    Args:
        base: the frozen model.
        router: its adapters.
        slots: the adapter of each row; None for a row, or altogether, is the base alone.
        prompt_ids: B prompts of at least one token.
        token_ids: B completions; T is the longest.
        temperature: divides the logits, as in sampling; one for all rows, or B of them.

    Rows are padded on the right and attention is causal, so padding changes nothing. The output
    head runs at completion positions only.

    Raises:
        ValueError: the arguments differ in length, are empty, or a prompt is empty.
    """
    rows = len(prompt_ids)
    if rows == 0 or len(token_ids) != rows or (slots is not None and len(slots) != rows):
        raise ValueError("score needs as many slots and completions as prompts, at least one")
    if any(len(prompt) == 0 for prompt in prompt_ids):
        raise ValueError("a prompt has no tokens, so its first completion token has no context")
    temperatures = [temperature] * rows if isinstance(temperature, int | float) else temperature
    if len(temperatures) != rows:
        raise ValueError(f"{len(temperatures)} temperatures for {rows} rows")
    if not min(temperatures) > 0:
        raise ValueError(f"temperature must be positive, not {min(temperatures)}")
    longest = max(len(tokens) for tokens in token_ids)
    mask_BT = torch.zeros(rows, longest, dtype=torch.bool)
    order = slot_order(slots) if slots is not None else list(range(rows))
    # The last token is never an input.
    width = max(len(p) + len(t) - 1 for p, t in zip(prompt_ids, token_ids, strict=True))
    input_BL = torch.full((rows, max(width, 1)), _filler(base))
    keep_BL = torch.zeros(rows, max(width, 1), dtype=torch.bool)
    row_N: list[int] = []
    column_N: list[int] = []
    target_N: list[int] = []
    for place, row in enumerate(order):
        prompt, tokens = prompt_ids[row], token_ids[row]
        text = [*prompt, *tokens][: input_BL.shape[1]]
        input_BL[place, : len(text)] = torch.tensor(text)
        keep_BL[place, len(prompt) - 1 : len(prompt) - 1 + len(tokens)] = True
        mask_BT[row, : len(tokens)] = True
        row_N += [row] * len(tokens)
        column_N += range(len(tokens))
        target_N += tokens
    device = base.device
    with router.route(None if slots is None else [slots[row] for row in order]):
        logits_NV = base.head.logits(
            base.model, keep_BL.to(device), input_ids=input_BL.to(device), use_cache=False
        )
    scale: float | Tensor
    if isinstance(temperature, int | float):
        scale = temperature
    else:
        scale = torch.tensor([temperature[row] for row in row_N], device=device)[:, None]
    scaled_NV = logits_NV.float() / scale
    norm_N = scaled_NV.logsumexp(-1)
    chosen_N = scaled_NV.gather(1, torch.tensor(target_N, device=device)[:, None])[:, 0]
    at = (torch.tensor(row_N, device=device), torch.tensor(column_N, device=device))
    blank_BT = torch.zeros(rows, longest, device=device)
    return Scores(blank_BT.index_put(at, chosen_N - norm_N), mask_BT.to(device))
