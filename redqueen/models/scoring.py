"""Log-probabilities of given tokens under members' adapters, with gradients to the adapters."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

import torch
from torch import Tensor

from redqueen.models.attention import PackedAttention
from redqueen.models.batching import slot_order
from redqueen.models.checkpointing import recomputed_layers
from redqueen.models.loading import Base
from redqueen.models.logprobs import token_logprobs
from redqueen.models.packing import Packing, Text
from redqueen.models.routing import Router
from redqueen.models.suppression import Suppressor
from redqueen.types import Suppression


class Scores(NamedTuple):
    """Per-token results, float32 [rows, longest completion], zero where `mask_BT` is False."""

    logprobs_BT: Tensor
    mask_BT: Tensor


class _Seen(NamedTuple):
    """What the head is given before each completion token, and where the token stands."""

    states_MD: Tensor
    row_M: list[int]
    column_M: list[int]
    token_M: list[int]


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
    suppressions: Sequence[Suppression | None] | None = None,
) -> Scores:
    """log_softmax(logits / temperature) of each completion token, given prompt and predecessors.

    Args:
        base: the frozen model.
        router: its adapters.
        slots: the adapter of each row; None for a row, or altogether, is the base alone.
        prompt_ids: B prompts of at least one token.
        token_ids: B completions; T is the longest.
        temperature: divides the logits, as in sampling; one for all rows, or B of them.
        suppressions: B of them: tokens that the rows were written without; None: all tokens.

    Rows of one slot and prompt share its computation, where the base allows it; the result and its
    gradient are those of each row on its own. The output head runs at completion positions only,
    and in pieces: logits are never whole.

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
    scorer = _score_padded if base.packed is None else _score_packed
    slots = [None] * rows if slots is None else slots
    seen = scorer(base, router, slots, prompt_ids, token_ids)
    device = base.device
    at = (torch.tensor(seen.row_M, device=device), torch.tensor(seen.column_M, device=device))
    head = base.head.output
    suppressor = Suppressor.of(base, suppressions, head.vocabulary(seen.states_MD))
    logprob_M = token_logprobs(
        seen.states_MD,
        head,
        torch.tensor(seen.token_M, dtype=torch.long, device=device),
        torch.tensor([temperatures[row] for row in seen.row_M], device=device),
        suppress=None
        if suppressor is None
        else lambda logits_PV, part: suppressor(logits_PV, at[0][part], at[1][part] == 0),
    )
    longest = max(len(tokens) for tokens in token_ids)
    mask_BT = torch.zeros(rows, longest, dtype=torch.bool)
    for row, tokens in enumerate(token_ids):
        mask_BT[row, : len(tokens)] = True
    blank_BT = torch.zeros(rows, longest, device=device)
    return Scores(blank_BT.index_put(at, logprob_M), mask_BT.to(device))


def _score_packed(
    base: Base,
    router: Router,
    slots: Sequence[int | None],
    prompt_ids: Sequence[Sequence[int]],
    token_ids: Sequence[Sequence[int]],
) -> _Seen:
    """States before every token; each (slot, prompt) is computed once."""
    if base.packed is None:
        raise ValueError("packed scoring needs a base that reads packed texts")
    order = slot_order(slots)
    # The last token is never an input.
    texts = [Text(slots[row], prompt_ids[row], token_ids[row][:-1]) for row in order]
    packing = Packing(texts, base.device)
    seen_M: list[int] = []
    row_M: list[int] = []
    column_M: list[int] = []
    target_M: list[int] = []
    for number, row in enumerate(order):
        tokens = token_ids[row]
        if not tokens:
            continue
        # The prompt's last token foretells the first of every text after it.
        last, start = packing.prompts[packing.group_of[number]][1] - 1, packing.starts[number]
        seen_M += [last, *range(start, start + len(tokens) - 1)]
        row_M += [row] * len(tokens)
        column_M += range(len(tokens))
        target_M += tokens
    seen = torch.tensor(seen_M, dtype=torch.long, device=base.device)
    with router.route(packing.slots, "segments", packed=True) as route:
        attention = PackedAttention(packing, base.kernel)
        states_MD = base.packed.states(
            packing.ids_N, packing.position_N, route, attention, seen, base.recompute
        )
    return _Seen(states_MD, row_M, column_M, target_M)


def _score_padded(
    base: Base,
    router: Router,
    slots: Sequence[int | None],
    prompt_ids: Sequence[Sequence[int]],
    token_ids: Sequence[Sequence[int]],
) -> _Seen:
    """The same with every row on its own, padded on the right: attention is causal."""
    order, rows = slot_order(slots), len(slots)
    # The last token is never an input.
    width = max(len(p) + len(t) - 1 for p, t in zip(prompt_ids, token_ids, strict=True))
    input_BL = torch.full((rows, max(width, 1)), _filler(base))
    keep_BL = torch.zeros(rows, max(width, 1), dtype=torch.bool)
    row_M: list[int] = []
    column_M: list[int] = []
    target_M: list[int] = []
    for place, row in enumerate(order):
        prompt, tokens = prompt_ids[row], token_ids[row]
        text = [*prompt, *tokens][: input_BL.shape[1]]
        input_BL[place, : len(text)] = torch.tensor(text)
        keep_BL[place, len(prompt) - 1 : len(prompt) - 1 + len(tokens)] = True
        row_M += [row] * len(tokens)
        column_M += range(len(tokens))
        target_M += tokens
    device = base.device
    with ExitStack() as stack:
        route = stack.enter_context(router.route([slots[row] for row in order]))
        if base.recompute and route is not None:
            stack.enter_context(recomputed_layers(base.model, route, route.again))
        states_MD = base.head.states(
            base.model, keep_BL.to(device), input_ids=input_BL.to(device), use_cache=False
        )
    return _Seen(states_MD, row_M, column_M, target_M)
