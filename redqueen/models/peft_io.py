"""One member's adapter as a PEFT directory, and back.

`adapter_config.json` and `adapter_model.safetensors` are what `PeftModel.from_pretrained` loads.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from redqueen.errors import ConfigError, InfrastructureError
from redqueen.files import write_bytes
from redqueen.models.adapters import AdapterStack, Factors

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
_MOST_ALPHA = 1e30
_PREFIX = "base_model.model."
_HARMLESS = frozenset(
    {
        "peft_type", "task_type", "auto_mapping", "peft_version", "base_model_name_or_path",
        "revision", "inference_mode", "r", "lora_alpha", "lora_dropout", "use_rslora",
        "fan_in_fan_out", "target_modules", "exclude_modules", "layers_to_transform",
        "layers_pattern", "init_lora_weights", "eva_config", "corda_config", "loftq_config",
        "lora_ga_config", "megatron_core", "qalora_group_size", "ensure_weight_tying",
        "runtime_config",
    }
)  # fmt: skip
"""Settings of PEFT that a plain A and B say already, or that concern training alone. Any other,
also of versions to come, may change what an adapter computes."""
_PLAIN_STARTS = ("true", "false", "none", "gaussian", "eva", "orthogonal", "mica")
"""Initialisations that leave the base's weights as they are; others take something out of them."""


def _target_modules(model: nn.Module, layers: Collection[str]) -> list[str]:
    """Short layer names if they mean exactly the adapted layers, else the full ones.

    A short name means any module that is called so: a block may be called 0 as a layer is.
    """
    short = {name.rsplit(".", 1)[-1] for name in layers}
    meant = {name for name, _ in model.named_modules() if name.rsplit(".", 1)[-1] in short}
    return sorted(short) if meant == set(layers) else sorted(layers)


def export_adapter(
    model: nn.Module,
    factors: Mapping[str, Factors],
    alpha: float,
    directory: Path,
    base_name: str,
) -> None:
    """Write an adapter as a PEFT directory (made if absent, files replaced).

    Raises:
        InfrastructureError: the files cannot be written.
    """
    conv = any(isinstance(model.get_submodule(name), Conv1D) for name in factors)
    config: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_name,
        "r": len(next(iter(factors.values())).A),
        "lora_alpha": alpha,
        "target_modules": _target_modules(model, factors),
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": conv,
        "inference_mode": True,
        "init_lora_weights": True,
        "use_rslora": False,
    }
    tensors: dict[str, Tensor] = {}
    for name, (a, b) in factors.items():
        tensors[f"{_PREFIX}{name}.lora_A.weight"] = a.cpu().contiguous()
        tensors[f"{_PREFIX}{name}.lora_B.weight"] = b.cpu().contiguous()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write_bytes(directory / WEIGHTS_FILE, save(tensors, metadata={"format": "pt"}))
        write_bytes(directory / CONFIG_FILE, (json.dumps(config, indent=2) + "\n").encode())
    except OSError as error:
        raise InfrastructureError(f"cannot write the adapter to {directory}: {error}") from None


def _read_config(directory: Path) -> dict[str, Any]:
    path = directory / CONFIG_FILE
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{directory} has no {CONFIG_FILE}; give a PEFT adapter") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not readable: {error}") from None
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise ConfigError(f"{path} does not describe a LoRA adapter (peft_type LORA)")
    start = str(config.get("init_lora_weights"))
    if start.lower() not in _PLAIN_STARTS:
        raise ConfigError(
            f"{path} began as {start}, which changed the base as well, so it does not fit the base "
            "itself; convert it to a plain LoRA with PEFT: save_pretrained(PLACE, "
            "path_initial_model_for_weight_conversion = the adapter as it was before training)"
        )
    used = sorted(key for key in config.keys() - _HARMLESS - {"bias"} if config[key])
    if config.get("bias", "none") != "none":
        used.append("bias")
    if used:
        raise ConfigError(f"{path} uses {', '.join(used)}; only plain LoRA can be imported")
    return config


def _scaling(config: dict[str, Any], rank: int, path: Path) -> float:
    """The factor on B A that PEFT uses for this adapter."""
    alpha = config.get("lora_alpha")
    if type(config.get("r")) is not int or config["r"] != rank:
        raise ConfigError(
            f"{path} has rank {config.get('r')!r}, the population rank {rank}; set policy.rank"
        )
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not 0 < alpha < _MOST_ALPHA:
        raise ConfigError(
            f"{path}: lora_alpha = {repr(alpha)[:30]} is not a positive number to divide by a rank"
        )
    if not isinstance(config.get("use_rslora", False), bool):
        raise ConfigError(
            f"{path}: use_rslora = {config['use_rslora']!r} is neither true nor false"
        )
    return float(alpha) / (rank**0.5 if config.get("use_rslora") else rank)


def _read_weights(directory: Path) -> dict[str, Tensor]:
    path = directory / WEIGHTS_FILE
    if not path.is_file():
        raise ConfigError(
            f"{directory} has no {WEIGHTS_FILE}; other formats may carry code and are not read"
        )
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"{path} is not a readable safetensors file: {error}") from None


def import_adapter(adapters: AdapterStack, slot: int, directory: Path) -> str:
    """Read a PEFT LoRA directory into `slot`; return the name of the base that it was made for.

    A different alpha is folded into B, so that the adapter computes what it did. Nothing is
    written unless everything fits.

    Raises:
        ConfigError: not a plain LoRA, or its rank, layers or shapes differ from the stack's.
    """
    config = _read_config(directory)
    scaling = _scaling(config, adapters.rank, directory / CONFIG_FILE)
    weights = _read_weights(directory)
    expected = {f"{_PREFIX}{n}.lora_{f}.weight" for n in adapters.layers for f in "AB"}
    missing, extra = sorted(expected - weights.keys()), sorted(weights.keys() - expected)
    if missing or extra:
        which, names = ("lacks", missing) if missing else ("also has", extra)
        raise ConfigError(
            f"{directory} {which} {names[0].removeprefix(_PREFIX)} ({len(missing)} missing, "
            f"{len(extra)} unknown); its base or target layers differ from policy.targets"
        )
    scale = scaling / adapters.scaling
    factors: dict[str, Factors] = {}
    for name in adapters.layers:
        a, b = (weights[f"{_PREFIX}{name}.lora_{factor}.weight"] for factor in "AB")
        if not (a.is_floating_point() and b.is_floating_point()):
            raise ConfigError(f"{directory}: {name} holds whole numbers; dequantise the adapter")
        a, b = a.float(), b.float() * scale
        if not (torch.isfinite(a).all() and torch.isfinite(b).all()):
            raise ConfigError(f"{directory}: {name} holds values that are not finite")
        factors[name] = Factors(a, b)
    try:
        adapters.set(slot, factors)
    except ValueError as error:
        raise ConfigError(f"{directory} does not fit the base: {error}") from None
    return str(config.get("base_model_name_or_path") or "")
