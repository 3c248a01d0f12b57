"""A run that is watched beside the same run unwatched: the time of its steps, and its bytes.

`python -m bench.watch_beside [--repeats N]`: both do the same steps in turns within one process,
with the real parts and the default config. The server of the page and a client that asks for what
is new every two seconds, as the page does, are processes of their own; while the other run has its
turn they stand still, so all that they do falls into the steps of the watched one. Steps on a
shared machine scatter by more than a watcher costs: its processor time is printed as well.
"""

import argparse
import math
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import psutil
import torch

from bench.ratios import Ratio, in_turns, ratio, table
from bench.watch import serve
from redqueen import build
from redqueen.config import load_config
from redqueen.store import RunStore
from redqueen.trainer import Trainer

BAR = 1.01
"""Largest ratio of a step's time to that without a watcher."""
CONFIG = Path("configs/default.toml")
ASK = """
import json, sys, time, urllib.parse, urllib.request
version = ""
while True:
    query = urllib.parse.urlencode({"since": version})
    with urllib.request.urlopen(f"{sys.argv[1]}page?{query}") as answer:
        version = json.loads(answer.read()).get("version", version)
    time.sleep(2)
"""


def same_rows(one: Path, other: Path, steps: int) -> bool:
    """Return whether two runs have the same proposals, matches and verdicts."""
    with RunStore.open(one, read_only=True) as left, RunStore.open(other, read_only=True) as right:
        return (
            left.load_matches() == right.load_matches()
            and left.load_solve_counts() == right.load_solve_counts()
            and all(
                left.load_proposals(step) == right.load_proposals(step)
                for step in range(1, steps + 1)
            )
        )


def watched(repeats: int, folder: Path, keys: dict[str, str]) -> tuple[list[Ratio], bool, bool]:
    """Return what watching costs a step, and whether adapters and rows are equal."""
    with ExitStack() as stack:
        runs = {
            name: stack.enter_context(
                build.start(load_config(CONFIG, [*keys.items()]), folder / name)
            )
            for name in ("watched", "without")
        }
        server, url = serve(folder / "watched")
        client = subprocess.Popen([sys.executable, "-c", ASK, url])
        watchers = (server, client)
        handles = [psutil.Process(process.pid) for process in watchers]
        for process in watchers:
            process.send_signal(signal.SIGSTOP)

        costs: list[float] = []

        def beside() -> None:
            before = _processor_seconds(handles)
            for process in watchers:
                process.send_signal(signal.SIGCONT)
            _step(runs["watched"])
            for process in watchers:
                process.send_signal(signal.SIGSTOP)
            costs.append(_processor_seconds(handles) - before)

        works: dict[str, Callable[[], object]] = {
            "watched": beside,
            "without": lambda: _step(runs["without"]),
        }
        try:
            seconds = in_turns(works, repeats)
            if client.poll() is not None:
                raise RuntimeError(f"the client has ended with {client.returncode}")
        finally:
            for process in watchers:
                process.kill()
                process.wait()
        one, other = (run.adapters.buffer for run in runs.values())
        equal = torch.equal(one, other)
    line = ratio("a watched step over one without", seconds["watched"], seconds["without"],
                 "lower", BAR)  # fmt: skip
    share = ratio("processor time of the watchers", costs[1:],
                  [psutil.cpu_count() * each for each in seconds["watched"]], "lower", BAR - 1,
                  "over that of all cores in the same steps: the most it can take")  # fmt: skip
    return [line, share], equal, same_rows(folder / "watched", folder / "without", repeats + 1)


def _processor_seconds(processes: Sequence[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return math.fsum(each.user + each.system for each in times)


def _step(run: Trainer) -> None:
    last = run.step + 1
    run.run(should_stop=lambda: run.step >= last)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    keys = {"steps": "1000", "eval.enabled": "false", "checkpoint_every": "1000"}
    keys |= dict(item.split("=", 1) for item in args.set)
    with tempfile.TemporaryDirectory() as folder:
        lines, equal, same = watched(args.repeats, Path(folder), keys)
    print(table(lines))
    print(f"adapters {'equal' if equal else 'DIFFER'}, rows {'equal' if same else 'DIFFER'}")
    return 0 if all(line.held for line in lines) and equal and same else 1


if __name__ == "__main__":
    raise SystemExit(main())
