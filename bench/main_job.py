"""The default run with several seeds, measured on a large held-out sample.

    python -m bench.main_job                  three seeds, 1,000 tasks x 4 samples each

Each seed is `redqueen train` as a user would call it. Runs that are finished already are only read
again, unfinished ones are resumed. Exits with status 1 if a gain is below its bar.
"""

import argparse
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import psutil

from redqueen.report import Estimate, summarize
from redqueen.store import RunStore

SAMPLED_BAR, GREEDY_BAR, MINUTES_BAR, MEMORY_BAR_GIB = 0.08, 0.02, 10.0, 4.0


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


def train(config: Path, directory: Path, seed: int, tasks: int, samples: int) -> bool:
    """Run or resume; False if the run is there, trained and measured."""
    command = [sys.executable, "-m", "redqueen.cli"]
    if not (directory / "run.db").exists():
        command += ["train", str(config), "--out", str(directory), "--seed", str(seed)]
        command += ["--eval.tasks", str(tasks), "--eval.samples", str(samples)]
    else:
        with RunStore.open(directory, read_only=True) as store:
            if store.suites():
                return False
        command += ["resume", str(directory)]
    subprocess.run(command, check=True)
    return True


def show(estimate: Estimate) -> str:
    return f"{100 * estimate.value:5.1f} ({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("configs/default.toml"))
    parser.add_argument("--out", type=Path, default=Path("runs/bench-main-job"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=4)
    args = parser.parse_args()
    lines, sampled, greedy, minutes = [], list[float](), list[float](), []
    peaks = []
    for seed in args.seeds:
        directory = args.out / f"seed-{seed}"
        with TreeMemory() as memory:
            ran = train(args.config, directory, seed, args.tasks, args.samples)
        if ran:
            peaks.append(memory.peak)
        with RunStore.open(directory, read_only=True) as store:
            result = summarize(store, store.suites()[0])
            seconds = sum(phase.seconds for phase in store.load_phases())
        if result is None:
            raise SystemExit(f"{directory} has no evaluation")
        base, mean = result.standings[0], result.headline
        minutes.append(seconds / 60)
        for mode, gains in (("sampled", sampled), ("greedy", greedy)):
            gain = mean.gains[mode, "all"]
            gains.append(gain.value)
            lines.append(
                f"seed {seed} {mode:8} base {show(base.rates[mode, 'all'])}  "
                f"mean {show(mean.rates[mode, 'all'])}  gain {show(gain)}"
            )
    largest = f"{max(peaks):.2f} GiB" if peaks else "not measured, no run was made now"
    print(f"\n{args.tasks} held-out tasks x {args.samples} samples; 95 % intervals, points")
    print("\n".join(lines))
    print(
        f"training minutes {', '.join(f'{value:.1f}' for value in minutes)}; "
        f"peak memory of all processes: {largest}; "
        f"mean greedy gain {100 * sum(greedy) / len(greedy):+.1f}"
    )
    good = (
        min(sampled) >= SAMPLED_BAR
        and sum(greedy) / len(greedy) >= GREEDY_BAR
        and max(minutes) <= MINUTES_BAR
        and max(peaks, default=0.0) <= MEMORY_BAR_GIB
    )
    print("bars held" if good else "BELOW THE BAR")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
