"""Routed LoRA: one forward pass in which every batch row uses its own member's adapter.

Forward hooks on the target layers add (alpha / rank) B A x of the row's slot. The base's modules
stay as they are, so with routing off, and for rows without an adapter, the output is the
untouched base's, bit for bit.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from redqueen.models.adapters import AdapterStack
from redqueen.models.kernels import routed_linear

Strategy = Literal["auto", "grouped", "segments", "padded"]

SMALL_ROWS = 64
"""Up to so many rows without gradients are routed in float32 on a CPU."""


@dataclass(frozen=True, slots=True)
class Run:
    """Adjacent batch rows start..stop of one slot (None: the base alone)."""

    slot: int | None
    start: int
    stop: int


def runs_of(slots: Sequence[int | None]) -> tuple[Run, ...]:
    """Split rows into runs of equal slot, in order. Few runs (rows sorted by slot) are fast."""
    runs: list[Run] = []
    for row, slot in enumerate(slots):
        if runs and runs[-1].slot == slot:
            runs[-1] = Run(slot, runs[-1].start, row + 1)
        else:
            runs.append(Run(slot, row, row + 1))
    return tuple(runs)


def round_size(size: int) -> int:
    """The next of 1, 2, 3, 4, 6, 8, 12, 16, 24, ...: few shapes, little waste."""
    power = 1 << (size - 1).bit_length()
    return 3 * power // 4 if power >= 4 and size <= 3 * power // 4 else power


def decode_strategy(slots: Sequence[int | None]) -> Strategy:
    """The fastest way for one token a row: one batched product, gathered first if need be."""
    return "auto" if len({run.stop - run.start for run in runs_of(slots)}) == 1 else "padded"


Prepared = dict[tuple[tuple[str, ...], torch.dtype, bool, tuple[int, ...]], tuple[Any, Any]]
"""Factors ready for use: of layers, in a type, apart or stacked, for the slots of a batch."""


class Route:
    """How the rows of one batch meet the adapters, prepared once and used by every layer.

    Three ways to the same sums: `grouped` is one batched product and needs runs of equal length;
    `segments` is a product for each run, the least work; `padded` gathers the runs into equal
    length first, few kernel launches for devices where those count.
    """

    def __init__(
        self,
        adapters: AdapterStack,
        slots: Sequence[int | None],
        strategy: Strategy,
        packed: bool = False,
        prepared: Prepared | None = None,
    ) -> None:
        """`packed`: `slots` are of the tokens of a single row, not of rows.

        `prepared` may be shared by routes between which no adapter changes.
        """
        self.adapters = adapters
        self.device = device = next(iter(adapters.A.values())).device
        self.packed = packed
        self.rows = len(slots)
        self._tokens = 0
        """Tokens of a row, as the layer before had them."""
        self.runs = runs_of(slots)
        routed = [run for run in self.runs if run.slot is not None]
        self.slots = [run.slot for run in routed if run.slot is not None]
        rows = adapters.rows_of(self.slots)
        sizes = {run.stop - run.start for run in routed}
        self.start, self.stop = (routed[0].start, routed[-1].stop) if routed else (0, 0)
        gapless = sum(run.stop - run.start for run in routed) == self.stop - self.start
        groupable = len(sizes) == 1 and gapless
        if strategy == "auto":
            strategy = "grouped" if groupable else "segments" if device.type == "cpu" else "padded"
        if strategy == "grouped" and not groupable:
            raise ValueError("grouped routing needs adjacent runs of equal length")
        self.strategy: Strategy = strategy
        self._index = torch.tensor(rows, device=device)
        self._whole = rows == list(range(adapters.rows))
        self._prepared = {} if prepared is None else prepared
        self.again: Callable[[], AbstractContextManager[None]] = nullcontext
        """Routes the forward passes of a block this way again, once the first block has ended."""
        if strategy == "padded":
            self._pad(routed, round_size(max(sizes)))

    def _pad(self, routed: list[Run], longest: int) -> None:
        """Row numbers that gather runs to equal length, and those that lead back."""
        gather: list[int] = []
        back: list[int] = []
        rows: list[int] = []
        for group, run in enumerate(routed):
            size = run.stop - run.start
            gather += [run.start + min(i, size - 1) for i in range(longest)]
            back += [group * longest + i for i in range(size)]
            rows += range(run.start, run.stop)
        self._gather = torch.tensor(gather, device=self.device)
        self._back = torch.tensor(back, device=self.device)
        self._rows = torch.tensor(rows, device=self.device)

    def _factors(
        self, names: tuple[str, ...], widths: Sequence[int], dtype: torch.dtype
    ) -> tuple[Any, Any]:
        """A transposed [runs, in, ranks] and scaled B transposed [runs, ranks, out] of layers.

        Layers side by side are one: their A's share the input, their B's lie on the diagonal. Of
        routes by segments both are tuples with an entry a run.
        """
        apart = self.strategy == "segments"
        key = (names, dtype, apart, tuple(self.slots))
        if key not in self._prepared:
            parts_a, parts_b = [], []
            start, stop = 0, sum(widths)
            for name, width in zip(names, widths, strict=True):
                if name in self.adapters.A:
                    a, b = self.adapters.A[name], self.adapters.B[name]
                    if not self._whole:
                        a, b = a.index_select(0, self._index), b.index_select(0, self._index)
                    b = (b * self.adapters.scaling).to(dtype).transpose(1, 2)
                    parts_a.append(a.to(dtype).transpose(1, 2))
                    parts_b.append(functional.pad(b, (start, stop - start - width)))
                start += width
            pair: tuple[Any, Any] = (torch.cat(parts_a, 2), torch.cat(parts_b, 1))
            if apart:
                pair = (pair[0].unbind(0), pair[1].unbind(0))
            self._prepared[key] = pair
        return self._prepared[key]

    def add(
        self, names: tuple[str, ...], widths: Sequence[int], x_NI: Tensor, out_NO: Tensor
    ) -> Tensor:
        """Add each token's adapters to the outputs of layers side by side, of these widths.

        May write into `out_NO`. Layers without adapters stay as they are.
        """
        if not any(name in self.adapters.A for name in names):
            return out_NO
        return self._apply(names, widths, x_NI[:, None], out_NO[:, None])[:, 0]

    def prepare(self, names: tuple[str, ...], widths: Sequence[int], dtype: torch.dtype) -> None:
        """Make the factors of layers side by side now; what is computed again must find them."""
        if any(name in self.adapters.A for name in names):
            self._factors(names, widths, dtype)

    def linear(
        self,
        names: tuple[str, ...],
        widths: Sequence[int],
        x_NI: Tensor,
        weight_OI: Tensor,
        bias_O: Tensor | None,
    ) -> Tensor:
        """Return layers side by side with their adapters, by segments, for gradients."""
        spans, factors = self.segments(names, widths, x_NI.dtype)
        return routed_linear(x_NI, weight_OI, bias_O, spans, factors)

    def segments(
        self, names: tuple[str, ...], widths: Sequence[int], dtype: torch.dtype
    ) -> tuple[list[tuple[int, int]], list[tuple[Tensor, Tensor]]]:
        """Spans of tokens and the factors of `_factors` for each, none for layers without adapters.

        Of packed routes by segments.
        """
        if not any(name in self.adapters.A for name in names):
            return [], []
        spans = [(run.start, run.stop) for run in self.runs if run.slot is not None]
        return spans, list(zip(*self._factors(names, widths, dtype), strict=True))

    def apply(self, name: str, x_BTI: Tensor, out_BTO: Tensor) -> Tensor:
        """Add each row's adapter to a layer's output. May write into `out_BTO`."""
        shape, width = x_BTI.shape, out_BTO.shape[-1]
        rows = self.rows
        if self.packed and shape[:-1].numel() == rows:
            x, out = (tensor.reshape(rows, 1, -1) for tensor in (x_BTI, out_BTO))
        elif not self.packed and len(shape) >= 3 and shape[0] == rows:
            x, out = (tensor.reshape(rows, -1, tensor.shape[-1]) for tensor in (x_BTI, out_BTO))
            self._tokens = x.shape[1]
        elif not self.packed and len(shape) == 2 and shape[0] == rows * self._tokens:
            # Row after row without a dimension for them, as some feed-forward layers take them.
            x, out = (tensor.reshape(rows, self._tokens, -1) for tensor in (x_BTI, out_BTO))
        else:
            raise ValueError(
                f"layer {name} received a tensor of shape {tuple(shape)} instead of "
                f"[{self.rows}, tokens, features], so its rows cannot be told apart; "
                "leave it out of policy.targets"
            )
        return self._apply((name,), (width,), x, out).view(out_BTO.shape)

    def _apply(
        self, names: tuple[str, ...], widths: Sequence[int], x: Tensor, out: Tensor
    ) -> Tensor:
        # Small products in bfloat16 are slow on a CPU.
        small = self.device.type == "cpu" and len(x) <= SMALL_ROWS and not torch.is_grad_enabled()
        dtype = torch.float32 if small else x.dtype
        a, b = self._factors(names, widths, dtype)
        x = x.to(dtype)
        if self.strategy == "grouped":
            return self._grouped(x, out, a, b)
        if self.strategy == "segments":
            return self._segments(x, out, a, b)
        return self._padded(x, out, a, b)

    def _grouped(self, x: Tensor, out: Tensor, a: Tensor, b: Tensor) -> Tensor:
        groups, width = len(self.slots), out.shape[-1]
        low = torch.bmm(x[self.start : self.stop].reshape(groups, -1, x.shape[-1]), a)
        part = out[self.start : self.stop]
        if not torch.is_grad_enabled():
            if low.dtype == out.dtype:
                part.view(groups, -1, width).baddbmm_(low, b)
            else:
                part.view(groups, -1, width).add_(torch.bmm(low, b))
            return out
        routed = torch.baddbmm(part.reshape(groups, -1, width), low, b).view(part.shape)
        if self.stop - self.start == self.rows:
            return routed
        return torch.cat((out[: self.start], routed, out[self.stop :]))

    def _segments(
        self, x: Tensor, out: Tensor, a: tuple[Tensor, ...], b: tuple[Tensor, ...]
    ) -> Tensor:
        tokens, width = x.shape[1], out.shape[-1]
        sizes = [(run.stop - run.start) * tokens for run in self.runs]
        # One split rather than slices: the gradient of a slice is a tensor of the full size.
        x_parts = torch.split_with_sizes(x.reshape(-1, x.shape[-1]), sizes)
        out_parts = list(torch.split_with_sizes(out.view(-1, width), sizes))
        group = 0
        for i, run in enumerate(self.runs):
            if run.slot is None:
                continue
            low = x_parts[i] @ a[group]
            if torch.is_grad_enabled():
                out_parts[i] = torch.addmm(out_parts[i], low, b[group])
            elif low.dtype == out.dtype:
                out_parts[i].addmm_(low, b[group])
            else:
                out_parts[i].add_(low @ b[group])
            group += 1
        return torch.cat(out_parts).view(out.shape) if torch.is_grad_enabled() else out

    def _padded(self, x: Tensor, out: Tensor, a: Tensor, b: Tensor) -> Tensor:
        groups, tokens = len(self.slots), x.shape[1]
        gathered = x.index_select(0, self._gather).view(groups, -1, x.shape[-1])
        delta = torch.bmm(torch.bmm(gathered, a), b).view(-1, tokens, out.shape[-1])
        delta = delta.index_select(0, self._back)
        if len(self._rows) == self.rows:
            return out.add_(delta) if not torch.is_grad_enabled() else out + delta
        return torch.index_add(out, 0, self._rows, delta.to(out.dtype))


class _Current(threading.local):
    """The route of this thread's forward passes."""

    route: Route | None = None


