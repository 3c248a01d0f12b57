"""Rows that are being written, with their keys and values: two ways to keep them.

`SharedBatch` computes and keeps every prompt once for all its rows; it needs a base that reads
packed texts. `PaddedBatch` works with any base: prompts are padded to one length and
every row has a cache of its own.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from redqueen.engines.cpu.compiled import array_of
from redqueen.engines.cpu.compiled.rows import attend_rows
from redqueen.engines.cpu.fused import FusedModel
from redqueen.models.attention import PackedModel, PackedPlan, dense_attention
from redqueen.models.cache import GrowingLayer, new_cache
from redqueen.models.loading import Base
from redqueen.models.packing import Packing, Text, bias_of, spread
from redqueen.models.routing import Prepared, Route, Router, RowFactors, decode_strategy

COMPACT_BELOW = 0.875
"""Rows that have ended leave when at most this share would go on, where moving the rest costs."""


ROOM = 256
"""Tokens for which a row has room at first; memory that no token is written to costs nothing."""


class Batch(Protocol):
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
        """Append one token a row; return the logits [R, V] of the next."""

    def keep(self, keep: Tensor) -> None:
        """Let all rows but `keep` (ascending) leave."""


States = tuple[Tensor, Tensor]
"""Keys and values."""


class RowStates:
    """Attention of rows on a CPU to their prompts, then to their own tokens (a `Plan`).

    Every prompt's keys and values [N, Hkv, D] lie as they were computed, once for all its rows,
    and a row's own stay where they were written: rows that leave move nothing.
    """

    def __init__(
        self,
        prompts: Sequence[States],
        spans: Sequence[tuple[int, int]],
        group_R: Sequence[int],
        room: int,
    ) -> None:
        """`prompts` by layer; `spans` are of each prompt's tokens; `group_R` each row's prompt.

        Rows have room for that many tokens of their own at first.
        """
        self.prompts = [
            (array_of(key.contiguous()), array_of(value.contiguous())) for key, value in prompts
        ]
        start, stop = np.array([spans[group] for group in group_R]).T
        self.start_R, self.length_R = start.copy(), stop - start
        self.row_R = np.arange(len(group_R))
        shape = (len(group_R), room, *prompts[0][0].shape[1:])
        self.own = [(key.new_empty(shape), value.new_empty(shape)) for key, value in prompts]
        self.written = 0

    def keep(self, keep: Tensor) -> None:
        """Rows leave."""
        kept = keep.numpy()
        self.row_R = self.row_R[kept]
        self.start_R, self.length_R = self.start_R[kept], self.length_R[kept]

    def _grow(self) -> None:
        """Room for more tokens of the rows that are left."""
        row = torch.from_numpy(self.row_R)

        def grown(own_BTXD: Tensor) -> Tensor:
            _, room, heads, size = own_BTXD.shape
            longer = own_BTXD.new_empty(len(row), 2 * room, heads, size)
            longer[:, :room] = own_BTXD[row]
            return longer

        self.own = [(grown(key), grown(value)) for key, value in self.own]
        self.row_R = np.arange(len(row))

    def next(self) -> None:
        """Make room for one more token a row, which every layer's `attend` then writes."""
        if self.written == self.own[0][0].shape[1]:
            self._grow()
        self.written += 1

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        """One token a row; see `Plan`."""
        query, key, value = (array_of(x.contiguous()) for x in (q, k, v))
        own_key, own_value = self.own[layer]
        out = torch.empty_like(q, memory_format=torch.contiguous_format)
        attend_rows(
            query, (key, value), self.prompts[layer], self.start_R, self.length_R,
            (array_of(own_key), array_of(own_value)), self.row_R, self.written, scale,
            array_of(out),
        )  # fmt: skip
        return out


class _Rows:
    """Attention of rows with a whole cache each (a `Plan`); `bias_RP` is of their prompts."""

    def __init__(self, own: list[GrowingLayer], bias_RP: Tensor) -> None:
        self.own = own
        self._bias_RL = bias_RP

    def keep(self, keep: Tensor) -> None:
        """Rows leave."""
        for layer in self.own:
            layer.batch_select_indices(keep)
        self._bias_RL = self._bias_RL.index_select(0, keep)

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        """One token a row; see `Plan`."""
        k, v = self.own[layer].update(k[:, :, None], v[:, :, None])
        grown = k.shape[2] - self._bias_RL.shape[1]
        if grown > 0:
            zeros = self._bias_RL.new_zeros(len(self._bias_RL), grown + 64)
            self._bias_RL = torch.cat((self._bias_RL, zeros), 1)
        bias = self._bias_RL[:, None, : k.shape[2]]
        return dense_attention(q[:, :, None], k, v, bias, scale)[:, 0]


