"""The main job, `make run`, with several seeds, measured on a large held-out sample.

    python -m bench.main_job                  three seeds, 300 tasks of each suite

Each seed is `redqueen train` as a user would call it, and `redqueen eval` on the other suites, with
fewer samples there; the base is measured once. What is finished already is only read again, an
unfinished run is resumed.
Exits with status 1 unless the interval of every seed's gain over the elicited base, `held-out`,
sampled, is above 0, on all tasks, in the class of tasks that gains least and with the format forced
(`bench.shortcuts`), and training keeps to time and memory.
"""

import argparse
import json
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import psutil

from bench.shortcuts import classes_of, forced_rates, gain, least_gain, rates_of, values_of
from redqueen.config import SandboxConfig
from redqueen.report import Estimate, summarize
from redqueen.report.heldout import ALL, HeldOut
from redqueen.sandbox import make_sandbox
from redqueen.store import RunStore

MINUTES_BAR, MEMORY_BAR_GIB = 10.0, 4.0
BAR_SUITE = "held-out"


class TreeMemory:
    """Most memory that the processes started from here held at one time, in GiB.

    Sampled every three seconds, for it takes a twentieth of one; pages that several share count
    once (proportional set size; where the system has none, resident size).
    """

    def __init__(self) -> None:
        self.peak = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._over.wait(3.0):
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


def redqueen(*words: object) -> None:
    """Run a command as a user would."""
    subprocess.run([sys.executable, "-m", "redqueen.cli", *map(str, words)], check=True)


def measured(directory: Path) -> set[str]:
    """The suites that a run is measured on."""
    if not (directory / "run.db").exists():
        return set()
    with RunStore.open(directory, read_only=True) as store:
        return set(store.suites())


def train(directory: Path, seed: int, args: argparse.Namespace) -> bool:
    """Train or resume a run, and measure it on what is missing; False if there was all of it."""
    missing = [suite for suite in (BAR_SUITE, *args.others) if suite not in measured(directory)]
    if BAR_SUITE in missing:
        if (directory / "run.db").exists():
            redqueen("resume", directory)
        else:
            redqueen(
                "train", args.config, "--out", directory, "--seed", seed,
                "--eval.suites", json.dumps([BAR_SUITE]), "--eval.tasks", args.tasks,
                "--eval.samples", args.samples, "--eval.base_from", json.dumps([str(args.out)]),
            )  # fmt: skip
    for suite in missing:
        if suite != BAR_SUITE:
            redqueen("eval", directory, "--suite", suite, "--tasks", args.tasks,
                     "--samples", args.other_samples)  # fmt: skip
    return bool(missing)


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
    parser.add_argument("--others", nargs="*", default=["middle", "far"], help="other suites")
    parser.add_argument("--tasks", type=int, default=300)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--other-samples", type=int, default=2)
    args = parser.parse_args()
    lines, lowest, minutes, peaks = [], list[float](), list[float](), []
    for seed in args.seeds:
        directory = args.out / f"seed-{seed}"
        with TreeMemory() as memory:
            ran = train(directory, seed, args)
        if ran:
            peaks.append(memory.peak)
        with (
            RunStore.open(directory, read_only=True) as store,
            make_sandbox(SandboxConfig()) as sandbox,
        ):
            results = [summarize(store, suite) for suite in (BAR_SUITE, *args.others)]
            tasks = classes_of(store, BAR_SUITE, sandbox)
            least = Estimate(*least_gain(rates_of(store, BAR_SUITE, "sampled"), tasks), 0)
            if values := values_of(tasks):
                ids = [id_ for several in tasks.values() for id_ in several]
                rates = forced_rates(store, BAR_SUITE, "sampled", values)
                forced = Estimate(*gain(rates, ids), len(ids))
            else:
                forced = least
            minutes.append(sum(phase.seconds for phase in store.load_phases()) / 60)
        whole = [result for result in results if result is not None]
        lines += [line for result in whole for line in rows(seed, result)]
        lines.append(
            "    sampled, over the elicited base, in the class of tasks that gains least "
            f"{show(least)}; with the format forced {show(forced)}"
        )
        lowest += [whole[0].headline.over_elicited["sampled", ALL].low, least.low, forced.low]
    largest = f"{max(peaks):.2f} GiB" if peaks else "not measured, no run was made now"
    print(f"\n{args.tasks} tasks a suite, {args.samples} samples of {BAR_SUITE}, "
          f"{args.other_samples} of others; 95 % intervals, points")  # fmt: skip
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
