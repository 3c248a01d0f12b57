"""One child of a 7B model's adapters by each operator, beside PEFT's merge of the same factors.

    python -m bench.evolution                 Qwen2.5-7B shapes, rank 32; minutes, mostly PEFT
    python -m bench.evolution --quick         the same at toy size, in seconds

The adapters sit on the seven linear layers of all 28 blocks: hidden 3584, keys and values 512,
intermediate 18944, 81 million numbers each. Each operator makes `--rounds` children; the table
shows the median, lowest and highest. Everything runs on one thread, so that processor seconds are
what an idle core takes by the clock; the bar (2 s) is held against their median, as the clock also
counts whoever else uses the machine.

The peer is PEFT's `add_weighted_adapter(combination_type="svd")` with weights 1/2 and 1/2 and
`svd_full_matrices=False` (its faster setting). It forms each layer's update and takes its full SVD,
minutes for one block, so it is measured on one layer of each shape and scaled by the number of
such layers (`gate`, `up` and `down` count as one shape: theirs are each other's transpose). Ours
makes its child of the same layers by `average`, and of all of them. A distance is |child - mean| /
|mean|, with the mean of the parents' updates formed in double precision, block by block.

Exits with status 1 if an operator is above its bar, PEFT is less than 50 times slower, or PEFT's
child is closer to the mean than ours. `--quick` judges the distances alone.

Where the time goes. Prediction, before measuring: of `average`, Householder QR of the stacked
factors (out x 2r) is most, as its panels are matrix-vector work; Gram matrices need half as many
operations, all in matrix products, and should take a third of the time even in double precision.
Measured on one core of a Zen 4 EPYC, for the stack of 18944 x 64: QR with explicit Q 18 ms in
single precision; Gram 4.6 ms in double (34 GFLOP/s) against 1.8 ms in single, which would lose
every singular value below 3e-4 of the largest; the product with the coefficients 1.0 ms in single
and 2.6 to 4.7 ms in double. Of the small matrices, an SVD of 64 x 64 takes 0.48 ms, eigenvectors
0.27 ms, a Cholesky factor 0.02 ms. A child by `average` then takes 1.1 s of processor time: 0.7 s
the Gram matrices, 0.2 s the products, 0.1 s the small SVDs, the rest fresh memory for the child.
Joining children of several members in one batch would not help: no step is short of work. Noise
costs 5 ns a number.
"""

import argparse
import json
import math
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from redqueen import registry
from redqueen.config.component import Component, build_component
from redqueen.evolution.operators.average import Average
from redqueen.evolution.operators.base import Crossover, Mutation
from redqueen.files import write_bytes
from redqueen.rng import torch_rng

SECONDS_BAR, RATIO_BAR = 2.0, 50.0
CLOSENESS = 1e-6
"""How much farther than PEFT's child ours may lie, relative: both are best, to rounding."""