class Router:
    """Hooks the target layers of a model; `route` says which row belongs to which slot."""

    def __init__(self, modules: Mapping[str, nn.Module], adapters: AdapterStack) -> None:
        self.adapters = adapters
        self._current = _Current()
        self._hooks = [
            module.register_forward_hook(partial(self._hook, name))
            for name, module in modules.items()
        ]

    def close(self) -> None:
        """Take the hooks off: a model that is used on would keep the adapters in memory."""
        for hook in self._hooks:
            hook.remove()

    def _hook(
        self, name: str, module: nn.Module, args: tuple[Tensor, ...], out: Tensor
    ) -> Tensor | None:
        if self._current.route is None:
            return None
        return self._current.route.apply(name, args[0], out)

    @contextmanager
    def route(
        self,
        slots: Sequence[int | None] | None,
        strategy: Strategy = "auto",
        *,
        packed: bool = False,
        prepared: Prepared | None = None,
    ) -> Iterator[Route | None]:
        """Inside the block, batch row i of every forward pass uses the adapter in slots[i].

        None in `slots` is the base alone for that row; `slots` None is routing off. `packed`: the
        forward passes have a single row, and `slots` are those of its tokens. The factors
        are read once on entry to each layer: do not change adapters inside the block.

        Raises:
            IndexError: a slot is not in the stack.
            ValueError: one is not in memory.
        """
        route = None
        if slots and any(slot is not None for slot in slots):
            route = Route(self.adapters, slots, strategy, packed, prepared)
            route.again = partial(self._routed, route)
        with self._routed(route):
            yield route

    @contextmanager
    def _routed(self, route: Route | None) -> Iterator[None]:
        before = self._current.route
        self._current.route = route
        try:
            yield
        finally:
            self._current.route = before
