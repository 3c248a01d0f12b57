"""A node whose peers are dead beside the same run without a swarm: its bytes and its time.

Both do the same steps in turns, with the real parts: the seedling, the code environment, a zenoh
session that connects to an address where nobody listens.
"""

import socket
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import torch

from bench.ratios import Ratio, in_turns, ratio
from redqueen import build
from redqueen.config import load_config
from redqueen.swarm.identity import Identity
from redqueen.trainer import Trainer

BAR = 1.05
"""Largest ratio of a step's time to that without a swarm."""
CONFIG = Path("configs/rlvr.toml")
KEYS = {
    "steps": "1000", "threads": "1", "callbacks": "[]", "eval.enabled": "false",
    "checkpoint_every": "1000", "rollout.tasks_per_match": "2", "rollout.attempts": "4",
    "rollout.solve_tokens": "96", "sandbox.workers": "1", "engine": "torch",
}  # fmt: skip


def alone(repeats: int, folder: Path) -> tuple[Ratio, bool]:
    """Return the ratio of a step's time, pair by pair, and whether the adapters are equal."""
    Identity.create(folder / "node.key")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        peer = f'["tcp/127.0.0.1:{nobody.getsockname()[1]}"]'
        swarm = {
            "swarm.enabled": "true",
            "swarm.identity": str(folder / "node.key"),
            "swarm.transport.type": "zenoh",
            "swarm.transport.listen": '["tcp/127.0.0.1:0"]',
            "swarm.transport.connect": peer,
        }
        with ExitStack() as stack:
            runs = {
                name: stack.enter_context(
                    build.start(load_config(CONFIG, [*(KEYS | more).items()]), folder / name)
                )
                for name, more in {"alone": swarm, "without": {}}.items()
            }
            works = {name: partial(_step, run) for name, run in runs.items()}
            seconds = in_turns(works, repeats)
            one, other = (run.adapters.buffer for run in runs.values())
            equal = torch.equal(one, other)
    name = "a node's step alone over one without a swarm"
    return ratio(name, seconds["alone"], seconds["without"], "lower", BAR), equal


def _step(run: Trainer) -> None:
    last = run.step + 1
    run.run(should_stop=lambda: run.step >= last)
