"""A hundred adapters beside eight, at the same rollouts a step: memory and time.

    python -m bench.extreme                   50 generations of 50 + 50 members, and of 4 + 4

Each population lives in a process of its own, so that each has its own peak of memory; their steps
alternate, so that whatever else the machine does falls on both. A step is timed whole: all phases,
the generation after it, and writing it to the database and, as often on both sides, the checkpoint.
Both evolve every `--interval` steps. Prints the ratio of the mean step times with a bootstrap
interval over steps, writes it to OUT/extreme.json and exits with status 1 above the bar.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from redqueen.config import load_config
from redqueen.policy.memory import peak_memory
from redqueen.report.statistics import bootstrap_means, percentile_interval
from redqueen.rng import numpy_rng
from redqueen.trainer import Trainer
from redqueen.types import StepRecord

BAR = 1.5
"""Largest ratio of the step times."""
CONFIGS = {
    "large": Path("configs/populora-50x50.toml"),
    "small": Path("configs/default.toml"),
}


def attend(config: Path, directory: Path, overrides: Sequence[tuple[str, str]]) -> None:
    """A population's process: one step for every line of standard input, one JSON line for each."""
    begun = 0.0

    def go_on() -> bool:
        nonlocal begun
        asked = sys.stdin.readline()
        begun = time.perf_counter()
        return not asked

    def done(phase: str, record: StepRecord | None) -> None:
        if record is not None:
            line = {
                "seconds": time.perf_counter() - begun,
                "phases": dict(record.seconds),
                "attempts": len(record.rollouts),
                "proposals": len(record.proposals),
                "tokens": record.metrics["sampled_tokens"],
                "children": len(record.events),
                "memory": peak_memory(),
            }
            print(json.dumps(line), flush=True)

    with Trainer.start(load_config(config, overrides), directory) as trainer:
        print(json.dumps({"members": len(trainer.population)}), flush=True)
        trainer.run(done, go_on)


class Side:
    """One population, stepped from here."""

    def __init__(self, config: Path, directory: Path, words: Sequence[str]):
        command = [sys.executable, "-m", "bench.extreme", "--attend", str(config), str(directory)]
        self.process = subprocess.Popen(
            [*command, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.members: int = self._read()["members"]
        self.steps: list[dict[str, Any]] = []

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a population ended early with status {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def step(self) -> None:
        """Do one step and wait for it."""
        assert self.process.stdin is not None
        self.process.stdin.write("step\n")
        self.process.stdin.flush()
        self.steps.append(self._read())

    def close(self) -> None:
        """Let it end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def mean(self, *path: str) -> float:
        """Mean over steps of a figure; 0 for a phase that a step lacks."""
        values = []
        for step in self.steps:
            value: Any = step
            for key in path:
                value = value.get(key, 0.0)
            values.append(float(value))
        return sum(values) / len(values)


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
    parser.add_argument("--attend", nargs=2, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--generations", type=int, default=50)
    parser.add_argument("--interval", type=int, default=1, help="steps between generations")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-extreme"))
    parser.add_argument("--set", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"),
                        help="a config key of both populations")  # fmt: skip
    args = parser.parse_args(argv)
    overrides = [(key, value) for key, value in args.set]
    if args.attend:
        attend(*args.attend, overrides)
        return 0
    # No generation follows the last step.
    steps = args.generations * args.interval + 1
    every = load_config(CONFIGS["large"]).checkpoint_every
    keys = {"steps": steps, "evolution.interval": args.interval, "checkpoint_every": every}
    words = [word for pair in args.set for word in ("--set", *pair)]
    words += [word for key, value in keys.items() for word in ("--set", key, str(value))]
    sides = {n: Side(path, args.out / n, words) for n, path in CONFIGS.items()}
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
    result = {"ratio": value, "low": low, "high": high}
    result |= {name: {"members": s.members, "steps": s.steps} for name, s in sides.items()}
    (args.out / "extreme.json").write_text(json.dumps(result), encoding="utf-8")
    print("\n".join(show(name, side) for name, side in sides.items()))
    good = value <= BAR
    print(f"step time ratio {value:.2f} ({low:.2f} to {high:.2f}), bar {BAR}: "
          f"{'held' if good else 'missed'}")  # fmt: skip
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
