"""Rows that are being written on a CPU, one token at a time, by compiled kernels.

Every row meets its own adapter, its prompt and its own tokens as they lie: nothing is gathered,
padded or moved.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor

from redqueen.engines.cpu.compiled import array_of
from redqueen.engines.cpu.compiled.rows import attend_rows
from redqueen.engines.cpu.model import CompiledModel, RowFactors
from redqueen.engines.decoding import PaddedRows, Rows, SharedRows, States
from redqueen.models.attention import PackedModel
from redqueen.models.loading import Base
from redqueen.models.routing import Route, Router

ROOM = 256
"""Tokens for which a row has room at first; memory that no token is written to costs nothing."""


class RowStates:
    """Attention of rows on a CPU to their prompts, then to their own tokens.

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
        self._states = [(key.new_empty(shape), value.new_empty(shape)) for key, value in prompts]
        self.written = 0

    def keep(self, keep: Tensor) -> None:
        """Rows leave."""
        kept = keep.numpy()
        self.row_R = self.row_R[kept]
        self.start_R, self.length_R = self.start_R[kept], self.length_R[kept]

    def _grow(self) -> None:
        """Room for more tokens of the rows that are left."""
        row = torch.from_numpy(self.row_R)

        def grown(state_BTXD: Tensor) -> Tensor:
            _, room, heads, size = state_BTXD.shape
            longer = state_BTXD.new_empty(len(row), 2 * room, heads, size)
            longer[:, :room] = state_BTXD[row]
            return longer

        self._states = [(grown(key), grown(value)) for key, value in self._states]
        self.row_R = np.arange(len(row))

    def next(self) -> None:
        """Make room for one more token a row, which every layer's `attend` then writes."""
        if self.written == self._states[0][0].shape[1]:
            self._grow()
        self.written += 1

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        """One token a row; see `Attention`."""
        query, key, value = (array_of(x.contiguous()) for x in (q, k, v))
        row_key, row_value = self._states[layer]
        out = torch.empty_like(q, memory_format=torch.contiguous_format)
        attend_rows(
            query, (key, value), self.prompts[layer], self.start_R, self.length_R,
            (array_of(row_key), array_of(row_value)), self.row_R, self.written, scale,
            array_of(out),
        )  # fmt: skip
        return out


class CompiledRows(SharedRows):
    """Prompts computed once, packed without padding, and kept once for all their rows."""

    def __init__(
        self,
        base: Base,
        model: PackedModel,
        slots: Sequence[int | None],
        prompts: Sequence[tuple[int, ...]],
        room: int,
    ) -> None:
        """Rows must be sorted by slot (base last) and, within, by prompt; `room` tokens follow."""
        super().__init__(base, model, slots, prompts)
        self._room = min(room, ROOM)
        self._factors: RowFactors | None = None

    @property
    def compact_below(self) -> float:
        """See `Rows`; rows that leave cost nothing, for the states of the others stay in place."""
        return 1.0

    def _begin(self, router: Router, states: list[States]) -> None:
        packing = self.packing
        self.states = RowStates(states, packing.prompts, packing.group_of, self._room)
        if isinstance(self.model, CompiledModel):
            self._factors = RowFactors(router.adapters, self.slots, self.base.dtype)

    def route(self, router: Router) -> AbstractContextManager[Route | None]:
        """See `Rows`."""
        return super().route(router) if self._factors is None else nullcontext()

    def _logits(self, token_R: Tensor, route: Route | None) -> Tensor:
        self.states.next()
        if self._factors is not None and isinstance(self.model, CompiledModel):
            return self.model.decode(token_R, self.position_R, self._factors, self.states)
        return self.model.logits(token_R, self.position_R, route, self.states)

    def keep(self, keep: Tensor) -> None:
        """See `Rows`."""
        self.states.keep(keep)
        if self._factors is not None:
            self._factors.keep(keep)
        self._drop(keep)


def make_compiled_rows(
    base: Base, slots: Sequence[int | None], prompts: Sequence[tuple[int, ...]], room: int
) -> Rows:
    """Return rows by compiled kernels where the base reads packed texts; a `MakeRows`."""
    if base.packed is None:
        return PaddedRows(base, slots, prompts, room)
    return CompiledRows(base, base.packed, slots, prompts, room)
