"""Sampling and learning on a real base, beside what the machine can do.

    python -m bench.real build/bases/qwen-coder

In turns within one run, on all cores:

- *adapters over the base*: sampling with eight adapters in one batch over the base alone, at 64 and
  at 16 rows;
- *ragged step*: sampling a step's 16 proposals, then its 64 attempts, which end by chance, so that
  few rows are left at the end, in tokens a second over the rate of 64 rows that all go on;
- *learning*: 8,192 tokens, in micro-batches as `learn_tokens = "auto"` chooses, as a share of a
  matrix product's rate (4 FLOPs a parameter and token, the head included), and the peak of memory
  above what was held before.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from bench.ratios import Ratio, in_turns, ratio, table, write
from bench.work import Lab, never_ending, plain_prompts, requests_of, samples
from redqueen.config import LearnerConfig, PolicyConfig
from redqueen.engines.cpu import Cpu
from redqueen.models.footprint import settle
from redqueen.models.memory import peak_memory
from redqueen.models.population_model import PopulationModel
from redqueen.types import Request

MEMBERS, ATTEMPTS = 8, 8
PROMPT_TOKENS, TEXT_TOKENS = 96, 32
PROPOSALS, PROPOSED = 16, 64
"""A step's proposals and attempts."""
LONGEST, MEAN_LENGTH = 256, 64
"""Tokens of the ragged texts."""
LEARNT = 8192
SAMPLING_BAR, RAGGED_BAR, LEARNING_BAR, MEMORY_BAR = 0.85, 0.60, 0.65, 3.0
PRODUCT_ROWS = 2048


def lab_of(base: str) -> Lab:
    """Eight adapters that differ, on a base whose texts never end."""
    config = PolicyConfig(base=base, device="cpu", init_noise=0.01)
    model = PopulationModel.load(config, MEMBERS, 0)
    settle(model, 2 * PROMPT_TOKENS)
    return never_ending(Lab.of(model, Cpu(workers=1)))


def compare_sampling(lab: Lab, rows: int, repeats: int) -> Ratio:
    """Tokens a second with adapters over those of the base alone."""
    prompts = plain_prompts(lab.model, rows // ATTEMPTS, PROMPT_TOKENS)
    mixed = requests_of(prompts, MEMBERS, ATTEMPTS)
    alone = [replace(request, slot=None) for request in mixed]
    seconds = in_turns(
        {
            "adapters": lambda: lab.write(mixed, TEXT_TOKENS),
            "base": lambda: lab.write(alone, TEXT_TOKENS),
        },
        repeats,
    )
    rate = rows * TEXT_TOKENS / statistics.median(seconds["adapters"])
    return ratio(
        f"adapters over the base, {rows} rows",
        seconds["base"],
        seconds["adapters"],
        "higher",
        SAMPLING_BAR,
        f"{rate:.0f} tokens/s with adapters",
    )


def compare_ragged(lab: Lab, repeats: int) -> Ratio:
    """Rate of a step whose texts end by chance over the rate of a full batch."""
    model, whole = lab.model, lab.model.base
    chosen = random.Random(0).sample(range(whole.embeddings), whole.embeddings // MEAN_LENGTH)
    ragged = replace(whole, eos_ids=frozenset(chosen))
    prompts = plain_prompts(model, PROPOSALS + PROPOSED // ATTEMPTS, PROMPT_TOKENS)
    proposals = requests_of(prompts[:PROPOSALS], MEMBERS, 1)
    attempts = requests_of(prompts[PROPOSALS:], MEMBERS, ATTEMPTS)
    lengths: list[int] = []

    def rate(requests: Sequence[Sequence[Request]], tokens: int) -> float:
        begun, lengths[:] = time.perf_counter(), []
        for some in requests:
            lengths.extend(len(text.token_ids) for text in lab.write(some, tokens))
        return sum(lengths) / (time.perf_counter() - begun)

    ours, full = [], []
    for _ in range(repeats):
        model.base = ragged
        ours.append(rate([proposals, attempts], LONGEST))
        spread = f"lengths {min(lengths)} to {max(lengths)}, median {statistics.median(lengths)}"
        model.base = whole
        full.append(rate([attempts], MEAN_LENGTH))
    return ratio("ragged step over full batch", ours, full, "higher", RAGGED_BAR, spread)


def compare_learning(lab: Lab, repeats: int) -> list[Ratio]:
    """Share of the product's rate, and the peak of memory in GiB."""
    model = lab.model
    texts = LEARNT // (2 * PROMPT_TOKENS)
    prompts = plain_prompts(model, texts, PROMPT_TOKENS)
    batch = samples(lab.write(requests_of(prompts, MEMBERS, 1), PROMPT_TOKENS))
    batch = [replace(item, group=str(number // 2)) for number, item in enumerate(batch)]
    learner = lab.learner(LearnerConfig(learning_rate=1e-9))
    held = peak_memory()["host"]
    learner.update(batch, 1, lab.versions())
    above = (peak_memory()["host"] - held) / 1024
    weight = max(
        (p for p in model.base.model.parameters() if p.ndim == 2), key=lambda p: p.shape[1]
    )
    x = torch.randn(PRODUCT_ROWS, weight.shape[1], dtype=weight.dtype)
    works: dict[str, Callable[[], object]] = {
        "learn": lambda: learner.update(batch, 1, lab.versions()),
        "product": lambda: [torch.nn.functional.linear(x, weight) for _ in range(20)],
    }
    seconds = in_turns(works, repeats)
    flop_rate = 20 * 2.0 * len(x) * weight.numel() / statistics.median(seconds["product"])
    tokens = sum(len(item.ids) for item in batch)
    least = 4.0 * model.num_parameters * tokens / flop_rate
    took = statistics.median(seconds["learn"])
    detail = f"{tokens:,} tokens, {model.config.learn_tokens:,} at a time, in {took:.0f} s; "
    detail += f"product {flop_rate / 1e9:.0f} GFLOP/s"
    return [
        ratio("learning, share of the peak", [least] * repeats, seconds["learn"], "higher",
              LEARNING_BAR, detail),
        ratio("learning, GiB above before", [above], [1.0], "lower", MEMORY_BAR),
    ]  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("base")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--rows", type=int, nargs="*", default=[64, 16])
    parser.add_argument("--out", type=Path, default=Path("runs/bench/real.json"))
    args = parser.parse_args(argv)
    lab = lab_of(args.base)
    lines = [compare_sampling(lab, rows, args.repeats) for rows in args.rows]
    lines.append(compare_ragged(lab, args.repeats))
    lines += compare_learning(lab, args.repeats)
    print(table(lines))
    write(args.out, lines)
    return 0 if all(line.held is not False for line in lines) else 1


if __name__ == "__main__":
    raise SystemExit(main())
