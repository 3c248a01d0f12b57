"""Rows that are being written, with their keys and values: two ways to keep them.

`SharedBatch` computes and keeps every prompt once for all its rows; it needs a base that reads
packed texts. `PaddedBatch` works with any base: prompts are padded to one length and
every row has a cache of its own.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor

from redqueen.policy.attention import PackedModel, PackedPlan, dense_attention
from redqueen.policy.cache import GrowingLayer, new_cache
from redqueen.policy.loading import Base
from redqueen.policy.packing import Packing, Text, bias_of, spread
from redqueen.policy.routing import Prepared, Route, Router, decode_strategy

SHARED_ROWS = 1.5
"""Prompts are kept apart while at least this many rows on average share one."""


class Batch(Protocol):
    """Rows, sorted by slot, that grow by one token at a time."""

    slots: list[int | None]

    def prefill(self, router: Router) -> Tensor:
        """Read the prompts; return the logits [R, V] of every row's first token."""

    def route(self, router: Router) -> AbstractContextManager[Route | None]:
        """The routing of the rows as they are now, for `decode` inside the block."""

    def decode(self, token_R: Tensor, route: Route | None) -> Tensor:
        """Append one token a row; return the logits [R, V] of the next."""

    def keep(self, keep: Tensor) -> None:
        """Let all rows but `keep` (ascending) leave."""


class _Prompts:
    """Attention of rows to their shared prompts, then to their own tokens (a `Plan`).

    One product for each prompt and head meets the queries of all its rows, so that the prompt's
    keys and values are read once a step instead of once a row.
    """

    def __init__(
        self, keys: list[Tensor], values: list[Tensor], bias_UP: Tensor, group_R: list[int]
    ) -> None:
        """Keys and values [U, Hkv, P, D] by layer; `group_R` is ascending and skips none."""
        self.keys, self.values, self.bias_UP = keys, values, bias_UP
        self.group_R = group_R
        self.own = [GrowingLayer(key.dtype) for key in keys]
        self._index()

    def _index(self) -> None:
        groups, device = len(self.bias_UP), self.bias_UP.device
        members: list[list[int]] = [[] for _ in range(groups)]
        for row, group in enumerate(self.group_R):
            members[group].append(row)
        self._most = max(len(rows) for rows in members)
        gather = [rows[min(i, len(rows) - 1)] for rows in members for i in range(self._most)]
        back = [g * self._most + i for g, rows in enumerate(members) for i in range(len(rows))]
        self._even = len(gather) == len(self.group_R)
        self._gather = torch.tensor(gather, device=device)
        self._back = torch.tensor(back, device=device)
        heads = self.keys[0].shape[1]
        self._bias = self.bias_UP.repeat_interleave(heads, 0)[:, None, :]

    def keep(self, keep: Tensor) -> None:
        """Rows leave, and the prompts that nobody continues."""
        for layer in self.own:
            layer.batch_select_indices(keep)
        kept = [self.group_R[row] for row in keep.tolist()]
        alive = sorted(set(kept))
        if len(alive) < len(self.bias_UP):
            index = torch.tensor(alive, device=keep.device)
            self.bias_UP = self.bias_UP.index_select(0, index)
            self.keys = [key.index_select(0, index) for key in self.keys]
            self.values = [value.index_select(0, index) for value in self.values]
        number = {group: place for place, group in enumerate(alive)}
        self.group_R = [number[group] for group in kept]
        self._index()

    def _to_groups(self, x_RHnC: Tensor) -> Tensor:
        """[R, Hkv, n, C] to [U * Hkv, rows of a group * n, C]."""
        _, heads, queries, width = x_RHnC.shape
        if not self._even:
            x_RHnC = x_RHnC.index_select(0, self._gather)
        x = x_RHnC.view(-1, self._most, heads, queries, width).transpose(1, 2)
        return x.reshape(-1, self._most * queries, width)

    def _to_rows(self, x: Tensor, heads: int, queries: int) -> Tensor:
        """The way back from `_to_groups`."""
        x = x.view(-1, heads, self._most, queries, x.shape[-1]).transpose(1, 2).flatten(0, 1)
        return x if self._even else x.index_select(0, self._back)

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        """One token a row; see `Plan`."""
        rows, heads, size = q.shape
        kv_heads = k.shape[1]
        k, v = self.own[layer].update(k[:, :, None], v[:, :, None])
        folded = q.float().mul(scale).view(rows, kv_heads, -1, size)
        queries = folded.shape[2]
        key, value = self.keys[layer].flatten(0, 1), self.values[layer].flatten(0, 1)
        shared = torch.baddbmm(self._bias, self._to_groups(folded), key.transpose(1, 2))
        score = torch.cat(
            (
                self._to_rows(shared, kv_heads, queries),
                torch.matmul(folded, k.transpose(2, 3)),
            ),
            -1,
        )
        weight = score.softmax(-1)
        prompt = key.shape[1]
        out = torch.matmul(weight[..., prompt:], v)
        shared = torch.bmm(self._to_groups(weight[..., :prompt]), value)
        out += self._to_rows(shared, kv_heads, queries)
        return out.view(rows, heads, size).to(q.dtype)


