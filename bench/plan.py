"""What `redqueen plan` says of memory against what a step takes.

python -m bench.plan seedling build/bases/smollm2 build/bases/qwen-coder
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch

from redqueen import build
from redqueen.config import build_config
from redqueen.models.footprint import free_memory
from redqueen.plan import GIB, base_shapes, budget_of

STEP: dict[str, Any] = {
    "steps": 1,
    "callbacks": [],
    "population": {"teachers": 1, "students": 1},
    "rollout": {"matches": 1, "tasks_per_match": 4, "attempts": 4},
    "eval": {"enabled": False},
}


def measure(base: str, tokens: int) -> tuple[float, float]:
    """Return the planned and the measured peak of one small step, in GiB."""
    rollout = {**STEP["rollout"], "propose_tokens": tokens, "solve_tokens": tokens}
    config = build_config({**STEP, "rollout": rollout, "policy": {"base": base, "device": "cpu"}})
    cpu = torch.device("cpu")
    planned = budget_of(config, base_shapes(config), cpu, free_memory(cpu)).peak / GIB
    with tempfile.TemporaryDirectory() as folder, build.start(config, Path(folder) / "run") as run:
        run.run()
        peak: dict[str, float] = run.engine.peak_memory()  # type: ignore[attr-defined]
        return planned, peak["host"] / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bases", nargs="+")
    parser.add_argument("--tokens", type=int, default=192, help="longest text")
    args = parser.parse_args()
    for base in args.bases:
        planned, measured = measure(base, args.tokens)
        print(f"{base}: planned {planned:.2f} GiB, measured {measured:.2f} GiB, "
              f"{planned / measured - 1:+.0%}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
