"""Rows on a GPU: the work of a token is captured once as a CUDA graph, and replayed.

A token of a model of half a billion parameters is some 1,500 kernels of a few microseconds each.
Starting them one by one from Python takes several times as long as they run, so all of them are
started at once. A graph has fixed shapes and addresses: keys and values lie in buffers with room,
and where the next token goes is a number on the device.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from redqueen.engines.decoding import PaddedRows, Rows, SharedRows, States
from redqueen.models.attention import PackedModel, dense_attention
from redqueen.models.fused import FusedModel
from redqueen.models.loading import Base
from redqueen.models.routing import Route

ROOM = 256
"""Tokens that a buffer has room for behind the prompts at most; then it grows, and another graph is
captured."""
STEP = 64
"""Buffers are multiples of it: kernels like aligned masks."""
COMPACT_BELOW = 0.5
"""Rows that have ended leave when at most this share would go on: it costs a capture."""

Replay = Callable[[], None]
Capture = Callable[[Callable[[], None]], Replay]
"""Takes work whose tensors stay where they are, and returns what does it again."""


def capture_cuda(work: Callable[[], None]) -> Replay:
    """Capture work on the current GPU; a `Capture`.

    The work must have been done before, so that all kernels are loaded.
    """
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
    now = torch.cuda.current_stream()
    stream.wait_stream(now)
    with torch.cuda.stream(stream):
        # Another thread may learn at the same time.
        graph.capture_begin(capture_error_mode="thread_local")
        try:
            work()
        finally:
            graph.capture_end()
    now.wait_stream(stream)
    replay: Replay = graph.replay
    return replay


class FixedAttention:
    """Attention of rows to buffers [R, Hkv, C, D] that are filled up to a column.

    `bias_RC` is added to the scores: 0 where a row may look, -inf elsewhere.
    """

    def __init__(self, cache: list[States], bias_RP: Tensor, room: int) -> None:
        """`cache` has the keys and values [R, Hkv, P, D] of the prompts by layer."""
        self._cache = cache
        self._bias_RC = bias_RP
        self._column = torch.full((1,), bias_RP.shape[1], device=bias_RP.device)
        self.reserve(room)

    def reserve(self, room: int) -> None:
        """Move everything into buffers with room for that many more columns."""
        filled = int(self._column)
        capacity = -(-(filled + room) // STEP) * STEP
        bias_RC = self._bias_RC.new_full((len(self._bias_RC), capacity), float("-inf"))
        bias_RC[:, :filled] = self._bias_RC[:, :filled]
        self._bias_RC = bias_RC

        def roomy(state_RXCD: Tensor) -> Tensor:
            rows, heads, _, size = state_RXCD.shape
            # Zeros: what is not seen has no weight, but NaN times nothing is NaN.
            larger = state_RXCD.new_zeros(rows, heads, capacity, size)
            larger[:, :, :filled] = state_RXCD[:, :, :filled]
            return larger

        self._cache = [(roomy(key), roomy(value)) for key, value in self._cache]
        self.room = capacity - filled

    def keep(self, keep: Tensor) -> None:
        """Rows leave."""
        self._bias_RC = self._bias_RC.index_select(0, keep)
        self._cache = [
            (key.index_select(0, keep), value.index_select(0, keep)) for key, value in self._cache
        ]

    def open(self) -> None:
        """Let every row see the column that `attend` fills."""
        self._bias_RC.index_fill_(1, self._column, 0.0)

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        """One token a row; see `Attention`."""
        key, value = self._cache[layer]
        key.index_copy_(2, self._column, k[:, :, None])
        value.index_copy_(2, self._column, v[:, :, None])
        return dense_attention(q[:, :, None], key, value, self._bias_RC[:, None], scale)[:, 0]

    def advance(self) -> None:
        """Go on to the next column."""
        self._column += 1


class GraphedRows(SharedRows):
    """Prompts computed once, packed without padding; then the same work for every token."""

    def __init__(
        self,
        base: Base,
        model: PackedModel,
        slots: Sequence[int | None],
        prompts: Sequence[tuple[int, ...]],
        room: int,
        capture: Capture,
    ) -> None:
        """Rows must be sorted by slot (base last) and, within, by prompt; `room` tokens follow."""
        super().__init__(base, model, slots, prompts)
        self._to_come = room
        self._capture = capture
        self._forget()

    @property
    def compact_below(self) -> float:
        """See `Rows`."""
        return COMPACT_BELOW

    def _forget(self) -> None:
        """Shapes or places have changed: the next token is done step by step."""
        self._token_R = torch.zeros(len(self.slots), dtype=torch.long, device=self.base.device)
        self._out_RV: Tensor | None = None
        self._replay: Replay | None = None
        self._route: Route | None = None

    def _attend_to(self, prompts: list[States], bias_RP: Tensor) -> FixedAttention:
        if self.base.device.type != "cpu":
            bias_RP = bias_RP.to(self.base.dtype)  # else it is cast in every layer
        self._fixed = FixedAttention(prompts, bias_RP, min(self._to_come, ROOM))
        return self._fixed

    def _work(self) -> None:
        """Append `_token_R` to the rows, and leave the logits of what follows."""
        self._fixed.open()
        out_RV = self.model.logits(self._token_R, self.position_R, self._route, self._fixed)
        if self._out_RV is None:
            self._out_RV = out_RV
        else:
            self._out_RV.copy_(out_RV)
        self.position_R += 1
        if self.base.context is not None:
            # A row that has ended may stay for a while: it must not run out of the context.
            self.position_R.clamp_(max=self.base.context - 1)
        self._fixed.advance()

    def decode(self, token_R: Tensor, route: Route | None) -> Tensor:
        """See `Rows`. The next call overwrites what is returned."""
        if self._fixed.room == 0:
            self._fixed.reserve(min(max(self._to_come, 1), ROOM))
            self._forget()
        self._fixed.room -= 1
        self._to_come -= 1
        self._token_R.copy_(token_R)
        self._route = route
        if self._replay is not None:
            self._replay()
        elif self._out_RV is None:
            self._work()
        else:
            self._replay = self._capture(self._work)
            self._replay()
        assert self._out_RV is not None  # the first token of these shapes has left it
        return self._out_RV

    def keep(self, keep: Tensor) -> None:
        """See `Rows`."""
        super().keep(keep)
        self._forget()


def make_graphed_rows(
    base: Base,
    slots: Sequence[int | None],
    prompts: Sequence[tuple[int, ...]],
    room: int,
    capture: Capture = capture_cuda,
) -> Rows:
    """Return rows with graphs for a base whose forward pass is our own; a `MakeRows` for a GPU."""
    if base.packed is None:
        return PaddedRows(base, slots, prompts, room)
    if not isinstance(base.packed, FusedModel):
        return SharedRows(base, base.packed, slots, prompts)
    return GraphedRows(base, base.packed, slots, prompts, room, capture)
