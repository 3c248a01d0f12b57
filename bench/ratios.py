"""Ratios measured side by side: works in turns within one run, and what to print of them."""

import gc
import json
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Ratio:
    """One line of a benchmark: the median of paired ratios, and their range."""

    name: str
    value: float
    low: float
    high: float
    repeats: int
    better: Literal["lower", "higher"]
    bar: float | None = None
    detail: str = ""

    @property
    def held(self) -> bool | None:
        """Is the bar reached? None without a bar."""
        if self.bar is None:
            return None
        return self.value <= self.bar if self.better == "lower" else self.value >= self.bar


def in_turns(
    works: Mapping[str, Callable[[], object]],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
    most_seconds: float = math.inf,
) -> dict[str, list[float]]:
    """Seconds of each work, `repeats` times after one that warms up; who begins alternates.

    Fewer times, but once, where another round would take it past `most_seconds` in all.

    What was there before is kept out of garbage collection: a full one, with the libraries' objects
    in it, takes as long as some of the works, and would strike one of them now and then.
    """
    gc.collect()
    gc.freeze()
    seconds: dict[str, list[float]] = {name: [] for name in works}
    started = clock()
    try:
        for repeat in range(repeats + 1):
            if repeat > 1 and (clock() - started) * (repeat + 1) / repeat > most_seconds:
                break
            for name in sorted(works, reverse=repeat % 2 == 0):
                begun = clock()
                works[name]()
                if repeat:
                    seconds[name].append(clock() - begun)
    finally:
        gc.unfreeze()
    return seconds


def ratio(
    name: str,
    above: Sequence[float],
    below: Sequence[float],
    better: Literal["lower", "higher"],
    bar: float | None = None,
    detail: str = "",
) -> Ratio:
    """`above` over `below`, pair by pair."""
    pairs = [a / b for a, b in zip(above, below, strict=True)]
    return Ratio(
        name, statistics.median(pairs), min(pairs), max(pairs), len(pairs), better, bar, detail
    )


def table(ratios: Sequence[Ratio]) -> str:
    """The lines at 80 columns: name, ratio with range, bar; details below."""
    lines = []
    for item in ratios:
        verdict = {None: "", True: "held", False: "MISSED"}[item.held]
        sign = "<=" if item.better == "lower" else ">="
        bar = f"{sign} {item.bar:g} {verdict}" if item.bar is not None else ""
        spread = f"{item.value:8.2f} ({item.low:.2f} to {item.high:.2f}, {item.repeats}x)"
        lines.append(f"{item.name:<34.34}{spread:<30}{bar:>16}")
        if item.detail:
            lines.append(f"    {item.detail}")
    return "\n".join(lines)


def write(path: Path, ratios: Sequence[Ratio]) -> None:
    """The same as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [asdict(item) | {"held": item.held} for item in ratios]
    path.write_text(json.dumps(rows, indent=1), encoding="utf-8")
