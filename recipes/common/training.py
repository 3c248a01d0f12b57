"""What the recipes of both seedlings share: the model, its optimizers, the loss, checkpoints."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SHARD_BYTES = 12 * 2**20
Optimizers = tuple[torch.optim.Optimizer, ...]


@dataclass(frozen=True)
class Batch:
    """Right-padded ids `[B, T]` and the loss weight of each id."""

    ids_BT: torch.Tensor
    weight_BT: torch.Tensor


def build_model(tokenizer: PreTrainedTokenizerFast, shape: dict[str, Any]) -> LlamaForCausalLM:
    """A fresh model for a tokenizer; attention is written out, which compiles best on a CPU."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **shape,
    )
    config._attn_implementation = "eager"
    return LlamaForCausalLM(config)


def build_optimizers(model: LlamaForCausalLM, lr: float) -> Optimizers:
    """Muon for the matrices of the layers, AdamW for the rest."""
    matrices = [p for p in model.model.layers.parameters() if p.ndim == 2]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    return (
        torch.optim.Muon(matrices, lr=lr, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.98), weight_decay=0.0),
    )


def weighted_loss(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Mean cross-entropy of the next token, each weighted; `logits` is `[B, T, V]`."""
    losses = F.cross_entropy(
        logits[:, :-1].float().flatten(0, 1), batch.ids_BT[:, 1:].flatten(), reduction="none"
    )
    weight = batch.weight_BT[:, 1:].flatten()
    return (losses * weight).sum() / weight.sum()


def step_optimizers(model: LlamaForCausalLM, optimizers: Optimizers, rate: float) -> None:
    """Clip the gradients, update with a learning rate, forget the gradients."""
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def export_model(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the checkpoint that `transformers` loads, in bfloat16."""
    copy = LlamaForCausalLM(model.config)
    copy.load_state_dict(model.state_dict())
    copy.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_sharded(tensors: dict[str, torch.Tensor], directory: Path, stem: str) -> None:
    """Write tensors over several safetensors files, each below 16 MiB."""
    shards: list[dict[str, torch.Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        size += tensor.numel() * tensor.element_size()
        if size > SHARD_BYTES and shards[-1]:
            shards.append({})
            size = tensor.numel() * tensor.element_size()
        shards[-1][name] = tensor.detach().cpu().contiguous()
    for index, shard in enumerate(shards):
        save_file(shard, directory / f"{stem}-{index:03d}.safetensors")


def load_sharded(directory: Path, stem: str) -> dict[str, torch.Tensor]:
    """Read back what `save_sharded` wrote."""
    tensors: dict[str, torch.Tensor] = {}
    for path in sorted(directory.glob(f"{stem}-*.safetensors")):
        tensors.update(load_file(path))
    return tensors


def save_checkpoint(
    out: Path, model: LlamaForCausalLM, optimizers: Optimizers, state: str, muon: torch.dtype
) -> None:
    """Write `out/checkpoint` aside, then rename it. `state` is the text of state.json; `muon` the
    type in which Muon's momentum is kept."""
    aside = out / "checkpoint.new"
    aside.mkdir(parents=True, exist_ok=True)
    for stale in aside.iterdir():
        stale.unlink()
    weights = {k: v for k, v in model.state_dict().items() if k != "lm_head.weight"}
    save_sharded(weights, aside, "model")
    for index, optimizer in enumerate(optimizers):
        flat = {
            f"{key}.{name}": torch.as_tensor(value)
            for key, entry in optimizer.state_dict()["state"].items()
            for name, value in entry.items()
        }
        if index == 0:
            flat = {name: value.to(muon) for name, value in flat.items()}
        save_sharded(flat, aside, f"optimizer{index}")
    (aside / "state.json").write_text(state)
    final, old = out / "checkpoint", out / "checkpoint.old"
    if final.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.replace(final, old)
    os.replace(aside, final)
    shutil.rmtree(old, ignore_errors=True)


def find_checkpoint(*outs: Path) -> Path | None:
    """The first whole checkpoint; `.old` is one whose successor broke off half-way."""
    places = [out / name for out in outs for name in ("checkpoint", "checkpoint.old")]
    return next((place for place in places if (place / "state.json").exists()), None)


def load_checkpoint(folder: Path, model: LlamaForCausalLM, optimizers: Optimizers) -> str:
    """Fill model and optimizers from a checkpoint; returns the text of its state.json."""
    model.load_state_dict(load_sharded(folder, "model"), strict=False)
    for index, optimizer in enumerate(optimizers):
        entries: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in load_sharded(folder, f"optimizer{index}").items():
            number, name = key.split(".", 1)
            entries.setdefault(int(number), {})[name] = value.float()
        whole = optimizer.state_dict()
        whole["state"] = entries
        optimizer.load_state_dict(whole)
    return (folder / "state.json").read_text()
