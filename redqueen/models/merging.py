"""Adapters that become part of a model, and several adapters that become one."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from redqueen.errors import ConfigError, InfrastructureError
from redqueen.models.adapters import Factors
from redqueen.models.loading import Base


@torch.no_grad()
def merged_weights(
    model: nn.Module, factors: Mapping[str, Factors], alpha: float
) -> dict[str, Tensor]:
    """Return the model's state with W + (alpha / rank) B A in place of each adapted W.

    Every tensor is a copy; tied weights stay one tensor.
    """
    copies: dict[tuple[int, torch.Size], Tensor] = {}
    state: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        key = tensor.data_ptr(), tensor.shape
        state[name] = copies.setdefault(key, tensor.to("cpu", copy=True).contiguous())
    for name, (a, b) in factors.items():
        update = (alpha / len(a)) * (b.float() @ a.float()).cpu()
        weight = state[f"{name}.weight"]
        if not weight.is_floating_point():
            raise ConfigError(f"{name} is quantised: an adapter cannot be merged into it")
        if isinstance(model.get_submodule(name), Conv1D):
            update = update.T
        weight.copy_(weight.float() + update)
    return state


def write_merged(base: Base, factors: Mapping[str, Factors], alpha: float, directory: Path) -> None:
    """Write base + adapter, with the tokenizer, as plain transformers load it.

    Raises:
        ConfigError: the base is quantised.
        InfrastructureError: the files cannot be written.
    """
    model, state = base.model, merged_weights(base.model, factors, alpha)
    try:
        directory.mkdir(parents=True, exist_ok=True)  # the library only logs that it cannot
        model.save_pretrained(directory, state_dict=state)  # type: ignore[operator]
        base.tokenizer.save_pretrained(directory)
    except (OSError, SafetensorError) as error:
        raise InfrastructureError(f"cannot write the model to {directory}: {error}") from None


def summed(
    adapters: Sequence[Mapping[str, Factors]], alpha: float
) -> tuple[dict[str, Factors], float]:
    """Return factors and alpha of the exact average of updates, of the sum of their ranks.

    With A the rows and B the columns of all adapters side by side, (1 / n) Σ (alpha / r) Bᵢ Aᵢ =
    (n alpha / n r) (B / n) A.
    """
    count = len(adapters)
    average = {
        name: Factors(
            torch.cat([factors[name].A for factors in adapters], 0),
            torch.cat([factors[name].B for factors in adapters], 1) / count,
        )
        for name in adapters[0]
    }
    return average, alpha * count
