"""Gradient checkpointing (arXiv 1604.06174): layers keep their input and are computed again."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from redqueen.models.routing import Route


def recomputed(function: Callable[..., Any], *inputs: Any) -> Any:
    """Return `function(*inputs)`, which the backward pass computes again."""
    return checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False)


@contextmanager
def recomputed_layers(
    model: nn.Module, route: Route, again: Callable[[], AbstractContextManager[None]]
) -> Iterator[None]:
    """Inside the block, forward passes of a library model with gradients use `recomputed`.

    The backward pass computes a layer again inside a fresh `again()`, which must restore what the
    forward pass found. The library does so in training mode alone, so the layers, and nothing
    inside them, are put into it: no dropout is switched on.
    """

    def run(function: Callable[..., Any], *inputs: Any) -> Any:
        def inside(*inputs: Any) -> Any:
            with again():
                return function(*inputs)

        return recomputed(inside, *inputs)

    layers: list[Any] = []
    if torch.is_grad_enabled():
        layers = [item for item in model.modules() if isinstance(item, GradientCheckpointingLayer)]
    for name, shape in route.adapters.layers.items() if layers else ():
        route.prepare((name,), (shape.outputs,), next(model.parameters()).dtype)
    for layer in layers:
        layer.gradient_checkpointing = layer.training = True
        layer._gradient_checkpointing_func = run
    try:
        yield
    finally:
        for layer in layers:
            layer.gradient_checkpointing = layer.training = False
            del layer._gradient_checkpointing_func


def plainly(function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """Return `function(*inputs)`, differentiated as usual: what `recomputed` stands in for."""
    return function(*inputs)
