"""Rows that are being written, with their keys and values: two ways to keep them.

`SharedRows` computes every prompt once for all its rows; it needs a base that reads packed texts.
`PaddedRows` works with any base: prompts are padded to one length. In both, every row has a cache
of its own.
"""

import inspect
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor

from redqueen.models.attention import PackedAttention, PackedModel, dense_attention
from redqueen.models.cache import GrowingLayer, new_cache, select_rows
from redqueen.models.loading import Base
from redqueen.models.packing import Packing, Text, bias_of, spread
from redqueen.models.routing import Prepared, Route, Router, decode_strategy

COMPACT_BELOW = 0.875
"""Rows that have ended leave when at most this share would go on, where moving the rest costs."""


PREFILL_TOKENS = 32_768
"""Tokens of prompts that are read in one pass: passes of more are no faster, and memory grows."""


class Rows(Protocol):
    """Rows, sorted by slot, that grow by one token at a time."""

    slots: list[int | None]

    @property
    def compact_below(self) -> float:
        """It pays to let rows leave when fewer than all and at most this share go on."""

    def prefill(self, router: Router) -> Tensor:
        """Read the prompts; return the logits [R, V] of every row's first token."""

    def route(self, router: Router) -> AbstractContextManager[Route | None]:
        """The routing of the rows as they are now, for `decode` inside the block."""

    def decode(self, token_R: Tensor, route: Route | None) -> Tensor:
        """Append one token a row; return the logits [R, V] of the next, which the next call may
        overwrite."""

    def keep(self, keep: Tensor) -> None:
        """Let all rows but `keep` (ascending) leave."""


States = tuple[Tensor, Tensor]
"""Keys and values."""


def _joined(pieces: Sequence[States]) -> States:
    """Return the keys and values [N, Hkv, D] of pieces, one after the other."""
    if len(pieces) == 1:
        return pieces[0]
    return torch.cat([key for key, _ in pieces]), torch.cat([value for _, value in pieces])


class CachedAttention:
    """Attention of rows with a whole cache each; `bias_RP` is of their prompts."""

    def __init__(self, cache: list[GrowingLayer], bias_RP: Tensor) -> None:
        self._cache = cache
        self._bias_RL = bias_RP

    def keep(self, keep: Tensor) -> None:
        """Rows leave."""
        for layer in self._cache:
            layer.batch_select_indices(keep)
        self._bias_RL = self._bias_RL.index_select(0, keep)

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        """One token a row; see `Attention`."""
        k, v = self._cache[layer].update(k[:, :, None], v[:, :, None])
        grown = k.shape[2] - self._bias_RL.shape[1]
        if grown > 0:
            zeros = self._bias_RL.new_zeros(len(self._bias_RL), grown + 64)
            self._bias_RL = torch.cat((self._bias_RL, zeros), 1)
        bias = self._bias_RL[:, None, : k.shape[2]]
        return dense_attention(q[:, :, None], k, v, bias, scale)[:, 0]


class RowAttention(Protocol):
    """Attention of rows that grow by one token at a time."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        """See `Attention`."""

    def keep(self, keep: Tensor) -> None:
        """Let all rows but `keep` (ascending) leave."""


class SharedRows:
    """Prompts computed once, packed without padding."""

    def __init__(
        self,
        base: Base,
        model: PackedModel,
        slots: Sequence[int | None],
        prompts: Sequence[tuple[int, ...]],
        prefill_tokens: int = PREFILL_TOKENS,
    ) -> None:
        """Rows must be sorted by slot (base last) and, within, by prompt."""
        self.base, self.model = base, model
        self.slots = list(slots)
        self.prefill_tokens = prefill_tokens
        self._texts = [Text(slot, prompt) for slot, prompt in zip(slots, prompts, strict=True)]
        self.packing = Packing(self._texts, base.device)
        self.position_R = torch.tensor([len(prompt) for prompt in prompts], device=base.device)
        self._prepared: Prepared = {}

    @property
    def compact_below(self) -> float:
        """See `Rows`."""
        return COMPACT_BELOW

    def prefill(self, router: Router) -> Tensor:
        """See `Rows`."""
        read = [self._read(router, packing) for packing in self._pieces()]
        logits_UV = torch.cat([logits for logits, _ in read])
        self._begin(router, [_joined(layer) for layer in zip(*(s for _, s in read), strict=True)])
        group_R = torch.tensor(self.packing.group_of, device=self.base.device)
        return logits_UV.index_select(0, group_R)

    def _pieces(self) -> list[Packing]:
        """Return the prompts in packings of about `prefill_tokens` at most; all together, if they
        are no more."""
        if len(self.packing.slots) <= self.prefill_tokens:
            return [self.packing]
        pieces: list[list[Text]] = []
        room = 0
        for text in dict.fromkeys((text.slot, tuple(text.prompt)) for text in self._texts):
            if not pieces or len(text[1]) > room:
                pieces.append([])
                room = self.prefill_tokens
            pieces[-1].append(Text(*text))
            room -= len(text[1])
        return [Packing(piece, self.base.device) for piece in pieces]

    def _read(self, router: Router, packing: Packing) -> tuple[Tensor, list[States]]:
        """Return the logits after each of a packing's prompts, and all keys and values by layer."""
        states: list[States] = []
        last_U = torch.tensor([stop - 1 for _, stop in packing.prompts], device=self.base.device)
        attention = PackedAttention(packing, self.base.kernel, states)
        with router.route(packing.slots, "segments", packed=True) as route:
            logits_UV = self.model.logits(
                packing.ids_N, packing.position_N, route, attention, last_U
            )
        return logits_UV, states

    def _begin(self, router: Router, states: list[States]) -> None:
        """Set up the rows' attention from the prompts' keys and values, by layer."""
        packing = self.packing
        group_R = torch.tensor(packing.group_of, device=self.base.device)
        index_UP, real_UP = spread(*packing.spans(packing.prompts))
        index_RP = index_UP[group_R]
        prompts = [
            (key_NXD[index_RP].transpose(1, 2), value_NXD[index_RP].transpose(1, 2))
            for key_NXD, value_NXD in states
        ]
        self._attention = self._attend_to(prompts, bias_of(real_UP)[group_R])

    def _attend_to(self, prompts: list[States], bias_RP: Tensor) -> RowAttention:
        """Return the rows' attention, from the keys and values [R, Hkv, P, D] of the prompts."""
        return CachedAttention([GrowingLayer.filled(*pair) for pair in prompts], bias_RP)

    def route(self, router: Router) -> AbstractContextManager[Route | None]:
        """See `Rows`."""
        strategy = decode_strategy(self.slots)
        return router.route(self.slots, strategy, packed=True, prepared=self._prepared)

    def decode(self, token_R: Tensor, route: Route | None) -> Tensor:
        """See `Rows`."""
        logits_RV = self._logits(token_R, route)
        self.position_R = self.position_R + 1
        if self.base.context is not None:
            # A row that has ended may stay for a while: it must not run out of the context.
            self.position_R.clamp_(max=self.base.context - 1)
        return logits_RV

    def _logits(self, token_R: Tensor, route: Route | None) -> Tensor:
        return self.model.logits(token_R, self.position_R, route, self._attention)

    def keep(self, keep: Tensor) -> None:
        """See `Rows`."""
        self._attention.keep(keep)
        self._drop(keep)

    def _drop(self, keep: Tensor) -> None:
        self.position_R = self.position_R.index_select(0, keep)
        self.slots = [self.slots[row] for row in keep.tolist()]


