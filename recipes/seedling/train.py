"""Train the seedling from scratch. Resumable: run it again with the same arguments.

    python -m recipes.seedling.train --out build/seedling --tokens 30000000

The same code runs on a CPU (hours) and on a GPU (minutes). `--minutes` ends a piece early with a
checkpoint whose files stay below 16 MiB each.
"""

from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random

from recipes.common.training import Pretraining, Row, Shape, arguments, into_batches
from recipes.seedling.corpus import MIXES, documents
from recipes.seedling.tokenizer import build_tokenizer
from redqueen.rng import derive_seed

CHUNK_DOCUMENTS = 4096
PROMPT_WEIGHT = {"learn": 0.1, "anneal": 0.3, "finish": 0.3}
PROPOSAL_WEIGHT = {"learn": 0.5, "anneal": 1.0, "finish": 1.0}
"""By stage. Programs and proposals are mostly free choice: at first more noise than signal."""

SHAPE: Shape = {
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 1024,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "redqueen_dialect": "seedling",
}


def make_chunk(seed: int, batch_tokens: int, stage: str, index: int) -> list[list[Row]]:
    """Chunk `index` of the corpus as batches of rows, in training order."""
    tokenizer = build_tokenizer()
    rows = []
    source = documents(derive_seed(seed, "corpus", index), MIXES[stage])
    for item in islice(source, CHUNK_DOCUMENTS):
        prompt = tokenizer(item.prompt)["input_ids"]
        completion = tokenizer(item.completion)["input_ids"] + [tokenizer.eos_token_id]
        weight = PROPOSAL_WEIGHT[stage] if item.kind.startswith("propose") else 1.0
        weights = [PROMPT_WEIGHT[stage]] * len(prompt) + [weight] * len(completion)
        rows.append((prompt + completion, weights))
    return into_batches(rows, batch_tokens, Random(derive_seed(seed, "order", index)))


def schedule(done: float, warmup: float, decay: float) -> float:
    """Warm up, hold, then go down linearly to a twentieth; `done` is the share of the budget."""
    if done < warmup:
        return max(done / warmup, 0.01)
    if done < 1 - decay:
        return 1.0
    return max(0.05, (1 - done) / decay)


class Trainer(Pretraining):
    """The seedling's training: a budget of tokens, in three stages."""

    shape = SHAPE

    def stage(self) -> str:
        """The corpus mix: `learn`, then `anneal` while the learning rate goes down, `finish`."""
        done = self.state["tokens"] / self.args.tokens
        return "learn" if done < 1 - self.args.decay else "anneal" if done < 0.85 else "finish"

    def chunk_maker(self) -> Callable[[int], list[list[Row]]]:
        """Return what makes a chunk of the stage that training is in."""
        return partial(make_chunk, self.args.seed, self.args.batch_tokens, self.stage())

    def rate(self) -> float:
        """Return the learning rate, which follows the budget."""
        done = self.state["tokens"] / self.args.tokens
        return float(self.args.lr * schedule(done, self.args.warmup, self.args.decay))


def main() -> None:
    """Command line."""
    parser = arguments(
        __doc__, out=Path("build/seedling"), tokens=13_000_000, batch_tokens=8192, lr=4e-3, seed=1
    )
    parser.add_argument("--warmup", type=float, default=0.02, help="share of the budget")
    parser.add_argument("--decay", type=float, default=0.5, help="share of the budget")
    trainer = Trainer(parser.parse_args(), build_tokenizer())
    trainer.restore()
    trainer.run()


if __name__ == "__main__":
    main()
