"""The main job, `make run`, with several seeds, measured on a large held-out sample.

    python -m bench.main_job                  three seeds, 600 tasks x 2 samples of each suite

Each seed is `redqueen train` as a user would call it. Runs that are finished already are only read
again, unfinished ones are resumed. Exits with status 1 unless the interval of every seed's gain
over the elicited base, first suite, sampled, is above 0, and training keeps to time and memory.
"""

import argparse
import json
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import psutil

from redqueen.report import Estimate, summarize
from redqueen.report.heldout import ALL, HeldOut
from redqueen.store import RunStore

MINUTES_BAR, MEMORY_BAR_GIB = 10.0, 4.0


class TreeMemory:
    """Most memory that the processes started from here held at one time, in GiB.

    Sampled twice a second; pages that several share count once (proportional set size; where the
    system has none, resident size).
    """

    def __init__(self) -> None:
        self.peak = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            held = 0
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    memory = process.memory_full_info()
                    held += getattr(memory, "pss", memory.rss)
            self.peak = max(self.peak, held / 2**30)

    def __enter__(self) -> "TreeMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def train(config: Path, directory: Path, seed: int, args: argparse.Namespace) -> bool:
    """Run or resume; False if the run is there, trained and measured."""
    command = [sys.executable, "-m", "redqueen.cli"]
    if not (directory / "run.db").exists():
        command += ["train", str(config), "--out", str(directory), "--seed", str(seed)]
        command += ["--eval.tasks", str(args.tasks), "--eval.samples", str(args.samples)]
        command += ["--eval.suites", json.dumps(args.suites)]
    else:
        with RunStore.open(directory, read_only=True) as store:
            if store.suites():
                return False
        command += ["resume", str(directory)]
    subprocess.run(command, check=True)
    return True


def show(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f} ({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"


def rows(seed: int, result: HeldOut) -> list[str]:
    """Return two lines for each mode of one suite: base and students' mean, and the gains."""
    base, mean = result.standings[0], result.headline
    lines = []
    for mode in result.modes:
        key = (mode, ALL)
        lines += [
            f"seed {seed}, {result.suite}, {mode}: base {show(base.rates[key])}, "
            f"mean {show(mean.rates[key])}",
            f"    over the base {show(mean.gains[key])}, "
            f"over the elicited base {show(mean.over_elicited[key])}",
        ]
    return lines


def main() -> int:
    """Train, measure, and print a table; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("configs/laptop.toml"))
    parser.add_argument("--out", type=Path, default=Path("runs/bench-main-job"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--suites", nargs="+", default=["held-out", "middle", "far"])
    parser.add_argument("--tasks", type=int, default=600)
    parser.add_argument("--samples", type=int, default=2)
    args = parser.parse_args()
    lines, lowest, minutes, peaks = [], list[float](), list[float](), []
    for seed in args.seeds:
        directory = args.out / f"seed-{seed}"
        with TreeMemory() as memory:
            ran = train(args.config, directory, seed, args)
        if ran:
            peaks.append(memory.peak)
        with RunStore.open(directory, read_only=True) as store:
            results = [summarize(store, suite) for suite in args.suites]
            minutes.append(sum(phase.seconds for phase in store.load_phases()) / 60)
        measured = [result for result in results if result is not None]
        if len(measured) < len(results):
            raise SystemExit(f"{directory} was not measured on all of {', '.join(args.suites)}")
        lines += [line for result in measured for line in rows(seed, result)]
        lowest.append(measured[0].headline.over_elicited["sampled", ALL].low)
    largest = f"{max(peaks):.2f} GiB" if peaks else "not measured, no run was made now"
    print(f"\n{args.tasks} tasks a suite x {args.samples} samples; 95 % intervals, points")
    print("\n".join(lines))
    print(
        f"training minutes {', '.join(f'{value:.1f}' for value in minutes)}; "
        f"peak memory of all processes: {largest}"
    )
    good = (
        min(lowest) > 0.0
        and max(minutes) <= MINUTES_BAR
        and max(peaks, default=0.0) <= MEMORY_BAR_GIB
    )
    print("bars held" if good else "BELOW THE BAR")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
