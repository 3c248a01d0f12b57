"""Adapters to vary, and dense references to hold the children against."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from redqueen import registry
from redqueen.config.component import build_component
from redqueen.evolution import frames
from redqueen.evolution.operators.base import Mutation

MUTATIONS = tuple(registry.COMPONENTS["mutation"])
CROSSOVERS = tuple(registry.COMPONENTS["crossover"])
OPERATORS = MUTATIONS + CROSSOVERS
ROUTES = ("qr", "gram")
SHAPES = ((10, 12), (12, 10), (10, 12))

Adapter = dict[str, tuple[torch.Tensor, torch.Tensor]]


@contextmanager
def on_route(route: str) -> Iterator[None]:
    """Send every layer that can take the Gram route over it, or none."""
    usual = frames.GRAM_FROM
    frames.GRAM_FROM = 0 if route == "gram" else 1 << 40
    try:
        yield
    finally:
        frames.GRAM_FROM = usual


def adapter(
    seed: int,
    shapes: Sequence[tuple[int, int]] = SHAPES,
    rank: int = 3,
    dtype: torch.dtype = torch.float32,
) -> Adapter:
    """A trained-looking adapter; shapes are (in, out)."""
    g = torch.Generator().manual_seed(seed)
    return {
        f"model.layers.{i}.proj": (
            (torch.randn(rank, n, generator=g) / n**0.5).to(dtype),
            torch.randn(m, rank, generator=g).to(dtype),
        )
        for i, (n, m) in enumerate(shapes)
    }


def untrained(adapter: Adapter) -> Adapter:
    return {name: (A, torch.zeros_like(B)) for name, (A, B) in adapter.items()}


def of_rank(adapter: Adapter, rank: int) -> Adapter:
    """The same with the last columns of B at zero, so that the update has this rank."""
    return {
        name: (A, torch.cat([B[:, :rank], torch.zeros_like(B[:, rank:])], dim=1))
        for name, (A, B) in adapter.items()
    }


def apply(name: str, parents: list, seed: int = 0, route: str = "qr", **keys: float) -> Adapter:
    """The child that an operator with these keys makes; a mutation takes the first parent."""
    kind = "mutation" if name in MUTATIONS else "crossover"
    operator = build_component(kind, {"type": name, **keys})
    generator = torch.Generator().manual_seed(seed)
    with on_route(route):
        if isinstance(operator, Mutation):
            return operator.mutate(parents[0], generator)
        return operator.cross(*parents, generator)


def delta(adapter: Adapter, name: str) -> np.ndarray:
    A, B = adapter[name]
    return (B.double() @ A.double()).numpy()


def truncated(dense: np.ndarray, rank: int) -> np.ndarray:
    """Best approximation of this rank."""
    U, S, Vh = np.linalg.svd(dense, full_matrices=False)
    return U[:, :rank] * S[:rank] @ Vh[:rank]


def assert_same_update(one: Adapter, other: Adapter, atol: float = 2e-5) -> None:
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(delta(one, name), delta(other, name), atol=atol)