class PaddedRows:
    """Prompts padded on the left; every row has a cache of its own."""

    def __init__(
        self,
        base: Base,
        slots: Sequence[int | None],
        prompts: Sequence[tuple[int, ...]],
        room: int,
    ) -> None:
        """Share the prefill of rows with the same slot and prompt; `room` more tokens follow."""
        self.base = base
        self.slots = list(slots)
        unique: dict[tuple[int | None, tuple[int, ...]], int] = {}
        expand = [unique.setdefault(key, len(unique)) for key in zip(slots, prompts, strict=True)]
        self.prefill_slots = [slot for slot, _ in unique]
        self._expand = torch.tensor(expand, device=base.device)
        heads = [prompt for _, prompt in unique]
        self.width = max(len(prompt) for prompt in heads)
        ids_UL = torch.zeros(len(heads), self.width, dtype=torch.long)
        mask_UL = torch.ones(len(heads), self.width + room, dtype=torch.long)
        for row, prompt in enumerate(heads):
            ids_UL[row, self.width - len(prompt) :] = torch.tensor(prompt)
            mask_UL[row, : self.width - len(prompt)] = 0
        self._ids_UL = ids_UL.to(base.device)
        self.mask_RL = mask_UL.to(base.device)
        self.position_R = torch.tensor([len(prompt) for prompt in heads], device=base.device)
        self.cache = new_cache(base.model.config)
        takes = inspect.signature(base.model.forward).parameters
        name = "cache_params" if "cache_params" in takes else "past_key_values"
        self._caching = {name: self.cache, "use_cache": True}

    @property
    def compact_below(self) -> float:
        """See `Rows`."""
        return COMPACT_BELOW

    def prefill(self, router: Router) -> Tensor:
        """See `Rows`."""
        mask_UL = self.mask_RL[:, : self.width]
        last_UL = torch.zeros_like(mask_UL, dtype=torch.bool)
        last_UL[:, -1] = True
        with router.route(self.prefill_slots):
            logits_UV = self.base.head.logits(
                self.base.model,
                last_UL,
                input_ids=self._ids_UL,
                attention_mask=mask_UL,
                position_ids=(mask_UL.cumsum(-1) - 1).clamp(min=0),
                **self._caching,
            )
        self._select(self._expand)
        return logits_UV.index_select(0, self._expand)

    def route(self, router: Router) -> AbstractContextManager[Route | None]:
        """See `Rows`."""
        return router.route(self.slots)

    def decode(self, token_R: Tensor, route: Route | None) -> Tensor:
        """See `Rows`."""
        self.width += 1
        logits: Tensor = self.base.model(
            input_ids=token_R[:, None],
            attention_mask=self.mask_RL[:, : self.width],
            position_ids=self.position_R[:, None],
            **self._caching,
        ).logits
        # A row that has ended may stay for a while: its position must not run out of the context.
        last = (self.base.context or self.mask_RL.shape[1] + 1) - 1
        self.position_R = (self.position_R + 1).clamp(max=last)
        return logits[:, -1]

    def _select(self, keep: Tensor) -> None:
        select_rows(self.cache, keep)
        self.mask_RL = self.mask_RL.index_select(0, keep)
        self.position_R = self.position_R.index_select(0, keep)

    def keep(self, keep: Tensor) -> None:
        """See `Rows`."""
        self._select(keep)
        self.slots = [self.slots[row] for row in keep.tolist()]


MakeRows = Callable[[Base, Sequence[int | None], Sequence[tuple[int, ...]], int], Rows]
"""(base, slots, prompts, tokens to come) to the rows that will be written."""


def make_rows(
    base: Base, slots: Sequence[int | None], prompts: Sequence[tuple[int, ...]], room: int
) -> Rows:
    """Return rows in plain torch, for any base and device."""
    if base.packed is None:
        return PaddedRows(base, slots, prompts, room)
    return SharedRows(base, base.packed, slots, prompts)
