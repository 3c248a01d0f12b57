"""Which layers of a model carry adapters."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from transformers.conversion_mapping import get_checkpoint_conversion_mapping
from transformers.pytorch_utils import Conv1D

from redqueen.errors import ConfigError
from redqueen.models.adapters import LayerShape

ALL_LINEAR = "all-linear"
_EXPERTS: Mapping[str, frozenset[str]] = {
    "mixtral": frozenset({"gate", "w1", "w2", "w3"}),
    "qwen2_moe": frozenset({"gate", "gate_proj", "up_proj", "down_proj"}),
}
"""Mixtures whose checkpoints have a layer for each expert, which the library keeps in one tensor:
PEFT takes an adapter of any layer of these names, also outside the experts, for that tensor's."""
_STATE_SPACE = frozenset({"falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h"})
"""Kinds of models of which PEFT refuses these layers."""
_STATE_SPACE_LAYERS = frozenset({"conv1d", "out_proj"})


def layer_shape(module: nn.Module) -> LayerShape | None:
    """Sizes of a linear layer (nn.Linear and its quantised kin, GPT-2's Conv1D), else None."""
    if isinstance(module, nn.Linear):
        return LayerShape(module.in_features, module.out_features)
    if isinstance(module, Conv1D):
        return LayerShape(module.weight.shape[0], module.weight.shape[1])
    return None


def _unreadable(model: nn.Module) -> frozenset[str]:
    """Return the last parts of the names of layers whose adapters PEFT would not read as such."""
    kind = str(getattr(getattr(model, "config", None), "model_type", ""))
    names = _STATE_SPACE_LAYERS if kind in _STATE_SPACE else frozenset()
    sources = _merged_weights(kind)
    for family, layers in _EXPERTS.items():
        if sources and sources == _merged_weights(family):
            names |= layers
    return names


def _merged_weights(kind: str) -> list[list[str]]:
    """Return the weights of a checkpoint that become one in a model of this kind."""
    changes = get_checkpoint_conversion_mapping(kind) or []
    return [list(c.source_patterns) for c in changes if getattr(c, "operations", None)]


def find_targets(model: nn.Module, targets: Sequence[str] | str) -> dict[str, nn.Module]:
    """The layers that carry adapters, by module name, in model order.

    `targets` is "all-linear" (every linear layer but the output head, and but those that PEFT would
    not read) or name suffixes. Those that begin with "-" are left out of the others, or of all.

    Raises:
        ConfigError: a suffix matches no linear layer, or one that PEFT would not read; or nothing
            is left.
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
    unreadable = _unreadable(model)
    chosen = {}
    for name, module in linear.items():
        named = any(_matches(name, suffix) for suffix in asked)
        if any(_matches(name, suffix) for suffix in left_out) or not (named or ALL_LINEAR in asked):
            continue
        if name.rsplit(".", 1)[-1] not in unreadable:
            chosen[name] = module
        elif named:
            raise ConfigError(
                f"policy.targets: in this kind of base PEFT would not read an adapter of {name} as "
                "one; leave it out"
            )
    if not chosen:
        raise ConfigError("policy.targets: the base has no linear layer to adapt")
    return chosen


@torch.no_grad()
def reached_by_text(model: nn.Module, layers: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """Return those of the layers that reading text calls, in order.

    A layer counts as called if one of the same place in another block is: few experts of a mixture
    are called by a short text. What is left out belongs to other inputs, images for instance, or
    is read by the model in another way than calling it, or returns something else than a product,
    as the routers of some mixtures do.
    """
    called: set[str] = set()

    def seen(name: str, shape: LayerShape | None, out: object) -> None:
        if isinstance(out, Tensor) and shape is not None and out.shape[-1] == shape.outputs:
            called.add(_place(name))

    hooks = [
        module.register_forward_hook(
            lambda module, _, out, name=name: seen(name, layer_shape(module), out)
        )
        for name, module in layers.items()
    ]
    try:
        device = next(model.parameters()).device
        size = model.get_input_embeddings().weight.shape[0]  # type: ignore[operator]
        ids_T = torch.arange(1, 9, device=device) % size
        model(input_ids=ids_T[None], use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: module for name, module in layers.items() if _place(name) in called}


def _place(name: str) -> str:
    """Return a layer's name without the numbers of blocks and experts."""
    return ".".join("#" if part.isdigit() else part for part in name.split("."))


def _matches(name: str, suffix: str) -> bool:
    return name == suffix or name.endswith("." + suffix)
