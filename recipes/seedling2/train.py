"""Train the second seedling. Resumable: run it again with the same arguments; SIGTERM ends a piece.

    python -m recipes.seedling2.train --out build/seedling2 --first redqueen/bases/seedling
    python -m recipes.seedling2.train --out build/seedling2-final --start build/seedling2 \
        --decay-tokens 2000000

The first command begins with the weights of the first seedling, which has the same shape, and
trains at a constant learning rate: it never has to know how long it will go on. The second takes up
the newest checkpoint, lets the learning rate go down and writes the model that `transformers` loads
to `OUT/model`.
"""

from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random

import torch

from recipes.common.training import Pretraining, Row, Shape, arguments, into_batches
from recipes.seedling2.corpus import Document, documents
from recipes.seedling2.tokenizer import build_tokenizer
from recipes.seedling2.warm_start import warm_start
from redqueen.rng import derive_seed

CHUNK_DOCUMENTS = 512
MAX_TOKENS = 640
"""Documents that are longer are left out."""
MAX_COMPLETION = 400
PROMPT_WEIGHT, PROPOSAL_WEIGHT = 0.1, 0.5
"""Programs and proposals are mostly free choice: more noise than signal."""
LAST_RATE = 0.04
"""Share of the learning rate that is left at the end of the decay."""

SHAPE: Shape = {
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 1024,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "redqueen_dialect": "seedling2",
}


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


def make_chunk(seed: int, batch_tokens: int, index: int) -> list[list[Row]]:
    """Chunk `index` of the corpus as batches of rows, in training order."""
    tokenize = Tokenize()
    end = tokenize.tokenizer.eos_token_id
    source = islice(documents(derive_seed(seed, "corpus", index)), CHUNK_DOCUMENTS)
    rows = [row for item in source if (row := make_row(item, tokenize, end)) is not None]
    return into_batches(rows, batch_tokens, Random(derive_seed(seed, "order", index)))


class Trainer(Pretraining):
    """The second seedling's training: a constant learning rate, or a decay from a checkpoint."""

    shape = SHAPE
    momentum_dtype = torch.bfloat16  # half the size of a checkpoint
    save_chunks = 2

    def begin(self) -> None:
        """Take the layers of `args.first`, if it is given."""
        if self.args.first is not None:
            warm_start(self.model, self.tokenizer, self.args.first)

    def chunk_maker(self) -> Callable[[int], list[list[Row]]]:
        """Return what makes a chunk."""
        return partial(make_chunk, self.args.seed, self.args.batch_tokens)

    def rate(self) -> float:
        """Return the learning rate: a short warm-up, constant, and linearly down in a decay."""
        share = min(1.0, (self.state["step"] + 1) / self.args.warmup_steps)
        if self.args.decay_tokens:
            begun = self.state.setdefault("decay_from", self.state["tokens"])
            share = max(LAST_RATE, 1 - (self.state["tokens"] - begun) / self.args.decay_tokens)
        return float(self.args.lr * share)

    def finished(self) -> bool:
        """Return whether the decay, or the budget of tokens, is used up."""
        if self.args.decay_tokens:
            begun = self.state.get("decay_from", self.state["tokens"])
            return bool(self.state["tokens"] - begun >= self.args.decay_tokens)
        return super().finished()


def main() -> None:
    """Command line."""
    parser = arguments(
        __doc__,
        out=Path("build/seedling2"),
        tokens=100_000_000,
        batch_tokens=6144,
        lr=2e-3,
        seed=2,
    )
    parser.add_argument("--start", type=Path, help="take up the checkpoint of this folder")
    parser.add_argument("--first", type=Path, help="begin with the weights of the first seedling")
    parser.add_argument(
        "--decay-tokens", type=int, default=0, help="let the rate go down over so many"
    )
    parser.add_argument("--warmup-steps", type=int, default=60)
    args = parser.parse_args()
    trainer = Trainer(args, build_tokenizer())
    trainer.restore(*([args.start] if args.start else []))
    trainer.run()


if __name__ == "__main__":
    main()
