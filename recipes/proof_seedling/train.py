"""Train the proof seedling from scratch. Resumable: run it again with the same arguments.

    python -m recipes.proof_seedling.train --out build/proof-seedling

About half an hour on one core. SIGTERM or `--minutes` ends a piece with a checkpoint.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

from recipes.common.training import Pretraining, Row, Shape, arguments, into_batches
from recipes.proof_seedling.corpus import MIXES, Document, first_documents
from recipes.proof_seedling.tokenizer import build_tokenizer
from redqueen.rng import derive_seed

CHUNK_DOCUMENTS = 512
WARMUP, DECAY = 0.02, 0.5
"""Shares of the budget in which the learning rate rises, and falls to a twentieth."""

SHAPE: Shape = {
    "hidden_size": 128,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 1024,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "redqueen_dialect": "proof-seedling",
}


def make_chunk(seed: int, batch_tokens: int, stage: str, index: int) -> list[list[Row]]:
    """Return chunk `index` of the corpus as batches of rows, in training order."""
    tokenizer = build_tokenizer()

    def row(document: Document) -> Row:
        parts = tokenizer([text for text, _ in document.pieces])["input_ids"]
        weighted = zip(parts, (weight for _, weight in document.pieces), strict=True)
        weights = [weight for part, weight in weighted for _ in part]
        return [*(i for part in parts for i in part), tokenizer.eos_token_id], [*weights, 1.0]

    documents = first_documents(CHUNK_DOCUMENTS, derive_seed(seed, index), MIXES[stage])
    rows = [row(item) for item in documents]
    return into_batches(rows, batch_tokens, Random(derive_seed(seed, "order", index)))


class Trainer(Pretraining):
    """The proof seedling's training: a budget of tokens."""

    shape = SHAPE

    def chunk_maker(self) -> Callable[[int], list[list[Row]]]:
        """Return what makes a chunk: of the stage `anneal` once the learning rate goes down."""
        stage = "learn" if self.state["tokens"] < (1 - DECAY) * self.args.tokens else "anneal"
        return partial(make_chunk, self.args.seed, self.args.batch_tokens, stage)

    def rate(self) -> float:
        """Return the learning rate, which follows the budget."""
        done = self.state["tokens"] / self.args.tokens
        share = min(max(done / WARMUP, 0.01), 1.0, max(0.05, (1 - done) / DECAY))
        return float(self.args.lr * share)


def main() -> None:
    """Command line."""
    parser = arguments(
        __doc__,
        out=Path("build/proof-seedling"),
        tokens=2_600_000,
        batch_tokens=4096,
        lr=5e-3,
        seed=3,
    )
    trainer = Trainer(parser.parse_args(), build_tokenizer())
    trainer.restore()
    trainer.run()


if __name__ == "__main__":
    main()
