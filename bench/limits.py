"""Where a step's time goes, and how far sampling and learning are from what the machine can do.

    python -m bench.limits

The limits are measured in the same run, in turns with the work: the rate of a matrix product of the
base's shapes in its type, and the rate at which memory is read. Sampling cannot be faster than the
larger of its arithmetic at the first rate and its reads (weights, and every row's keys and values,
once a token) at the second. Learning counts 4 FLOPs for each parameter and token, for the base's
weights need no gradients.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from bench.overhead import CONFIG, PROMPT_TOKENS, PROPOSALS, TEXT_TOKENS, fixed_work
from bench.ratios import Ratio, in_turns, ratio, table, write
from bench.sides import Side
from redqueen.config import load_config

ROWS = 4096
"""Of the matrix product that stands for the machine's arithmetic."""
BUFFER_MIB = 512
"""Read once for the machine's memory: far more than its caches hold."""


def product(model: torch.nn.Module, dtype: torch.dtype) -> tuple[Callable[[], object], float]:
    """The largest weight of the base times `ROWS` rows, and its FLOPs."""
    shape = max((p.shape for p in model.parameters() if p.ndim == 2), key=lambda shape: shape[0])
    weight = torch.randn(shape).to(dtype)
    x = torch.randn(ROWS, weight.shape[1]).to(dtype)
    return lambda: torch.nn.functional.linear(x, weight), 2.0 * ROWS * weight.numel()


def compare_limits(members: int, repeats: int, threads: int) -> list[Ratio]:
    """Sampling and learning of `members` adapters over what bounds them."""
    config = load_config(CONFIG, [("threads", str(threads))])
    lab, work = fixed_work(config, members)
    multiply, flops = product(lab.model.base.model, lab.model.base.dtype)
    buffer = torch.ones(BUFFER_MIB * 2**18)
    seconds = in_turns(
        {
            **work,
            "product": lambda: [multiply() for _ in range(20)],
            "read": lambda: [buffer.sum() for _ in range(4)],
        },
        repeats,
    )
    lab.engine.close()
    flop_rate = 20 * flops / statistics.median(seconds["product"])
    byte_rate = 4 * buffer.numel() * 4 / statistics.median(seconds["read"])
    rows = PROPOSALS * config.rollout.attempts
    shape: Any = lab.model.base.model.config
    width = lab.model.base.dtype.itemsize
    state = 2 * width * shape.num_hidden_layers * shape.num_key_value_heads * shape.head_dim
    prompt_tokens, text_tokens = PROPOSALS * PROMPT_TOKENS, rows * TEXT_TOKENS
    arithmetic = 2.0 * lab.model.num_parameters * (prompt_tokens + text_tokens) / flop_rate
    # A prompt's keys and values are read once for all its rows.
    read = TEXT_TOKENS * width * lab.model.num_parameters
    read += state * (prompt_tokens * TEXT_TOKENS + rows * TEXT_TOKENS**2 // 2)
    memory = read / byte_rate
    tokens = prompt_tokens + rows * (TEXT_TOKENS - 1)
    learning = 4.0 * lab.model.num_parameters * tokens / flop_rate
    machine = f"{flop_rate / 1e9:,.0f} GFLOP/s, {byte_rate / 1e9:.0f} GB/s"
    return [
        ratio(
            "sampling, seconds / bound",
            seconds["sample"],
            [max(arithmetic, memory)] * repeats,
            "lower",
            None,
            f"arithmetic {arithmetic:.2f} s, memory {memory:.2f} s at {machine}",
        ),
        ratio(
            "learning, share of the peak",
            [learning] * repeats,
            seconds["learn"],
            "higher",
            None,
            f"{tokens:,} tokens, 4 FLOPs a parameter and token, at {machine}",
        ),
    ]


def phase_shares(steps: int, threads: int) -> list[Ratio]:
    """Shares of the default run's step; what runs beside what is said in the detail."""
    with tempfile.TemporaryDirectory() as folder:
        keys = {"steps": str(steps + 1), "threads": str(threads)}
        side = Side(CONFIG, Path(folder) / "run", keys)
        for _ in range(steps + 1):
            side.step()
        side.close()
    timed = side.steps[1:]
    whole = [step["seconds"] for step in timed]
    names = dict.fromkeys(name for step in timed for name in step["phases"])
    return [
        ratio(
            f"share of a step: {name}", [s["phases"].get(name, 0.0) for s in timed], whole, "lower"
        )
        for name in names
    ]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--out", type=Path, default=Path("runs/bench/limits.json"))
    args = parser.parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    lines = phase_shares(args.steps, args.threads)
    lines += compare_limits(args.members, args.repeats, args.threads)
    print(table(lines))
    write(args.out, lines)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
