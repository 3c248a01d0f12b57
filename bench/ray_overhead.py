"""What Ray costs on one machine: steps with the engine in an actor, over steps without Ray.

    python -m bench.ray_overhead

Whole steps of the trainer in turns, as `bench.overhead` has them: a population of eight, one engine
with all cores on either side, members that learn at a rate of nearly nothing. The ratio is of
seconds for each token.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.overhead import CONFIG, WARM_STEPS, population
from bench.ratios import Ratio, ratio, table, write
from bench.sides import Side, step_in_turns

BAR = 1.1
MEMBERS = 8
CLUSTERS = ("local", "ray")


def compare(steps: int, words: dict[str, str]) -> Ratio:
    """Seconds a sampled token on a local Ray cluster, over those without one."""
    with tempfile.TemporaryDirectory() as folder:
        measured = WARM_STEPS + steps
        keys = {"steps": str(measured + 1), "checkpoint_every": str(measured)} | words
        sides = [
            Side(CONFIG, Path(folder) / name, population(MEMBERS) | keys | {"cluster.type": name})
            for name in CLUSTERS
        ]
        step_in_turns(sides, measured, WARM_STEPS)
    here, on_ray = ([step["seconds"] / step["tokens"] for step in side.steps] for side in sides)
    detail = ", ".join(
        f"{name}: {side.mean('seconds'):.2f} s, "
        + " ".join(f"{p} {side.mean('phases', p):.2f}" for p in ("propose", "solve", "learn"))
        for name, side in zip(CLUSTERS, sides, strict=True)
    )
    return ratio("whole step on Ray", on_ray, here, "lower", BAR, detail)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--out", type=Path, default=Path("runs/bench/ray_overhead.json"))
    parser.add_argument("--set", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"),
                        help="a config key of both sides")  # fmt: skip
    args = parser.parse_args(argv)
    line = compare(args.steps, dict(args.set))
    print(table([line]))
    write(args.out, [line])
    return 0 if line.held else 1


if __name__ == "__main__":
    raise SystemExit(main())