Adapter = dict[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class Size:
    """The base's shapes."""

    hidden: int
    keys: int
    intermediate: int
    blocks: int
    rank: int

    def layers(self) -> dict[str, tuple[int, int]]:
        """One block: layer -> (in, out)."""
        h, kv, i = self.hidden, self.keys, self.intermediate
        return {"q": (h, h), "k": (h, kv), "v": (h, kv), "o": (h, h)} | {
            "gate": (h, i),
            "up": (h, i),
            "down": (i, h),
        }


QWEN_7B = Size(hidden=3584, keys=512, intermediate=18944, blocks=28, rank=32)
TOY = Size(hidden=384, keys=96, intermediate=3840, blocks=4, rank=8)
SUBSET = {"q": ("q", "o"), "k": ("k", "v"), "gate": ("gate", "up", "down")}
"""Layer that PEFT is measured on -> layers of a block that it stands for."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of each round, by the clock and of the processor."""

    clock: tuple[float, ...]
    processor: tuple[float, ...]

    def row(self) -> str:
        cells = []
        for values in (self.processor, self.clock):
            cells += [statistics.median(values), min(values), max(values)]
        return "".join(f"{cell:9.3f}" for cell in cells)


def measure(work: Callable[[], Any], rounds: int) -> tuple[Timing, Any]:
    """Timing of `rounds` calls and the last one's result."""
    clock, processor, result = [], [], None
    for _ in range(rounds):
        result = None  # its memory is free before the next round, as in a run
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        processor.append(time.process_time() - cpu)
        clock.append(time.perf_counter() - wall)
    return Timing(tuple(clock), tuple(processor)), result


def adapter(size: Size, blocks: int, seed: int) -> Adapter:
    """A trained-looking adapter: A near its initialisation, B with columns of falling length."""
    g = torch_rng(seed, "bench-adapter")
    lengths = 0.02 * torch.logspace(0, -1.5, size.rank)
    return {
        f"{block}.{name}": (
            torch.empty(size.rank, n).uniform_(-(n**-0.5), n**-0.5, generator=g),
            torch.randn(m, size.rank, generator=g) * lengths,
        )
        for block in range(blocks)
        for name, (n, m) in size.layers().items()
    }


def distance(child: tuple[Tensor, Tensor], parents: list[tuple[Tensor, Tensor]]) -> float:
    """|child - mean of the parents| / |mean|, Frobenius, without forming more than 256 rows."""
    (A, B), (A_0, B_0), (A_1, B_1) = (
        (pair[0].double(), pair[1].double()) for pair in (child, *parents)
    )
    off = size = 0.0
    for first in range(0, len(B), 256):
        rows = slice(first, first + 256)
        mean = (B_0[rows] @ A_0 + B_1[rows] @ A_1) / 2
        off += float((B[rows] @ A - mean).square().sum())
        size += float(mean.square().sum())
    return math.sqrt(off / size)


def by_peft(parents: list[tuple[Tensor, Tensor]]) -> tuple[Timing, tuple[Tensor, Tensor]]:
    """One layer's child by PEFT."""
    import peft  # takes seconds

    r, n = parents[0][0].shape
    model = nn.Sequential(nn.Linear(n, len(parents[0][1]), bias=False))
    config = peft.LoraConfig(r=r, lora_alpha=r, target_modules=["0"])
    wrapped = peft.get_peft_model(model, config, adapter_name="p0")
    wrapped.add_adapter("p1", config)
    layer: Any = model[0]
    for i, (A, B) in enumerate(parents):
        layer.lora_A[f"p{i}"].weight.data.copy_(A)
        layer.lora_B[f"p{i}"].weight.data.copy_(B)
    timing, _ = measure(
        lambda: wrapped.add_weighted_adapter(
            ["p0", "p1"],
            [0.5, 0.5],
            "child",
            combination_type="svd",
            svd_rank=r,
            svd_full_matrices=False,
        ),
        1,
    )
    return timing, (layer.lora_A["child"].weight.data, layer.lora_B["child"].weight.data)


def operators(size: Size, rounds: int) -> dict[str, Timing]:
    """Seconds of one whole child by each operator."""
    parents = [adapter(size, size.blocks, seed) for seed in (0, 1)]
    timings = {}
    spread = f"{'lowest':>9}{'highest':>9}"
    print(f"{'operator':<14}{'processor s':>11}{spread}{'clock s':>9}{spread}", flush=True)
    for kind in ("mutation", "crossover"):
        for name in registry.COMPONENTS[kind]:
            operator, draws = build_component(kind, name), torch_rng(0, "bench", name)
            timings[name], _ = measure(partial(child_of, operator, parents, draws), rounds)
            print(f"{name:<16}{timings[name].row()}", flush=True)
    return timings


def child_of(operator: Component, parents: list[Adapter], draws: torch.Generator) -> Adapter:
    """A child of the first parent by a mutation, of both by a crossover."""
    if isinstance(operator, Mutation):
        return operator.mutate(parents[0], draws)
    if isinstance(operator, Crossover):
        return operator.cross(parents[0], parents[1], draws)
    raise TypeError(f"{operator!r} is neither a mutation nor a crossover")


@dataclass(frozen=True, slots=True)
class Comparison:
    """PEFT and `average` on one layer."""

    layer: str
    stands_for: int
    """Layers of this size in the whole adapter."""
    peft: Timing
    ours: Timing
    peft_distance: float
    our_distance: float

    @property
    def closer(self) -> bool:
        return self.our_distance <= self.peft_distance * (1.0 + CLOSENESS)


def compare(size: Size, rounds: int, average: Crossover | None = None) -> list[Comparison]:
    """One layer of each shape; `average` is what is compared with PEFT."""
    average = average or Average()
    parents, comparisons = [adapter(size, 1, seed) for seed in (0, 1)], []
    print(f"\n{'layer':<8}{'in x out':>14}{'PEFT s':>10}{'ours s':>10}{'ratio':>9}", end="")
    print(f"{'PEFT distance':>17}{'our distance':>17}")
    for name, alike in SUBSET.items():
        key = f"0.{name}"
        ours = [{key: parent[key]} for parent in parents]
        draws = torch_rng(0, "bench")
        # The first call of a size pays for what is set up once; a whole adapter hides it.
        child_of(average, ours, draws)
        ours_t, child = measure(partial(child_of, average, ours, draws), rounds)
        pair = [parent[key] for parent in parents]
        peft_t, peft_child = by_peft(pair)
        one = Comparison(
            layer=name,
            stands_for=len(alike) * size.blocks,
            peft=peft_t,
            ours=ours_t,
            peft_distance=distance(peft_child, pair),
            our_distance=distance(child[key], pair),
        )
        comparisons.append(one)
        theirs, mine = peft_t.processor[0], statistics.median(ours_t.processor)
        n, m = size.layers()[name]
        print(
            f"{name:<8}{f'{n} x {m}':>14}{theirs:>10.3f}{mine:>10.4f}{theirs / mine:>9.0f}", end=""
        )
        print(f"{one.peft_distance:>17.9f}{one.our_distance:>17.9f}", flush=True)
    return comparisons


def report(
    timings: dict[str, Timing], comparisons: list[Comparison], size: Size, quick: bool
) -> tuple[dict[str, Any], bool]:
    """The figures, and whether the bars hold."""
    peft_s = {
        kind: sum(one.stands_for * getattr(one.peft, kind)[0] for one in comparisons)
        for kind in ("processor", "clock")
    }
    ours_s = {
        kind: statistics.median(getattr(timings["average"], kind))
        for kind in ("processor", "clock")
    }
    ratio = {kind: peft_s[kind] / ours_s[kind] for kind in peft_s}
    slow = [n for n, t in timings.items() if statistics.median(t.processor) > SECONDS_BAR]
    farther = [one.layer for one in comparisons if not one.closer]
    passed = not farther and (quick or (not slow and ratio["processor"] >= RATIO_BAR))
    print(
        f"\nPEFT for all {7 * size.blocks} layers, scaled from {len(comparisons)}: "
        f"{peft_s['processor']:,.0f} s of processor, {peft_s['clock']:,.0f} s by the clock\n"
        f"average for all of them: {ours_s['processor']:.2f} s, {ours_s['clock']:.2f} s; "
        f"ratio {ratio['processor']:,.0f}, {ratio['clock']:,.0f}"
    )
    for names, words in ((slow, f"above {SECONDS_BAR} s"), (farther, "farther than PEFT's child")):
        if names:
            print(f"{words}: {', '.join(names)}")
    print("bars held" if passed else "BELOW THE BAR")
    figures = {
        "size": asdict(size),
        "quick": quick,
        "machine": {"cpu": platform.processor() or platform.machine(), "threads": 1},
        "versions": {"torch": torch.__version__, "peft": version("peft")},
        "operators": {name: asdict(timing) for name, timing in timings.items()},
        "layers": [asdict(one) for one in comparisons],
        "peft_seconds_scaled": peft_s,
        "average_seconds": ours_s,
        "ratio": ratio,
        "passed": passed,
    }
    return figures, passed


def main(arguments: list[str] | None = None, average: Crossover | None = None) -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="toy shapes, seconds")
    parser.add_argument("--rounds", type=int, default=5, help="children of each operator")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-evolution.json"))
    args = parser.parse_args(arguments)
    size, threads = TOY if args.quick else QWEN_7B, torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        timings = operators(size, args.rounds)
        comparisons = compare(size, args.rounds, average)
    finally:
        torch.set_num_threads(threads)
    figures, passed = report(timings, comparisons, size, args.quick)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(args.out, (json.dumps(figures, indent=2) + "\n").encode())
    print(f"written to {args.out}")
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
