"""Train the seedling from scratch. Resumable: run it again with the same arguments.

    python -m recipes.seedling.train --out build/seedling --tokens 30000000

The same code runs on a CPU (hours) and on a GPU (minutes). `--minutes` ends a piece early with a
checkpoint whose files stay below 16 MiB each.
"""

import argparse
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from recipes.seedling.corpus import MIXES, documents
from recipes.seedling.tokenizer import build_tokenizer
from redqueen.rng import derive_seed

SHARD_BYTES = 12 * 2**20
CHUNK_DOCUMENTS = 4096
PROMPT_WEIGHT = {"learn": 0.1, "anneal": 0.3, "finish": 0.3}
PROPOSAL_WEIGHT = {"learn": 0.5, "anneal": 1.0, "finish": 1.0}
"""By stage. Programs and proposals are mostly free choice: at first more noise than signal."""

SHAPE = {
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 1024,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
}


@dataclass(frozen=True)
class Batch:
    """Right-padded ids `[B, T]` and the loss weight of each id."""

    ids_BT: torch.Tensor
    weight_BT: torch.Tensor


@dataclass(frozen=True)
class Row:
    """One tokenised document: its ids, the length of its prompt, the loss weights of both parts."""

    ids: list[int]
    prompt: int
    prompt_weight: float
    weight: float


def make_chunk(seed: int, index: int, batch_tokens: int, stage: str) -> list[list[Row]]:
    """Chunk `index` of the corpus as batches of rows, in training order."""
    tokenizer = build_tokenizer()
    rows = []
    source = documents(derive_seed(seed, "corpus", index), MIXES[stage])
    for item in islice(source, CHUNK_DOCUMENTS):
        prompt = tokenizer(item.prompt)["input_ids"]
        ids = prompt + tokenizer(item.completion)["input_ids"] + [tokenizer.eos_token_id]
        weight = PROPOSAL_WEIGHT[stage] if item.kind.startswith("propose") else 1.0
        rows.append(Row(ids, len(prompt), PROMPT_WEIGHT[stage], weight))
    rows.sort(key=lambda row: len(row.ids))
    batches: list[list[Row]] = [[]]
    for row in rows:
        if (len(batches[-1]) + 1) * len(row.ids) > batch_tokens:
            batches.append([])
        batches[-1].append(row)
    Random(derive_seed(seed, "order", index)).shuffle(batches)
    return batches


def collate(rows: list[Row], pad: int, device: str) -> Batch:
    """Pad to a multiple of 16; prompts weigh less, padding nothing."""
    width = math.ceil(max(len(row.ids) for row in rows) / 16) * 16
    ids = torch.full((len(rows), width), pad)
    weight = torch.zeros(len(rows), width)
    for index, row in enumerate(rows):
        ids[index, : len(row.ids)] = torch.tensor(row.ids)
        weight[index, : row.prompt] = row.prompt_weight
        weight[index, row.prompt : len(row.ids)] = row.weight
    return Batch(ids.to(device), weight.to(device))


def stream(
    seed: int, start: int, batch_tokens: int, stage: Callable[[], str]
) -> Iterator[tuple[int, list[Row]]]:
    """Batches from chunk `start` on; the next chunk is made meanwhile, in another process."""
    with ProcessPoolExecutor(1) as pool:
        ahead = pool.submit(make_chunk, seed, start, batch_tokens, stage())
        index = start
        while True:
            chunk = ahead.result()
            ahead = pool.submit(make_chunk, seed, index + 1, batch_tokens, stage())
            for rows in chunk:
                yield index, rows
            index += 1


def schedule(done: float, warmup: float, decay: float) -> float:
    """Warm up, hold, then go down linearly to a twentieth; `done` is the share of the budget."""
    if done < warmup:
        return max(done / warmup, 0.01)
    if done < 1 - decay:
        return 1.0
    return max(0.05, (1 - done) / decay)


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
    found: dict[str, torch.Tensor] = {}
    for path in sorted(directory.glob(f"{stem}-*.safetensors")):
        found.update(load_file(path))
    return found


