"""Benchmark results: pass@k and means with intervals, as a table and as lm-evaluation-harness JSON.

Shapes: n tasks, S subjects.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from redqueen import __version__
from redqueen.files import write_text
from redqueen.report import figures
from redqueen.report.results import rate_cell
from redqueen.report.statistics import Estimate, Floats, bootstrap_means, rate_estimate
from redqueen.rng import numpy_rng
from redqueen.store import BenchmarkAttempt, RunReader

BASE = "base"


@dataclass(frozen=True, slots=True)
class Line:
    """One measure of one benchmark: an estimate for each subject, and for `mean`, the members'."""

    benchmark: str
    metric: str
    tasks: int
    samples: int
    estimates: Mapping[str, Estimate]


def pass_at_k(n: int, correct: int, k: int) -> float:
    """Return the unbiased estimate of pass@k from n attempts: 1 - C(n-c, k) / C(n, k) (Chen et al.,
    arXiv 2107.03374, equation 1).

    Raises:
        ValueError: not 1 <= k <= n, or `correct` is not in [0, n].
    """
    if not (1 <= k <= n and 0 <= correct <= n):
        raise ValueError(f"no pass@{k} of {correct} correct among {n} attempts")
    return 1.0 - comb(n - correct, k) / comb(n, k)


def benchmark_lines(run: RunReader) -> list[Line]:
    """Return the results of all benchmarks, greedy before sampled.

    Intervals: 95 %, bootstrap over tasks with fixed seeds. A subject counts if it attempted all
    tasks of the benchmark that were measured.
    """
    attempts: dict[tuple[str, str], list[BenchmarkAttempt]] = {}
    for attempt in run.benchmark_attempts():
        attempts.setdefault((attempt.benchmark, attempt.mode), []).append(attempt)
    return [
        line
        for (benchmark, mode), items in attempts.items()
        for line in _lines(benchmark, mode, items)
    ]


def _lines(benchmark: str, mode: str, attempts: Sequence[BenchmarkAttempt]) -> Iterator[Line]:
    """Yield the lines of one mode: the verdicts first, then the further metrics."""
    for name in ("", *sorted({name for item in attempts for name in item.metrics})):
        scores: dict[str, dict[str, list[float]]] = {}
        for item in attempts:
            score = item.metrics.get(name, 0.0) if name else float(item.correct)
            scores.setdefault(item.subject, {}).setdefault(item.task_id, []).append(score)
        tasks = max(scores.values(), key=len).keys()
        scores = {subject: of for subject, of in scores.items() if of.keys() == tasks}
        samples = min(len(values) for of in scores.values() for values in of.values())
        label = f"{name} " if name else ""
        if mode == "greedy":
            yield _line(benchmark, f"{label}pass@1", scores, samples, 1)
            continue
        if mode == "vote":
            yield _line(benchmark, f"{label}vote", scores, samples, 1)
            continue
        yield _line(benchmark, f"{label}mean@{samples}", scores, samples, 1)
        for k in (2**power for power in range(1, samples.bit_length())):
            if k <= samples:
                yield _line(benchmark, f"{label}pass@{k}", scores, samples, k)


def _line(
    benchmark: str,
    metric: str,
    scores: Mapping[str, Mapping[str, Sequence[float]]],
    samples: int,
    k: int,
) -> Line:
    tasks = sorted(next(iter(scores.values())))
    rates = {
        subject: np.array([_task_rate(of[task], k) for task in tasks])
        for subject, of in scores.items()
    }
    members = [rate for subject, rate in rates.items() if subject.startswith("member:")]
    if len(members) > 1:
        rates["mean"] = np.mean(members, axis=0)
    names = list(rates)
    rates_nS: Floats = np.stack([rates[name] for name in names], axis=1)
    draws = bootstrap_means(rates_nS, numpy_rng("benchmark", benchmark, metric))
    estimates = {name: rate_estimate(rates_nS[:, i], draws[:, i]) for i, name in enumerate(names)}
    return Line(benchmark, metric, len(tasks), samples, estimates)


def _task_rate(scores: Sequence[float], k: int) -> float:
    return (
        float(np.mean(scores))
        if k == 1
        else pass_at_k(len(scores), round(sum(scores)), min(k, len(scores)))
    )


def columns(lines: Sequence[Line]) -> dict[str, str]:
    """Return what a table shows: title -> subject, `mean`, and the best and the weakest member by
    the mean over all first lines of the benchmarks."""
    subjects = list(dict.fromkeys(name for line in lines for name in line.estimates))
    others = [name for name in subjects if name != "mean" and not name.startswith("member:")]
    members = [name for name in subjects if name.startswith("member:")]
    shown = {name: name for name in others}
    if len(members) == 1:
        return shown | {members[0].replace(":", " "): members[0]}
    if members:
        means = {
            member: np.mean([x.estimates[member].value for x in lines if member in x.estimates])
            for member in members
        }
        order = sorted(members, key=lambda member: (-means[member], member))
        shown |= {"mean": "mean", f"best #{order[0][7:]}": order[0]}
        shown |= {f"weakest #{order[-1][7:]}": order[-1]}
    return shown


