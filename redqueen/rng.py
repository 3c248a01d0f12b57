"""Derived seeds: every random draw names the run seed, step, phase and member it belongs to.

A seed is never shared between two uses. Deriving it from names instead of drawing it from a
stream is what lets a run that was killed and resumed repeat the run that was never killed.
"""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # torch takes seconds to import, and reports do without it
    import torch


def derive_seed(*parts: int | str) -> int:
    """Hash `parts` (for instance run seed, step, phase, member) to a seed in [0, 2**63)."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def numpy_rng(*parts: int | str) -> np.random.Generator:
    """A numpy generator seeded by `derive_seed(*parts)`."""
    return np.random.default_rng(derive_seed(*parts))


def torch_rng(*parts: int | str, device: "torch.device | str" = "cpu") -> "torch.Generator":
    """A torch generator on `device` seeded by `derive_seed(*parts)`."""
    import torch

    return torch.Generator(device=device).manual_seed(derive_seed(*parts))
