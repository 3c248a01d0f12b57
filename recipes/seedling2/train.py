"""Train the second seedling. Resumable: run it again with the same arguments; SIGTERM ends a piece.

    python -m recipes.seedling2.train --out build/seedling2 --first redqueen/seedling
    python -m recipes.seedling2.train --out build/seedling2-final --start build/seedling2 \
        --decay-tokens 2000000

The first command begins with the weights of the first seedling, which has the same shape, and
trains at a constant learning rate: it never has to know how long it will go on. The second takes up
the newest checkpoint, lets the learning rate go down and writes the model that `transformers` loads
to `OUT/model`.
"""

import argparse
import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
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
from recipes.seedling2.corpus import Document, documents
from recipes.seedling2.tokenizer import build_tokenizer
from recipes.seedling2.warm_start import warm_start
from redqueen.rng import derive_seed

CHUNK_DOCUMENTS = 512
SAVE_CHUNKS = 2
MAX_TOKENS = 640
"""Documents that are longer are left out."""
MAX_COMPLETION = 400
PROMPT_WEIGHT, PROPOSAL_WEIGHT = 0.1, 0.5
"""Programs and proposals are mostly free choice: more noise than signal."""
LAST_RATE = 0.04
"""Share of the learning rate that is left at the end of the decay."""

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

Row = tuple[list[int], list[float]]
"""Ids of a document and the weight of each one's loss."""


def make_row(document: Document, tokenize: "Tokenize", end: int) -> Row | None:
    """A document in tokens, None if it is too long."""
    ids = tokenize(document.prompt)
    prompt = len(ids)
    weights = [PROMPT_WEIGHT] * prompt
    share = PROPOSAL_WEIGHT if document.kind.startswith("propose") else 1.0
    for text, weight in document.pieces:
        piece = tokenize(text)
        ids += piece
        weights += [weight * share] * len(piece)
    if len(ids) > MAX_TOKENS or len(ids) - prompt > MAX_COMPLETION:
        return None
    return [*ids, end], [*weights, share]


class Tokenize:
    """Text to ids; a class so that worker processes can make their own."""

    def __init__(self) -> None:
        self.tokenizer = build_tokenizer()

    def __call__(self, text: str) -> list[int]:
        return list(self.tokenizer(text)["input_ids"])


def make_chunk(seed: int, index: int, batch_tokens: int) -> list[list[Row]]:
    """Chunk `index` of the corpus as batches of rows, in training order."""
    tokenize = Tokenize()
    end = tokenize.tokenizer.eos_token_id
    source = islice(documents(derive_seed(seed, "corpus", index)), CHUNK_DOCUMENTS)
    rows = [row for item in source if (row := make_row(item, tokenize, end)) is not None]
    rows.sort(key=lambda row: len(row[0]))
    batches: list[list[Row]] = [[]]
    for row in rows:
        if (len(batches[-1]) + 1) * len(row[0]) > batch_tokens:
            batches.append([])
        batches[-1].append(row)
    Random(derive_seed(seed, "order", index)).shuffle(batches)
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


def stream(seed: int, start: int, batch_tokens: int) -> Iterator[tuple[int, list[Row]]]:
    """Batches from chunk `start` on; the next chunk is made meanwhile, in another process."""
    with ProcessPoolExecutor(1) as pool:
        ahead = pool.submit(make_chunk, seed, start, batch_tokens)
        index = start
        while True:
            chunk = ahead.result()
            ahead = pool.submit(make_chunk, seed, index + 1, batch_tokens)
            for rows in chunk:
                yield index, rows
            index += 1


class Trainer:
    """Model, optimizers and the counters."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.tokenizer = build_tokenizer()
        torch.manual_seed(derive_seed(args.seed, "init"))
        self.model = build_model(self.tokenizer, SHAPE).to(self.device)
        self.optimizers = build_optimizers(self.model, args.lr)
        self.state = {"tokens": 0, "documents": 0, "chunk": 0, "seconds": 0.0, "step": 0}
        self.forward = torch.compile(self.model, dynamic=True) if args.compile else self.model
        self.stopped = False

    def save(self) -> None:
        """Write the checkpoint; Muon's momentum in bfloat16, to keep it small."""
        text = json.dumps(self.state)
        save_checkpoint(self.args.out, self.model, self.optimizers, text, torch.bfloat16)

    def restore(self) -> None:
        """Take up the newest checkpoint of `out`, else that of `start`, else begin."""
        start = [] if self.args.start is None else [self.args.start]
        folder = find_checkpoint(self.args.out, *start)
        if folder is None and start:
            raise SystemExit(f"there is no checkpoint in {self.args.start}")
        if folder is not None:
            self.state = json.loads(load_checkpoint(folder, self.model, self.optimizers))
            if self.args.decay_tokens:
                self.state.setdefault("decay_from", self.state["tokens"])
        elif self.args.first is not None:
            warm_start(self.model, self.tokenizer, self.args.first)

    def rate(self) -> float:
        """The learning rate: a short warm-up, constant, and linearly down in a decay."""
        share = min(1.0, (self.state["step"] + 1) / self.args.warmup_steps)
        if self.args.decay_tokens:
            done = (self.state["tokens"] - self.state["decay_from"]) / self.args.decay_tokens
            share = max(LAST_RATE, 1 - done)
        return float(self.args.lr * share)

    def finished(self) -> bool:
        """Whether the decay, or the budget of tokens, is used up."""
        begin = self.state["decay_from"] if self.args.decay_tokens else 0
        return bool(self.state["tokens"] - begin >= (self.args.decay_tokens or self.args.tokens))

    def train_step(self, batch: Batch) -> float:
        """One update; returns the weighted loss."""
        with torch.autocast(self.device, dtype=torch.bfloat16):
            logits = self.forward(input_ids=batch.ids_BT, use_cache=False).logits
        loss = weighted_loss(logits, batch)
        loss.backward()
        step_optimizers(self.model, self.optimizers, self.rate())
        return loss.item()

    def run(self) -> None:
        """Train until the budget or the piece's minutes are used up; then export."""
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "stopped", True))
        begun, before = time.time(), self.state["seconds"]
        losses: list[float] = []
        mark = (begun, self.state["tokens"])
        source = stream(self.args.seed, self.state["chunk"], self.args.batch_tokens)
        for chunk, rows in source:
            if chunk > self.state["chunk"]:
                self.state["chunk"] = chunk
                self.state["seconds"] = before + time.time() - begun
                late = time.time() - begun > 60 * self.args.minutes
                if late or self.finished() or chunk % SAVE_CHUNKS == 0:
                    self.save()
                if late or self.finished():
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
    parser.add_argument("--out", type=Path, default=Path("build/seedling2"))
    parser.add_argument("--start", type=Path, help="take up the checkpoint of this folder")
    parser.add_argument("--first", type=Path, help="begin with the weights of the first seedling")
    parser.add_argument("--tokens", type=int, default=100_000_000)
    parser.add_argument(
        "--decay-tokens", type=int, default=0, help="let the rate go down over so many"
    )
    parser.add_argument("--batch-tokens", type=int, default=6144)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--warmup-steps", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=1e9, help="end this piece after these")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--compile", action="store_true")
    trainer = Trainer(parser.parse_args())
    trainer.restore()
    trainer.run()


if __name__ == "__main__":
    main()
