"""Which layers of a model carry adapters."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from redqueen.errors import ConfigError
from redqueen.models.adapters import LayerShape

ALL_LINEAR = "all-linear"


def layer_shape(module: nn.Module) -> LayerShape | None:
    """Sizes of a linear layer (nn.Linear and its quantised kin, GPT-2's Conv1D), else None."""
    if isinstance(module, nn.Linear):
        return LayerShape(module.in_features, module.out_features)
    if isinstance(module, Conv1D):
        return LayerShape(module.weight.shape[0], module.weight.shape[1])
    return None


def find_targets(model: nn.Module, targets: Sequence[str] | str) -> dict[str, nn.Module]:
    """The layers that carry adapters, by module name, in model order.

    `targets` is "all-linear" (every linear layer but the output head) or name suffixes. Those that
    begin with "-" are left out of the others, or of all.

    Raises:
        ConfigError: a suffix matches no linear layer, or nothing is left.
    """
    head = model.get_output_embeddings()  # type: ignore[operator]
    linear = {
        name: module
        for name, module in model.named_modules()
        if module is not head and layer_shape(module) is not None
    }
    suffixes = (targets,) if isinstance(targets, str) else tuple(targets)
    for suffix in suffixes:
        name = suffix.removeprefix("-")
        if name != ALL_LINEAR and not any(_matches(layer, name) for layer in linear):
            present = sorted({layer.rsplit(".", 1)[-1] for layer in linear})
            raise ConfigError(
                f"policy.targets: no linear layer is called {name!r}; "
                f"this base has {', '.join(present) or 'none'}"
            )
    asked = [suffix for suffix in suffixes if not suffix.startswith("-")] or [ALL_LINEAR]
    left_out = [suffix[1:] for suffix in suffixes if suffix.startswith("-")]
    chosen = {
        name: module
        for name, module in linear.items()
        if any(suffix == ALL_LINEAR or _matches(name, suffix) for suffix in asked)
        and not any(_matches(name, suffix) for suffix in left_out)
    }
    if not chosen:
        raise ConfigError("policy.targets: the base has no linear layer to adapt")
    return chosen


@torch.no_grad()
def reached_by_text(model: nn.Module, layers: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """Return those of the layers that reading text calls, in order.

    A layer counts as called if one of the same place in another block is: few experts of a mixture
    are called by a short text. What is left out belongs to other inputs, images for instance, or
    is read by the model in another way than calling it.
    """
    called: set[str] = set()
    hooks = [
        module.register_forward_hook(lambda *_, name=name: called.add(_place(name)))
        for name, module in layers.items()
    ]
    try:
        device = next(model.parameters()).device
        model(input_ids=torch.arange(1, 9, device=device)[None], use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: module for name, module in layers.items() if _place(name) in called}


def _place(name: str) -> str:
    """Return a layer's name without the numbers of blocks and experts."""
    return ".".join("#" if part.isdigit() else part for part in name.split("."))


def _matches(name: str, suffix: str) -> bool:
    return name == suffix or name.endswith("." + suffix)
