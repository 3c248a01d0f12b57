"""Population costs at the shapes of a 7B and a 0.5B model, on a GPU; at toy size anywhere.

    python -m bench.gpu                       Qwen2.5-7B's shapes, random bfloat16 weights
    python -m bench.gpu --shapes 0.5b         Qwen2.5-0.5B's
    python -m bench.gpu --shapes toy          the same code on a CPU, in seconds

Everything at equal tokens, in turns within one process, CUDA synchronised around each work, and
within `--minutes` (rounds are left out of the comparison if need be):

- *sampling* and *learning* with 8 members over 1 (rank 32 on all linear layers), and sampling with
  the 8 in one batch over the base alone, and over itself without CUDA graphs;
- learning's FLOPs (4 for each parameter and token: the base's weights need no gradients) as a share
  of a matrix product's rate, measured in the same run;
- a token's time in sampling over the bound that reading the weights and the cache sets, at the
  rate of a copy measured in the same run;
- peak memory with these 8 members, and with 8 and with 100 of rank 8 on the query and value
  projections under a cap of 24 GiB, with gradient checkpointing.

What has been measured is printed and written before the next thing begins.

`--base DIR` takes a real model in place of random weights, for instance `build/bases/qwen-coder`
(`make base-qwen-coder`, half a billion parameters).
"""

import argparse
import gc
import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from transformers import AutoModelForCausalLM, Qwen2Config

from bench.ratios import Ratio, in_turns, ratio, table, write
from bench.work import Lab, never_ending, requests_of, samples
from redqueen.config import LearnerConfig, PolicyConfig
from redqueen.engines.torch import Torch
from redqueen.models.loading import Base, assemble, load_base
from redqueen.models.population_model import PopulationModel

OVERHEAD_BAR, PEAK_BAR, CAP_GIB = 1.05, 0.40, 24.0


@dataclass(frozen=True, slots=True)
class Shapes:
    """A model and a step."""

    model: dict[str, int]
    prompts: int
    attempts: int
    prompt_tokens: int
    text_tokens: int
    learn_tokens: int
    product: int


SHAPES = {
    "7b": Shapes(
        {
            "vocab_size": 152_064,
            "hidden_size": 3584,
            "intermediate_size": 18_944,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
        },
        prompts=32,
        attempts=8,
        prompt_tokens=512,
        text_tokens=128,
        learn_tokens=4096,
        product=8192,
    ),
    "0.5b": Shapes(
        {
            "vocab_size": 151_936,
            "hidden_size": 896,
            "intermediate_size": 4864,
            "num_hidden_layers": 24,
            "num_attention_heads": 14,
            "num_key_value_heads": 2,
        },
        prompts=32,
        attempts=8,
        prompt_tokens=256,
        text_tokens=128,
        learn_tokens=16_384,
        product=8192,
    ),
    "toy": Shapes(
        {
            "vocab_size": 512,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
        },
        prompts=8,
        attempts=4,
        prompt_tokens=16,
        text_tokens=8,
        learn_tokens=512,
        product=256,
    ),
}


class Numbers:
    """A tokenizer for prompts that are token numbers with spaces between."""

    eos_token_id = pad_token_id = None
    added_tokens_decoder: Mapping[int, Any] = MappingProxyType({})

    def __call__(self, text: str, **_: object) -> dict[str, list[int]]:
        return {"input_ids": [int(word) if word.isdigit() else 0 for word in text.split()]}

    def decode(self, ids: Sequence[int], **_: object) -> str:
        return " ".join(map(str, ids))


def random_base(shapes: Shapes, device: torch.device) -> Base:
    """A Qwen2 model of these shapes; its weights are noise, its work is not."""
    config = Qwen2Config(**shapes.model, max_position_embeddings=4096, tie_word_embeddings=False)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    return assemble(model.eval(), Numbers(), torch.bfloat16)