class SharedBatch:
    """Prompts computed once, packed without padding; on a CPU also kept once for their rows."""

    def __init__(
        self,
        base: Base,
        model: PackedModel,
        slots: Sequence[int | None],
        prompts: Sequence[tuple[int, ...]],
        room: int,
    ) -> None:
        """Rows must be sorted by slot (base last) and, within, by prompt; `room` tokens follow."""
        self.base, self.model = base, model
        self.slots = list(slots)
        self._room = min(room, ROOM)
        texts = [Text(slot, prompt) for slot, prompt in zip(slots, prompts, strict=True)]
        self._packing = Packing(texts, base.device)
        self._position_R = torch.tensor([len(prompt) for prompt in prompts], device=base.device)
        self._plan: RowStates | _Rows
        self._factors: RowFactors | None = None
        self._prepared: Prepared = {}
        self._compiled = base.device.type == "cpu"

    @property
    def compact_below(self) -> float:
        """See `Batch`; moving rows costs nothing where their states stay in place."""
        return 1.0 if self._compiled else COMPACT_BELOW

    def prefill(self, router: Router) -> Tensor:
        """See `Batch`."""
        packing, device = self._packing, self.base.device
        states: list[States] = []
        last_U = torch.tensor([stop - 1 for _, stop in packing.prompts], device=device)
        with router.route(packing.slots, "segments", packed=True) as route:
            logits_UV = self.model.logits(
                packing.ids_N, packing.position_N, route, PackedPlan(packing, states), last_U
            )
        group_R = torch.tensor(packing.group_of, device=device)
        if self._compiled:
            self._plan = RowStates(states, packing.prompts, packing.group_of, self._room)
            if isinstance(self.model, FusedModel):
                self._factors = RowFactors(router.adapters, self.slots, self.base.dtype)
        else:
            index_UP, real_UP = spread(*packing.spans(packing.prompts))
            index_RP = index_UP[group_R]
            own = [
                GrowingLayer.filled(*(state_NXD[index_RP].transpose(1, 2) for state_NXD in pair))
                for pair in states
            ]
            self._plan = _Rows(own, bias_of(real_UP)[group_R])
        return logits_UV.index_select(0, group_R)

    def route(self, router: Router) -> AbstractContextManager[Route | None]:
        """See `Batch`."""
        if self._factors is not None:
            return nullcontext()
        strategy = decode_strategy(self.slots)
        return router.route(self.slots, strategy, packed=True, prepared=self._prepared)

    def decode(self, token_R: Tensor, route: Route | None) -> Tensor:
        """See `Batch`."""
        if isinstance(self._plan, RowStates):
            self._plan.next()
        if self._factors is not None and isinstance(self.model, FusedModel):
            logits_RV = self.model.decode(token_R, self._position_R, self._factors, self._plan)
        else:
            logits_RV = self.model.logits(token_R, self._position_R, route, self._plan)
        self._position_R = self._position_R + 1
        if self.base.context is not None:
            # A row that has ended may stay for a while: it must not run out of the context.
            self._position_R.clamp_(max=self.base.context - 1)
        return logits_RV

    def keep(self, keep: Tensor) -> None:
        """See `Batch`."""
        self._plan.keep(keep)
        if self._factors is not None:
            self._factors.keep(keep)
        self._position_R = self._position_R.index_select(0, keep)
        self.slots = [self.slots[row] for row in keep.tolist()]


class PaddedBatch:
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

    @property
    def compact_below(self) -> float:
        """See `Batch`."""
        return COMPACT_BELOW

    def prefill(self, router: Router) -> Tensor:
        """See `Batch`."""
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
                past_key_values=self.cache,
                use_cache=True,
            )
        self._select(self._expand)
        return logits_UV.index_select(0, self._expand)

    def route(self, router: Router) -> AbstractContextManager[Route | None]:
        """See `Batch`."""
        return router.route(self.slots)

    def decode(self, token_R: Tensor, route: Route | None) -> Tensor:
        """See `Batch`."""
        self.width += 1
        logits: Tensor = self.base.model(
            input_ids=token_R[:, None],
            attention_mask=self.mask_RL[:, : self.width],
            position_ids=self.position_R[:, None],
            past_key_values=self.cache,
            use_cache=True,
        ).logits
        # A row that has ended may stay for a while: its position must not run out of the context.
        last = (self.base.context or self.mask_RL.shape[1] + 1) - 1
        self.position_R = (self.position_R + 1).clamp(max=last)
        return logits[:, -1]

    def _select(self, keep: Tensor) -> None:
        self.cache.batch_select_indices(keep)
        self.mask_RL = self.mask_RL.index_select(0, keep)
        self.position_R = self.position_R.index_select(0, keep)

    def keep(self, keep: Tensor) -> None:
        """See `Batch`."""
        self._select(keep)
        self.slots = [self.slots[row] for row in keep.tolist()]
