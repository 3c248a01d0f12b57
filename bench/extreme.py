"""A hundred adapters beside eight, at the same rollouts a step: memory and time.

    python -m bench.extreme                   50 generations of 50 + 50 members, and of 4 + 4

The populations' steps alternate (`bench.sides`); checkpoints are written as often on both sides.
Both evolve every `--interval` steps. Prints the ratio of the mean step times with a bootstrap
interval over steps, writes it to OUT/extreme.json and exits with status 1 above the bar.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.sides import Side
from redqueen.config import load_config
from redqueen.report.statistics import bootstrap_means, percentile_interval
from redqueen.rng import numpy_rng

BAR = 1.5
"""Largest ratio of the step times."""
CONFIGS = {
    "large": Path("configs/populora-50x50.toml"),
    "small": Path("configs/default.toml"),
}


def ratio(large: Side, small: Side) -> tuple[float, float, float]:
    """Ratio of the mean seconds a step, with a 95 % bootstrap interval over pairs of steps."""
    # The first step of each warms up.
    pairs = list(zip(large.steps, small.steps, strict=True))
    pairs = pairs[1:] or pairs
    seconds_n2 = np.array([[a["seconds"], b["seconds"]] for a, b in pairs])
    draws_R2 = bootstrap_means(seconds_n2, numpy_rng("extreme"))
    low, high = percentile_interval(draws_R2[:, 0] / draws_R2[:, 1])
    mean_2 = seconds_n2.mean(axis=0)
    return float(mean_2[0] / mean_2[1]), low, high


def show(name: str, side: Side) -> str:
    """One population's figures."""
    memory = side.steps[-1]["memory"]
    peaks = ", ".join(f"{key} {value:,.0f} MiB" for key, value in memory.items())
    phases = sorted({phase for step in side.steps for phase in step["phases"]})
    parts = ", ".join(f"{phase} {side.mean('phases', phase):.2f}" for phase in phases)
    children = sum(step["children"] for step in side.steps)
    generations = sum(step["children"] > 0 for step in side.steps)
    return (
        f"{name}: {side.members} adapters, {len(side.steps)} steps, {generations} generations with "
        f"{children} children; {side.mean('seconds'):.2f} s/step ({parts}); "
        f"{side.mean('proposals'):.0f} proposals, {side.mean('attempts'):.0f} attempts, "
        f"{side.mean('tokens'):,.0f} tokens a step; peak {peaks}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--generations", type=int, default=50)
    parser.add_argument("--interval", type=int, default=1, help="steps between generations")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-extreme"))
    parser.add_argument("--set", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"),
                        help="a config key of both populations")  # fmt: skip
    args = parser.parse_args(argv)
    # No generation follows the last step.
    steps = args.generations * args.interval + 1
    every = load_config(CONFIGS["large"]).checkpoint_every
    keys = {"steps": steps, "evolution.interval": args.interval, "checkpoint_every": every}
    overrides = dict(args.set) | {key: str(value) for key, value in keys.items()}
    sides = {n: Side(path, args.out / n, overrides) for n, path in CONFIGS.items()}
    begun = time.monotonic()
    for step in range(1, steps + 1):
        # Who goes first alternates, too.
        for name in sorted(sides, reverse=step % 2 == 0):
            sides[name].step()
        left = (time.monotonic() - begun) / step * (steps - step)
        print(
            f"step {step}/{steps}  large {sides['large'].steps[-1]['seconds']:.2f} s  "
            f"small {sides['small'].steps[-1]['seconds']:.2f} s  {left / 60:.0f} min left",
            flush=True,
        )
    for side in sides.values():
        side.close()
    value, low, high = ratio(sides["large"], sides["small"])
    result: dict[str, object] = {"ratio": value, "low": low, "high": high}
    result |= {name: {"members": s.members, "steps": s.steps} for name, s in sides.items()}
    (args.out / "extreme.json").write_text(json.dumps(result), encoding="utf-8")
    print("\n".join(show(name, side) for name, side in sides.items()))
    good = value <= BAR
    print(f"step time ratio {value:.2f} ({low:.2f} to {high:.2f}), bar {BAR}: "
          f"{'held' if good else 'missed'}")  # fmt: skip
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
