"""The adapters of all members, stacked: one A and one B for each layer, slot first.

An adapter adds (alpha / rank) B A to a frozen linear layer's weight (LoRA, arXiv 2106.09685,
section 4.1).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

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


class AdapterStack:
    """Trainable float32 factors of `slots` adapters on every layer of `layers`.

    `A[name]` is [slots, rank, in], `B[name]` is [slots, out, rank]; both are leaf tensors with
    `requires_grad`. Everything that writes does so in place, so references stay valid.
    """

    def __init__(
        self,
        layers: Mapping[str, LayerShape],
        slots: int,
        rank: int,
        alpha: float,
        device: torch.device | str = "cpu",
    ) -> None:
        if slots < 1:
            raise ValueError(f"slots must be at least 1, not {slots}")
        self.layers = dict(layers)
        self.slots = slots
        self.rank = rank
        self.alpha = alpha
        self.A: dict[str, Tensor] = {}
        self.B: dict[str, Tensor] = {}
        for name, shape in self.layers.items():
            self.A[name] = torch.zeros(slots, rank, shape.inputs, device=device)
            self.B[name] = torch.zeros(slots, shape.outputs, rank, device=device)
            self.A[name].requires_grad_(True)
            self.B[name].requires_grad_(True)

    @property
    def scaling(self) -> float:
        """The factor alpha / rank on B A."""
        return self.alpha / self.rank

    @property
    def num_parameters(self) -> int:
        """Parameters of one adapter."""
        return sum(self.rank * (s.inputs + s.outputs) for s in self.layers.values())

    def share_memory(self) -> None:
        """Move all factors to memory that processes that are given them share."""
        for tensor in self.parameters().values():
            tensor.share_memory_()  # type: ignore[no-untyped-call]

    def adopt(self, state: Mapping[str, Tensor]) -> None:
        """Use the very tensors that `state_dict` of such a stack gave, in whatever process."""
        for name in self.layers:
            self.A[name] = state[f"{name}.A"].detach().requires_grad_(True)
            self.B[name] = state[f"{name}.B"].detach().requires_grad_(True)

    def parameters(self) -> dict[str, Tensor]:
        """The stacked leaf tensors by name, `<layer>.A` and `<layer>.B`, in model order."""
        named = {}
        for name in self.layers:
            named[f"{name}.A"] = self.A[name]
            named[f"{name}.B"] = self.B[name]
        return named

    def _check_slot(self, slot: int) -> None:
        if not 0 <= slot < self.slots:
            raise IndexError(f"slot {slot} is not in 0..{self.slots - 1}")

    def initialize(self, seed: int, init_noise: float = 0.0) -> None:
        """Give every slot a fresh adapter, as `reset` does, from seeds of its own."""
        for slot in range(self.slots):
            self.reset(slot, seed, init_noise)

    @torch.no_grad()
    def reset(self, slot: int, seed: int, init_noise: float = 0.0) -> None:
        """Make one slot a founder: A uniform in ±1/sqrt(in), B zero or normal.

        A's bound is LoRA's Kaiming initialisation with a = sqrt(5); `init_noise` is the standard
        deviation of B. The draws depend only on (seed, slot, layer name), on any device.
        """
        self._check_slot(slot)
        for name, shape in self.layers.items():
            rng = torch_rng(seed, "adapter", slot, name)
            bound = 1.0 / math.sqrt(shape.inputs)
            a = torch.empty(self.rank, shape.inputs).uniform_(-bound, bound, generator=rng)
            self.A[name][slot].copy_(a)
            if init_noise > 0:
                b = torch.empty(shape.outputs, self.rank).normal_(0.0, init_noise, generator=rng)
                self.B[name][slot].copy_(b)
            else:
                self.B[name][slot].zero_()

    def get(self, slot: int) -> dict[str, Factors]:
        """Copies of one slot's factors, by layer."""
        self._check_slot(slot)
        return {
            name: Factors(self.A[name][slot].detach().clone(), self.B[name][slot].detach().clone())
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
        for name, (a, b) in factors.items():
            self.A[name][slot].copy_(a)
            self.B[name][slot].copy_(b)

    def state_dict(self) -> dict[str, Tensor]:
        """Detached views of all stacked tensors by name, ready for safetensors."""
        return {name: tensor.detach() for name, tensor in self.parameters().items()}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state_dict` gave.

        Raises:
            ConfigError: the checkpoint belongs to another base, rank or population size.
        """
        own = self.parameters()
        if state.keys() != own.keys():
            wrong = sorted(state.keys() ^ own.keys())
            raise ConfigError(
                f"the adapters in the checkpoint are of other layers ({', '.join(wrong[:4])}); "
                "use the base and policy.targets that the run was made with"
            )
        for name, tensor in own.items():
            if state[name].shape != tensor.shape:
                raise ConfigError(
                    f"{name} is {tuple(state[name].shape)} in the checkpoint and "
                    f"{tuple(tensor.shape)} here; use the rank and population of the run"
                )
        for name, tensor in own.items():
            tensor.copy_(state[name])