NOTE = "% solved, 95% interval (bootstrap over tasks) below. n: tasks."
MEMBERS_NOTE = " Best and weakest were picked on these figures, which widens their distance."


def note(lines: Sequence[Line]) -> str:
    """Return how the figures were made."""
    return NOTE + (MEMBERS_NOTE if "mean" in columns(lines).values() else "")


def benchmark_table(lines: Sequence[Line]) -> Table:
    """Return the table for a terminal of 80 columns; of pass@k only the largest k is shown."""
    shown = columns(lines)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, expand=False)
    table.add_column("benchmark", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("n", justify="right")
    for title in shown:
        table.add_column(Text(title), justify="right")
    last = ""
    for line in _shortened(lines):
        cells = [rate_text(line.estimates.get(subject)) for subject in shown.values()]
        name = line.benchmark if line.benchmark != last else ""
        table.add_row(Text(name, style="bold"), Text(line.metric), str(line.tasks), *cells)
        last = line.benchmark
    return table


def _shortened(lines: Sequence[Line]) -> list[Line]:
    """Return the lines without pass@k of k between 1 and the largest."""
    largest = {
        (line.benchmark, line.metric.rpartition("@")[0]): line
        for line in lines
        if "pass@" in line.metric and not line.metric.endswith("pass@1")
    }
    return [
        line
        for line in lines
        if largest.get((line.benchmark, line.metric.rpartition("@")[0]), line) is line
        or line.metric.endswith("pass@1")
    ]


def rate_text(estimate: Estimate | None) -> Text:
    """Return a rate in per cent with its interval below, for a terminal."""
    if estimate is None:
        return Text("-", style="dim")
    text = Text(f"{100 * estimate.value:.1f}")
    text.append(f"\n{100 * estimate.low:.1f}-{100 * estimate.high:.1f}", style="dim")
    return text


def print_benchmarks(run: RunReader, console: Console) -> bool:
    """Print the benchmarks of a run; False if none was measured."""
    lines = benchmark_lines(run)
    if lines:
        console.print(benchmark_table(lines))
        console.print(Text(note(lines), style="dim"))
    return bool(lines)


def benchmark_figure(lines: Sequence[Line]) -> figures.Figure:
    """Return the table of the report's page."""
    shown = columns(lines)
    rows = []
    for line in lines:
        cells = [rate_cell(line.estimates.get(subject)) for subject in shown.values()]
        first = map(figures.Text, (line.benchmark, line.metric, str(line.tasks)))
        rows.append(figures.Row([*first, *cells]))
    head = list(map(figures.Text, ("Benchmark", "", "n", *shown)))
    table = figures.Table(head, rows)
    return figures.Figure("benchmarks", "Benchmarks", [table], note(lines), full=True)


def write_harness_json(run: RunReader, directory: Path, settings: Mapping[str, Any]) -> list[Path]:
    """Write what each subject reached in the shape of lm-evaluation-harness: `results`, `configs`,
    `n-samples` and `higher_is_better` by task; return the paths.

    A standard error is the width of the 95 % interval over 2 x 1.96.
    """
    lines = benchmark_lines(run)
    subjects = dict.fromkeys(name for line in lines for name in line.estimates)
    paths = []
    for subject in subjects:
        results: dict[str, dict[str, Any]] = {}
        counts: dict[str, dict[str, int]] = {}
        better: dict[str, dict[str, bool]] = {}
        for line in lines:
            if subject not in line.estimates:
                continue
            estimate, key = line.estimates[subject], line.metric.replace(" ", "_")
            item = results.setdefault(line.benchmark, {"alias": line.benchmark})
            item[f"{key},none"] = estimate.value
            item[f"{key}_stderr,none"] = (estimate.high - estimate.low) / (2 * 1.959964)
            item[f"{key}_interval,none"] = [estimate.low, estimate.high]
            counts[line.benchmark] = {"effective": line.tasks, "original": line.tasks}
            better.setdefault(line.benchmark, {})[key] = True
        content = {
            "results": results,
            "configs": {name: {"task": name, **settings} for name in results},
            "n-samples": counts,
            "n-shot": dict.fromkeys(results, 0),
            "higher_is_better": better,
            "config": {"model": subject, **settings},
            "redqueen_version": __version__,
        }
        paths.append(directory / f"{subject.replace(':', '-')}.json")
        directory.mkdir(parents=True, exist_ok=True)
        write_text(paths[-1], json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return paths
