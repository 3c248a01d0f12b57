"""The adapters of all members, stacked: one A and one B for each layer, slot first.

An adapter adds (alpha / rank) B A to a frozen linear layer's weight (LoRA, arXiv 2106.09685,
section 4.1).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from redqueen.errors import ConfigError
from redqueen.rng import torch_rng


class Factors(NamedTuple):
    """One adapter on one layer: A [rank, in] and B [out, rank]."""

    A: Tensor
    B: Tensor


@dataclass(frozen=True, slots=True)
class LayerShape:
    """Sizes of a linear layer that carries adapters."""

    inputs: int
    outputs: int


ALIGNMENT = 16
"""Values that a tensor's place in the buffer is a multiple of: 64 bytes, as fresh memory is."""


def _padded_size(shape: Sequence[int]) -> int:
    return -(-math.prod(shape) // ALIGNMENT) * ALIGNMENT


class Pager(Protocol):
    """What keeps the adapters that are not in memory; see `redqueen.population.paging`."""

    rows: int
    """Members that fit into memory."""

    def read(self, slot: int) -> dict[str, Factors]:
        """Return the factors of a slot that is not in memory, which it stays."""

    def bring(self, slots: Sequence[int]) -> None:
        """Have all of these slots in memory at the same time."""


class AdapterStack:
    """Trainable float32 factors of `slots` adapters on every layer of `layers`.

    `A[name]` is [rows, rank, in], `B[name]` is [rows, out, rank]; both are leaf tensors with
    `requires_grad`. A slot's adapter lies in row `row_of[slot]`: in that of its own number, unless
    there are fewer rows than slots and a `pager` decides (-1: not in memory). Everything that
    writes does so in place, so references stay valid. All factors lie in one `buffer`, so that
    other processes need a single piece of shared memory.
    """

    def __init__(
        self,
        layers: Mapping[str, LayerShape],
        slots: int,
        rank: int,
        alpha: float,
        device: torch.device | str = "cpu",
        rows: int | None = None,
    ) -> None:
        if slots < 1:
            raise ValueError(f"slots must be at least 1, not {slots}")
        self.layers = dict(layers)
        self.slots = slots
        self.rows = slots if rows is None else min(rows, slots)
        self.row_of = torch.arange(slots)
        self.row_of[self.rows :] = -1
        self.pager: Pager | None = None
        self.rank = rank
        self.alpha = alpha
        self.A: dict[str, Tensor] = {}
        self.B: dict[str, Tensor] = {}
        self.use_buffer(torch.zeros(sum(map(_padded_size, self._shapes().values())), device=device))

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of all stacked tensors by name, in model order."""
        shapes: dict[str, tuple[int, ...]] = {}
        for name, layer in self.layers.items():
            shapes[f"{name}.A"] = (self.rows, self.rank, layer.inputs)
            shapes[f"{name}.B"] = (self.rows, layer.outputs, self.rank)
        return shapes

    def split(self, buffer: Tensor) -> dict[str, Tensor]:
        """Return views of a buffer like the stack's, by the names of `parameters`."""
        parts, start = {}, 0
        for name, shape in self._shapes().items():
            parts[name] = buffer[start : start + math.prod(shape)].view(shape)
            start += _padded_size(shape)
        return parts

    def use_buffer(self, buffer: Tensor) -> None:
        """Let the factors be views of this buffer, whose contents they take."""
        self.buffer = buffer
        leaves = {k: part.detach().requires_grad_(True) for k, part in self.split(buffer).items()}
        for name in self.layers:
            self.A[name], self.B[name] = leaves[f"{name}.A"], leaves[f"{name}.B"]

    @property
    def scaling(self) -> float:
        """The factor alpha / rank on B A."""
        return self.alpha / self.rank

    @property
    def num_parameters(self) -> int:
        """Parameters of one adapter."""
        return sum(self.rank * (s.inputs + s.outputs) for s in self.layers.values())

    def parameters(self) -> dict[str, Tensor]:
        """Return the stacked leaf tensors by name, `<layer>.A` and `<layer>.B`, in model order."""
        named = {}
        for name in self.layers:
            named[f"{name}.A"] = self.A[name]
            named[f"{name}.B"] = self.B[name]
        return named

    def _check_slot(self, slot: int) -> None:
        if not 0 <= slot < self.slots:
            raise IndexError(f"slot {slot} is not in 0..{self.slots - 1}")

    def rows_of(self, slots: Sequence[int]) -> list[int]:
        """Return the rows that hold the adapters of these slots.

        Raises:
            IndexError: a slot is not in the stack.
            ValueError: one is not in memory.
        """
        for slot in slots:
            self._check_slot(slot)
        rows: list[int] = self.row_of[list(slots)].tolist()
        if -1 in rows:
            raise ValueError(f"slot {slots[rows.index(-1)]} is not in memory: bring it first")
        return rows

    def bring(self, slots: Sequence[int]) -> None:
        """Have these slots in memory at the same time, whoever has to leave it for them."""
        if self.pager is not None:
            self.pager.bring(slots)

    def initialize(self, seed: int, init_noise: float = 0.0) -> None:
        """Give every slot in memory a fresh adapter, as `reset` does, from seeds of its own."""
        for slot in range(self.rows):
            self.reset(slot, seed, init_noise)

    @torch.no_grad()
    def reset(self, slot: int, seed: int, init_noise: float = 0.0) -> None:
        """Make one slot a founder: A uniform in ±1/sqrt(in), B zero or normal.

        A's bound is LoRA's Kaiming initialisation with a = sqrt(5); `init_noise` is the standard
        deviation of B. The draws depend only on (seed, slot, layer name), on any device.
        """
        self.set(slot, self.founder(slot, seed, init_noise))

    def founder(self, slot: int, seed: int, init_noise: float = 0.0) -> dict[str, Factors]:
        """Return the adapter that `reset` gives a slot, on the CPU."""
        factors = {}
        for name, shape in self.layers.items():
            rng = torch_rng(seed, "adapter", slot, name)
            bound = 1.0 / math.sqrt(shape.inputs)
            a = torch.empty(self.rank, shape.inputs).uniform_(-bound, bound, generator=rng)
            b = torch.zeros(shape.outputs, self.rank)
            if init_noise > 0:
                b.normal_(0.0, init_noise, generator=rng)
            factors[name] = Factors(a, b)
        return factors

    def get(self, slot: int) -> dict[str, Factors]:
        """Return copies of one slot's factors, by layer, wherever they lie."""
        self._check_slot(slot)
        if self.pager is not None and self.row_of[slot] < 0:
            return self.pager.read(slot)
        (row,) = self.rows_of([slot])
        return {
            name: Factors(self.A[name][row].detach().clone(), self.B[name][row].detach().clone())
            for name in self.layers
        }

    @torch.no_grad()
    def set(self, slot: int, factors: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Overwrite one slot. Nothing is written unless everything fits.

        Raises:
            ValueError: layers or shapes differ from the stack's.
        """
        self._check_slot(slot)
        if factors.keys() != self.layers.keys():
            wrong = sorted(factors.keys() ^ self.layers.keys())
            raise ValueError(f"adapter and stack differ in layers: {', '.join(wrong[:4])}")
        for name, (a, b) in factors.items():
            if a.shape != self.A[name].shape[1:] or b.shape != self.B[name].shape[1:]:
                raise ValueError(
                    f"{name}: A {tuple(a.shape)}, B {tuple(b.shape)} do not fit A "
                    f"{tuple(self.A[name].shape[1:])}, B {tuple(self.B[name].shape[1:])}"
                )
        self.bring([slot])
        self.set_row(self.rows_of([slot])[0], factors)

    @torch.no_grad()
    def set_row(self, row: int, factors: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Overwrite one row with factors that fit."""
        for name, (a, b) in factors.items():
            self.A[name][row].copy_(a)
            self.B[name][row].copy_(b)

    def take(self, slots: Sequence[int], other: "AdapterStack") -> None:
        """Copy some slots from another stack; nothing to do if that is this one."""
        if other is not self:
            for slot in slots:
                self.set(slot, other.get(slot))

    def state_dict(self, slots: int | None = None) -> dict[str, Tensor]:
        """Return detached views of the first `slots` (None: all) of all stacked tensors by name,
        ready for safetensors; of a stack that has all slots in memory."""
        return {name: tensor.detach()[:slots] for name, tensor in self.parameters().items()}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor], slots: int | None = None) -> None:
        """Restore what `state_dict` gave, for as many slots.

        Raises:
            ConfigError: the checkpoint belongs to another base, rank or population size.
        """
        parameters = self.parameters()
        if state.keys() != parameters.keys():
            wrong = sorted(state.keys() ^ parameters.keys())
            raise ConfigError(
                f"the adapters in the checkpoint are of other layers ({', '.join(wrong[:4])}); "
                "use the base and policy.targets that the run was made with"
            )
        for name, tensor in parameters.items():
            if state[name].shape != tensor[:slots].shape:
                raise ConfigError(
                    f"{name} is {tuple(state[name].shape)} in the checkpoint and "
                    f"{tuple(tensor[:slots].shape)} here; use the rank and population of the run"
                )
        for name, tensor in parameters.items():
            tensor[:slots].copy_(state[name])
