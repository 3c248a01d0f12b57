"""Populations side by side: each in a process of its own, stepped from here in turns.

Each has its own peak of memory, and whatever else the machine does falls on all of them. A step is
timed whole: all phases, the generation after it, the database and the checkpoint.
"""

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from redqueen.build import start
from redqueen.callbacks.base import Callback
from redqueen.config import load_config
from redqueen.trainer import Trainer
from redqueen.types import StepRecord


class Turns(Callback):
    """Waits for a turn before each step, and writes the step's line after it."""

    def __init__(self) -> None:
        self.trainer: Trainer | None = None
        self._begun = 0.0

    def is_over(self) -> bool:
        """Wait for a line; True if there are no more."""
        line = sys.stdin.readline()
        self._begun = time.perf_counter()
        return not line

    def on_step(self, record: StepRecord) -> None:
        """Write what the step came to."""
        assert self.trainer is not None
        self.trainer.flush()  # a run goes on meanwhile, but then it is the other's turn
        engine: Any = self.trainer.engine
        line = {
            "seconds": time.perf_counter() - self._begun,
            "phases": dict(record.seconds),
            "attempts": len(record.rollouts),
            "proposals": len(record.proposals),
            "tokens": record.metrics["sampled_tokens"],
            "children": len(record.events),
            "memory": engine.peak_memory(),
        }
        print(json.dumps(line), flush=True)


def attend(config: Path, directory: Path, overrides: Sequence[tuple[str, str]]) -> None:
    """A population's process: one step for every line of standard input, one JSON line for each."""
    turns = Turns()
    # Standard output is for the lines alone.
    keys = [*overrides, ("callbacks", "[]")]
    with start(load_config(config, keys), directory, callbacks=[turns]) as trainer:
        turns.trainer = trainer
        print(json.dumps({"members": len(trainer.population)}), flush=True)
        trainer.run(turns.is_over)


class Side:
    """One population, stepped from here."""

    def __init__(self, config: Path, directory: Path, overrides: Mapping[str, str]):
        """Start it: a run of `config` with these keys, in `directory`."""
        command = [sys.executable, "-m", "bench.sides", str(config), str(directory)]
        words = [word for pair in overrides.items() for word in pair]
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


def step_in_turns(sides: Sequence["Side"], steps: int, warm: int) -> None:
    """Step all sides so often, who begins alternating; what the first `warm` took is forgotten."""
    for step in range(steps):
        for side in sides if step % 2 else reversed(sides):
            side.step()
            if step + 1 == warm:
                side.steps.clear()
    for side in sides:
        side.close()


if __name__ == "__main__":
    _, config, directory, *words = sys.argv
    attend(Path(config), Path(directory), list(zip(words[::2], words[1::2], strict=True)))