class Trainer:
    """Model, two optimizers (Muon for matrices, AdamW for the rest) and the counters."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.tokenizer = build_tokenizer()
        torch.manual_seed(derive_seed(args.seed, "init"))
        config = LlamaConfig(
            vocab_size=len(self.tokenizer),
            bos_token_id=None,
            eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=self.tokenizer.pad_token_id,
            **SHAPE,
        )
        config._attn_implementation = "eager"
        self.model = LlamaForCausalLM(config).to(self.device)
        matrices = {n: p for n, p in self.model.model.layers.named_parameters() if p.ndim == 2}
        chosen = {id(p) for p in matrices.values()}
        rest = [p for p in self.model.parameters() if id(p) not in chosen]
        self.optimizers = (
            torch.optim.Muon(
                matrices.values(), lr=args.lr, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"
            ),
            torch.optim.AdamW(rest, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.0),
        )
        self.state = {"tokens": 0, "documents": 0, "chunk": 0, "seconds": 0.0, "step": 0}
        self.forward = torch.compile(self.model, dynamic=True) if args.compile else self.model

    def save(self) -> None:
        """Checkpoint written aside, then renamed."""
        aside = self.args.out / "checkpoint.new"
        aside.mkdir(parents=True, exist_ok=True)
        for stale in aside.iterdir():
            stale.unlink()
        weights = {k: v for k, v in self.model.state_dict().items() if k != "lm_head.weight"}
        save_sharded(weights, aside, "model")
        for index, optimizer in enumerate(self.optimizers):
            flat = {
                f"{key}.{name}": torch.as_tensor(value)
                for key, entry in optimizer.state_dict()["state"].items()
                for name, value in entry.items()
            }
            save_sharded(flat, aside, f"optimizer{index}")
        (aside / "state.json").write_text(json.dumps(self.state))
        final, old = self.args.out / "checkpoint", self.args.out / "checkpoint.old"
        if final.exists():
            shutil.rmtree(old, ignore_errors=True)
            os.replace(final, old)
        os.replace(aside, final)
        shutil.rmtree(old, ignore_errors=True)

    def restore(self) -> None:
        """Take up the checkpoint, if there is one; `.old` if a save broke off half-way."""
        folder = self.args.out / "checkpoint"
        if not folder.exists():
            folder = self.args.out / "checkpoint.old"
        if not (folder / "state.json").exists():
            return
        self.state = json.loads((folder / "state.json").read_text())
        self.model.load_state_dict(load_sharded(folder, "model"), strict=False)
        for index, optimizer in enumerate(self.optimizers):
            state: dict[int, dict[str, torch.Tensor]] = {}
            for key, value in load_sharded(folder, f"optimizer{index}").items():
                number, name = key.split(".", 1)
                state.setdefault(int(number), {})[name] = value
            whole = optimizer.state_dict()
            whole["state"] = state
            optimizer.load_state_dict(whole)

    def export(self) -> None:
        """Write the checkpoint that `transformers` loads, in bfloat16."""
        folder = self.args.out / "model"
        copy = LlamaForCausalLM(self.model.config)
        copy.load_state_dict(self.model.state_dict())
        copy.to(torch.bfloat16).save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def stage(self) -> str:
        """The corpus mix: `learn`, then `anneal` while the learning rate goes down, `finish`."""
        done = self.state["tokens"] / self.args.tokens
        return "learn" if done < 1 - self.args.decay else "anneal" if done < 0.85 else "finish"

    def train_step(self, batch: Batch) -> float:
        """One update; returns the loss over completion and weighted prompt tokens."""
        done = self.state["tokens"] / self.args.tokens
        rate = self.args.lr * schedule(done, self.args.warmup, self.args.decay)
        with torch.autocast(self.device, dtype=torch.bfloat16):
            logits = self.forward(input_ids=batch.ids_BT, use_cache=False).logits
        losses = F.cross_entropy(
            logits[:, :-1].float().flatten(0, 1), batch.ids_BT[:, 1:].flatten(), reduction="none"
        )
        weight = batch.weight_BT[:, 1:].flatten()
        loss = (losses * weight).sum() / weight.sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return loss.item()

    def run(self) -> None:
        """Train until the token budget or the piece's minutes are used up."""
        begun, before = time.time(), self.state["seconds"]
        pad = self.tokenizer.pad_token_id
        losses: list[float] = []
        mark = (begun, self.state["tokens"])
        source = stream(self.args.seed, self.state["chunk"], self.args.batch_tokens, self.stage)
        for chunk, rows in source:
            if chunk > self.state["chunk"]:
                self.state["chunk"] = chunk
                self.state["seconds"] = before + time.time() - begun
                self.save()
                late = time.time() - begun > 60 * self.args.minutes
                if late or self.state["tokens"] >= self.args.tokens:
                    break
            losses.append(self.train_step(collate(rows, pad, self.device)))
            self.state["step"] += 1
            self.state["documents"] += len(rows)
            self.state["tokens"] += sum(len(row.ids) for row in rows)
            if self.state["step"] % 25 == 0:
                now = time.time()
                speed = (self.state["tokens"] - mark[1]) / (now - mark[0])
                mark = (now, self.state["tokens"])
                mean = sum(losses) / len(losses)
                losses.clear()
                print(
                    f"step {self.state['step']:5d}  {self.state['tokens'] / 1e6:7.2f} M tokens"
                    f"  loss {mean:.4f}  {speed:,.0f} tokens/s",
                    flush=True,
                )
        source.close()
        self.export()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/seedling"))
    parser.add_argument("--tokens", type=int, default=13_000_000)
    parser.add_argument("--batch-tokens", type=int, default=8192)
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--warmup", type=float, default=0.02, help="share of the budget")
    parser.add_argument("--decay", type=float, default=0.5, help="share of the budget")
    parser.add_argument("--minutes", type=float, default=1e9, help="end this piece after these")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--compile", action="store_true")
    trainer = Trainer(parser.parse_args())
    trainer.restore()
    trainer.run()


if __name__ == "__main__":
    main()