def real_base(path: str, device: torch.device) -> tuple[Base, Shapes]:
    """A model on the disk, and a step for it."""
    base = load_base(PolicyConfig(base=path, dtype="bfloat16", device=str(device)))
    return base, replace(SHAPES["7b"], model={"vocab_size": base.embeddings})


def lab_of(
    base: Base, shapes: Shapes, members: int, rows: int = 256, graphs: bool = True, **settings: Any
) -> Lab:
    settings = {"learn_tokens": shapes.learn_tokens, **settings}
    config = PolicyConfig(dtype="bfloat16", **settings)
    engine = Torch(rows=rows, graphs=graphs)
    return never_ending(Lab.of(PopulationModel(config, base, members, 0), engine))


def step_of(lab: Lab, shapes: Shapes, members: int) -> dict[str, Callable[[], object]]:
    """Sampling and learning of one step, dealt evenly to `members` adapters."""
    generator = torch.Generator().manual_seed(0)
    size = shapes.model["vocab_size"]
    texts = torch.randint(3, size, (shapes.prompts, shapes.prompt_tokens), generator=generator)
    prompts = [" ".join(map(str, ids)) for ids in texts.tolist()]
    requests = requests_of(prompts, members, shapes.attempts)

    def sample() -> Any:
        return lab.write(requests, shapes.text_tokens)

    def base_alone() -> Any:
        return lab.write([replace(item, slot=None) for item in requests], shapes.text_tokens)

    batch = samples(sample())
    learner = lab.learner(LearnerConfig(learning_rate=1e-9))
    return {
        "sample": sample,
        "base": base_alone,
        "learn": lambda: learner.update(batch, 1, lab.versions()),
    }


def synchronised(device: torch.device) -> Callable[[], float]:
    """A clock that waits for the device."""

    def clock() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    return clock


