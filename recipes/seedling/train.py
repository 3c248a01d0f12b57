"""Train the seedling from scratch. Resumable: run it again with the same arguments.

    python -m recipes.seedling.train --out build/seedling --tokens 30000000

The same code runs on a CPU (hours) and on a GPU (minutes). `--minutes` ends a piece early with a
checkpoint whose files stay below 16 MiB each.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random

import torch

from recipes.common.training import (
    Batch,
    build_model,
    build_optimizers,
    export_model,
    find_checkpoint,
    load_checkpoint,
    save_checkpoint,
    step_optimizers,
    weighted_loss,
)
from recipes.seedling.corpus import MIXES, documents
from recipes.seedling.tokenizer import build_tokenizer
from redqueen.rng import derive_seed

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


class Trainer:
    """Model, two optimizers (Muon for matrices, AdamW for the rest) and the counters."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.tokenizer = build_tokenizer()
        torch.manual_seed(derive_seed(args.seed, "init"))
        self.model = build_model(self.tokenizer, SHAPE).to(self.device)
        self.optimizers = build_optimizers(self.model, args.lr)
        self.state = {"tokens": 0, "documents": 0, "chunk": 0, "seconds": 0.0, "step": 0}
        self.forward = torch.compile(self.model, dynamic=True) if args.compile else self.model

    def save(self) -> None:
        """Write the checkpoint."""
        text = json.dumps(self.state)
        save_checkpoint(self.args.out, self.model, self.optimizers, text, torch.float32)

    def restore(self) -> None:
        """Take up the checkpoint, if there is one."""
        folder = find_checkpoint(self.args.out)
        if folder is not None:
            self.state = json.loads(load_checkpoint(folder, self.model, self.optimizers))

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
        loss = weighted_loss(logits, batch)
        loss.backward()
        step_optimizers(self.model, self.optimizers, rate)
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
        export_model(self.model, self.tokenizer, self.args.out / "model")


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