class _Rows:
    """Attention of rows with a whole cache each (a `Plan`); `bias_RP` is of their prompts."""

    def __init__(self, own: list[GrowingLayer], bias_RP: Tensor) -> None:
        self.own = own
        self._bias_RL = bias_RP

    @classmethod
    def of(cls, prompts: _Prompts) -> "_Rows":
        """Give every row its copy of its prompt."""
        group = torch.tensor(prompts.group_R, device=prompts.bias_UP.device)
        own = []
        for key, value, layer in zip(prompts.keys, prompts.values, prompts.own, strict=True):
            both = [key.index_select(0, group), value.index_select(0, group)]
            if layer.is_initialized:
                both[0] = torch.cat((both[0], layer.keys), 2)
                both[1] = torch.cat((both[1], layer.values), 2)
            own.append(GrowingLayer.filled(*both))
        return cls(own, prompts.bias_UP.index_select(0, group))

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
    """Prompts computed once, packed without padding, and kept once for their rows."""

    def __init__(
        self,
        base: Base,
        model: PackedModel,
        slots: Sequence[int | None],
        prompts: Sequence[tuple[int, ...]],
    ) -> None:
        """Rows must be sorted by slot (base last) and, within, by prompt."""
        self.base, self.model = base, model
        self.slots = list(slots)
        texts = [Text(slot, prompt) for slot, prompt in zip(slots, prompts, strict=True)]
        self._packing = Packing(texts, base.device)
        self._position_R = torch.tensor([len(prompt) for prompt in prompts], device=base.device)
        self._plan: _Prompts | _Rows
        self._prepared: Prepared = {}

    def prefill(self, router: Router) -> Tensor:
        """See `Batch`."""
        packing, device = self._packing, self.base.device
        states: list[tuple[Tensor, Tensor]] = []
        last_U = torch.tensor([stop - 1 for _, stop in packing.prompts], device=device)
        with router.route(packing.slots, "segments", packed=True) as route:
            logits_UV = self.model.logits(
                packing.ids_N, packing.position_N, route, PackedPlan(packing, states), last_U
            )
        index_UP, real_UP = spread(*packing.spans(packing.prompts))
        dtype = torch.float32 if device.type == "cpu" else self.base.dtype

        def unpack(state_NHD: Tensor) -> Tensor:
            return state_NHD[index_UP].transpose(1, 2).to(dtype).contiguous()

        self._plan = _Prompts(
            [unpack(key) for key, _ in states],
            [unpack(value) for _, value in states],
            bias_of(real_UP),
            packing.group_of,
        )
        self._settle()
        return logits_UV.index_select(0, torch.tensor(packing.group_of, device=device))

    def _settle(self) -> None:
        """Copy the prompts to the rows where sharing no longer pays."""
        plan = self._plan
        if isinstance(plan, _Prompts):
            few = len(plan.group_R) < SHARED_ROWS * len(plan.bias_UP)
            if few or self.base.device.type != "cpu":
                self._plan = _Rows.of(plan)

    def route(self, router: Router) -> AbstractContextManager[Route | None]:
        """See `Batch`."""
        strategy = decode_strategy(self.slots)
        return router.route(self.slots, strategy, packed=True, prepared=self._prepared)

    def decode(self, token_R: Tensor, route: Route | None) -> Tensor:
        """See `Batch`."""
        logits_RV = self.model.logits(token_R, self._position_R, route, self._plan)
        self._position_R = self._position_R + 1
        if self.base.context is not None:
            # A row that has ended may stay for a while: it must not run out of the context.
            self._position_R.clamp_(max=self.base.context - 1)
        return logits_RV

    def keep(self, keep: Tensor) -> None:
        """See `Batch`."""
        self._plan.keep(keep)
        self._position_R = self._position_R.index_select(0, keep)
        self.slots = [self.slots[row] for row in keep.tolist()]
        self._settle()


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