def machine(shapes: Shapes, device: torch.device) -> tuple[Callable[[], object], float, Any, float]:
    """A bfloat16 product and its FLOPs; a copy and its bytes."""
    size = shapes.product
    a, b = (torch.randn(size, size, device=device).bfloat16() for _ in range(2))
    source = torch.empty(size * size * 8, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return lambda: a @ b, 2.0 * size**3, lambda: target.copy_(source), 2.0 * source.numel()


def free(device: torch.device) -> None:
    """Forget what is unused, and count memory from here."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_gib(device: torch.device) -> float:
    return torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else 0.0


def compare(base: Base, shapes: Shapes, repeats: int, most_seconds: float) -> list[Ratio]:
    """8 members over 1 and over the base, and against the machine."""
    device = base.device
    works: dict[str, Callable[[], object]] = {}
    wide: dict[str, Any] = {"rank": 32, "alpha": 64.0}
    labs = {members: lab_of(base, shapes, members, **wide) for members in (1, 8)}
    for members, lab in labs.items():
        works |= {f"{n} {members}": w for n, w in step_of(lab, shapes, members).items()}
    del works["base 1"]
    stepwise = lab_of(base, shapes, 8, graphs=False, **wide)
    works["stepwise 8"] = step_of(stepwise, shapes, 8)["sample"]
    product, flops, copy, volume = machine(shapes, device)
    works |= {"product": product, "copy": copy}
    free(device)
    seconds = in_turns(works, repeats, synchronised(device), most_seconds)
    for lab in (*labs.values(), stepwise):
        lab.model.router.close()
    repeats = len(seconds["copy"])
    flop_rate = flops / statistics.median(seconds["product"])
    byte_rate = volume / statistics.median(seconds["copy"])
    rows = shapes.prompts * shapes.attempts
    body = sum(p.numel() for name, p in base.model.named_parameters() if "embed_tokens" not in name)
    tokens = shapes.prompts * shapes.prompt_tokens + rows * (shapes.text_tokens - 1)
    learn_flops = 4.0 * body * tokens
    config: Any = base.model.config
    state = 2 * 2 * config.num_hidden_layers * config.num_key_value_heads
    state *= config.hidden_size // config.num_attention_heads
    cached = rows * (shapes.prompt_tokens + shapes.text_tokens / 2)
    bound = shapes.text_tokens * (2.0 * body + state * cached) / byte_rate
    rates = f"{flop_rate / 1e12:,.1f} TFLOP/s, {byte_rate / 1e9:,.0f} GB/s"
    lines = [
        ratio(f"{name}: 8 members over 1", seconds[f"{name} 8"], seconds[f"{name} 1"], "lower",
              OVERHEAD_BAR, f"{statistics.median(seconds[f'{name} 8']):.3f} s")
        for name in ("sample", "learn")
    ]  # fmt: skip
    written = rows * shapes.text_tokens / statistics.median(seconds["sample 8"])
    lines.append(
        ratio("sample: 8 members over the base", seconds["sample 8"], seconds["base 8"], "lower",
              None, f"{written:,.0f} tokens/s of 8 members in one batch")
    )  # fmt: skip
    lines.append(
        ratio("sample: CUDA graphs over none", seconds["sample 8"], seconds["stepwise 8"], "lower",
              None, f"{statistics.median(seconds['stepwise 8']):.3f} s step by step")
    )  # fmt: skip
    lines.append(
        ratio("learn: share of the product's rate", [learn_flops / flop_rate] * repeats,
              seconds["learn 8"], "higher", PEAK_BAR, f"{tokens:,} tokens; {rates}")
    )  # fmt: skip
    lines.append(
        ratio("sample: seconds over the bound", seconds["sample 8"], [bound] * repeats, "lower",
              None, f"weights and cache read once a token; prompts' prefill counts; {rates}")
    )  # fmt: skip
    return lines


def memory(base: Base, shapes: Shapes, members: int, cap: bool, **settings: Any) -> Ratio:
    """Peak of a whole step, in GiB over the cap; infinite where memory runs out."""
    device = base.device
    if cap and device.type == "cuda":
        share = CAP_GIB * 2**30 / torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, share), device)
    free(device)
    lab = lab_of(base, shapes, members, **settings)
    try:
        for work in step_of(lab, shapes, min(members, shapes.prompts)).values():
            work()
        peak = peak_gib(device)
    except torch.OutOfMemoryError:
        peak = math.inf
    lab.model.router.close()
    if cap and device.type == "cuda":
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    name = f"peak, {members} of rank {settings['rank']} / {CAP_GIB:g} GiB"
    return ratio(name, [peak], [CAP_GIB], "lower", 1.0 if cap else None, f"{peak:.2f} GiB")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--shapes", choices=SHAPES, default="7b")
    parser.add_argument("--base", help="a model's directory, in place of random weights")
    parser.add_argument("--minutes", type=float, default=8.0, help="about so long in all")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("runs/bench/gpu.json"))
    args = parser.parse_args(argv)
    begun, device, shapes = time.monotonic(), torch.device(args.device), SHAPES[args.shapes]
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}, {args.base or args.shapes}", file=sys.stderr)
    if args.base:
        base, shapes = real_base(args.base, device)
    else:
        base = random_base(shapes, device)
    # A quarter is left for the passes that measure memory.
    left = 0.75 * 60 * args.minutes - (time.monotonic() - begun)
    lines = compare(base, shapes, args.repeats, left)
    lines.append(memory(base, shapes, 8, False, rank=32, alpha=64.0))
    print(table(lines), flush=True)
    write(args.out, lines)
    small = {"rank": 8, "alpha": 16.0, "targets": ("q_proj", "v_proj"), "rows": 64}
    small |= {"learn_tokens": shapes.learn_tokens // 4, "gradient_checkpointing": True}
    capped = []
    for members in (8, 100):
        capped.append(memory(base, shapes, members, True, **small))
        print(table(capped[-1:]), flush=True)
    lines += capped
    print(f"{(time.monotonic() - begun) / 60:.1f} minutes")
    write(args.out, lines)
    return 0 if all(line.held is not False for line in lines) else 1


if __name__ == "__main__":
    raise SystemExit(main())
