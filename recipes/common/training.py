"""What the recipes of both seedlings share: model, optimizers, loss, checkpoints, the loop."""

import argparse
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from redqueen.models.precision import multiplies_bfloat16
from redqueen.rng import derive_seed

Shape = Mapping[str, int | float | bool | str]
"""Keys of a model's config.json."""

SHARD_BYTES = 12 * 2**20
Optimizers = tuple[torch.optim.Optimizer, ...]


@dataclass(frozen=True)
class Batch:
    """Right-padded ids `[B, T]` and the loss weight of each id."""

    ids_BT: torch.Tensor
    weight_BT: torch.Tensor


def build_model(tokenizer: PreTrainedTokenizerFast, shape: Shape) -> LlamaForCausalLM:
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


Row = tuple[list[int], list[float]]
"""Ids of a document and the weight of each one's loss."""


def into_batches(rows: list[Row], batch_tokens: int, rng: Random) -> list[list[Row]]:
    """Rows of like length together, `batch_tokens` at most with padding, in random order."""
    rows = sorted(rows, key=lambda row: len(row[0]))
    batches: list[list[Row]] = [[]]
    for row in rows:
        if (len(batches[-1]) + 1) * len(row[0]) > batch_tokens:
            batches.append([])
        batches[-1].append(row)
    rng.shuffle(batches)
    return batches


def collate(rows: list[Row], pad: int, device: str) -> Batch:
    """Pad to a multiple of 16; padding weighs nothing."""
    width = -(-max(len(ids) for ids, _ in rows) // 16) * 16
    ids_BT = torch.full((len(rows), width), pad)
    weight_BT = torch.zeros(len(rows), width)
    for index, (ids, weights) in enumerate(rows):
        ids_BT[index, : len(ids)] = torch.tensor(ids)
        weight_BT[index, : len(ids)] = torch.tensor(weights)
    return Batch(ids_BT.to(device), weight_BT.to(device))


class Pretraining:
    """A resumable training: model, optimizers, counters and the loop. A recipe says what it reads.

    SIGTERM saves and ends a piece; so do `args.minutes`.
    """

    shape: Shape
    momentum_dtype = torch.float32
    """How a checkpoint keeps Muon's momentum."""
    save_chunks = 1
    """Chunks of the corpus between two checkpoints."""

    def __init__(self, args: argparse.Namespace, tokenizer: PreTrainedTokenizerFast):
        self.args = args
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.tokenizer = tokenizer
        torch.manual_seed(derive_seed(args.seed, "init"))
        self.model = build_model(tokenizer, self.shape).to(self.device)
        self.optimizers = build_optimizers(self.model, args.lr)
        self.state: dict[str, Any] = {
            "tokens": 0, "documents": 0, "chunk": 0, "seconds": 0.0, "step": 0,
        }  # fmt: skip
        self.forward = torch.compile(self.model, dynamic=True) if args.compile else self.model
        self.stopped = False

    def chunk_maker(self) -> Callable[[int], list[list[Row]]]:
        """Return what makes chunk `index` of the corpus, in training order; it is pickled."""
        raise NotImplementedError

    def rate(self) -> float:
        """Return the learning rate of the next step."""
        raise NotImplementedError

    def finished(self) -> bool:
        """Return whether the budget is used up."""
        return bool(self.state["tokens"] >= self.args.tokens)

    def begin(self) -> None:
        """Fill the model before its first step; by default it stays random."""

    def restore(self, *starts: Path) -> None:
        """Take up the newest checkpoint of `args.out`, else of `starts`, else begin.

        Raises:
            SystemExit: `starts` are given, and have none.
        """
        folder = find_checkpoint(self.args.out, *starts)
        if folder is not None:
            self.state = json.loads(load_checkpoint(folder, self.model, self.optimizers))
        elif starts:
            raise SystemExit(f"there is no checkpoint in {', '.join(map(str, starts))}")
        else:
            self.begin()

    def save(self) -> None:
        """Write the checkpoint."""
        text = json.dumps(self.state)
        save_checkpoint(self.args.out, self.model, self.optimizers, text, self.momentum_dtype)

    def train_step(self, batch: Batch) -> float:
        """One update; returns the weighted loss."""
        half = multiplies_bfloat16(torch.device(self.device))
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=half):
            logits = self.forward(input_ids=batch.ids_BT, use_cache=False).logits
        loss = weighted_loss(logits, batch)
        torch.autograd.backward(loss)
        step_optimizers(self.model, self.optimizers, self.rate())
        return loss.item()

    def stream(self) -> Generator[tuple[int, list[Row]], None, None]:
        """Batches from the current chunk on; another process makes the next chunk meanwhile."""
        with ProcessPoolExecutor(1) as pool:
            index = self.state["chunk"]
            ahead = pool.submit(self.chunk_maker(), index)
            while True:
                chunk = ahead.result()
                ahead = pool.submit(self.chunk_maker(), index + 1)
                for rows in chunk:
                    yield index, rows
                index += 1

    def run(self) -> None:
        """Train until the budget or the piece's minutes are used up; then export."""
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "stopped", True))
        begun, before = time.time(), self.state["seconds"]
        losses: list[float] = []
        mark = (begun, self.state["tokens"])
        source = self.stream()
        for chunk, rows in source:
            if chunk > self.state["chunk"]:
                self.state["chunk"] = chunk
                self.state["seconds"] = before + time.time() - begun
                ends = self.finished() or time.time() - begun > 60 * self.args.minutes
                if ends or chunk % self.save_chunks == 0:
                    self.save()
                if ends:
                    break
            if self.stopped:  # the chunk that was begun is begun again by the next piece
                self.save()
                break
            batch = collate(rows, self.tokenizer.pad_token_id, self.device)
            losses.append(self.train_step(batch))
            self.state["step"] += 1
            self.state["documents"] += len(rows)
            self.state["tokens"] += sum(len(ids) for ids, _ in rows)
            if self.state["step"] % 25 == 0:
                now = time.time()
                speed = (self.state["tokens"] - mark[1]) / (now - mark[0])
                mark = (now, self.state["tokens"])
                print(
                    f"step {self.state['step']:5d}  {self.state['tokens'] / 1e6:7.2f} M tokens"
                    f"  loss {sum(losses) / len(losses):.4f}  {speed:,.0f} tokens/s",
                    flush=True,
                )
                losses.clear()
        source.close()
        export_model(self.model, self.tokenizer, self.args.out / "model")


def arguments(description: str | None, **defaults: Any) -> argparse.ArgumentParser:
    """The command line that every recipe has; `defaults` are its own."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--tokens", type=int)
    parser.add_argument("--batch-tokens", type=int)
    parser.add_argument("--lr", type=float)
    parser.add_argument("--minutes", type=float, default=1e9, help="end this piece after these")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--compile", action="store_true")
    parser.set_defaults(**defaults)
    return parser
