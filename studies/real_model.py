"""What a base learnt in the runs of a comparison: form apart from reasoning, and curves.

    python -m studies.real_model comparisons/real-model docs/real-model     collect, then print
    python -m studies.real_model docs/real-model                            print again

Collecting writes a JSON file for each run: verdicts by task, and metrics by step. An answer is of
the wanted form if it can be read and ends: neither malformed nor cut off. Accuracy given the form
tells what is solved of those; a gain in accuracy with none in that is a gain in form. Differences
are paired by task, with intervals of a bootstrap over tasks: one run says nothing of how runs
differ.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from redqueen.report.statistics import bootstrap_means, gain_estimate
from redqueen.rng import numpy_rng
from redqueen.store import BASE, ELICITED, RunStore

CURVES = ("valid_rate", "solve_rate", "mixed_groups", "truncated", "coverage", "logprob_mismatch")
TEN = 10
"""Steps of a row of the curves."""

Counts = tuple[int, int, int]
"""Attempts, right ones, and those of the wanted form."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: `counts` by (suite, mode), subject and task, `curves` by metric from step 1 on."""

    name: str
    counts: Mapping[tuple[str, str], Mapping[str, Mapping[str, Counts]]]
    curves: Mapping[str, Sequence[float]]
    seconds: Sequence[float]
    """Of every step."""


def collect(directory: Path, name: str) -> Measured:
    """Return what the database of a run has."""
    with RunStore.open(directory, read_only=True) as store:
        rows = store.rows(
            "SELECT suite, mode, subject, task_id, count(*) AS attempts, "
            "sum(verdict = 'correct') AS correct, "
            "sum(verdict NOT IN ('malformed', 'truncated')) AS formed "
            "FROM evaluations WHERE NOT staged GROUP BY suite, mode, subject, task_id"
        )
        counts: dict[tuple[str, str], dict[str, dict[str, Counts]]] = {}
        for row in rows:
            subjects = counts.setdefault((row["suite"], row["mode"]), {})
            tasks = subjects.setdefault(row["subject"], {})
            tasks[row["task_id"]] = (row["attempts"], row["correct"], row["formed"])
        curves = {key: [value for _, value in store.load_metrics(key)] for key in CURVES}
        seconds: dict[int, float] = {}
        for phase in store.load_phases():
            seconds[phase.step] = seconds.get(phase.step, 0.0) + phase.seconds
    return Measured(name, counts, curves, [seconds[step] for step in sorted(seconds)])


def write(measured: Measured, directory: Path) -> None:
    """Write a run's JSON file."""
    values = {
        "counts": {"/".join(key): subjects for key, subjects in measured.counts.items()},
        "curves": measured.curves,
        "seconds": [round(value, 3) for value in measured.seconds],
    }
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{measured.name}.json"
    path.write_text(json.dumps(values, separators=(",", ":")) + "\n", encoding="utf-8")


def read(path: Path) -> Measured:
    """Return a run from its JSON file."""
    values = json.loads(path.read_text(encoding="utf-8"))
    counts = {}
    for key, subjects in values["counts"].items():
        suite, _, mode = key.rpartition("/")
        counts[suite, mode] = {
            subject: {task: (n, right, formed) for task, (n, right, formed) in tasks.items()}
            for subject, tasks in subjects.items()
        }
    return Measured(path.stem, counts, values["curves"], values["seconds"])


def _rates(
    subjects: Mapping[str, Mapping[str, Counts]], names: Sequence[str]
) -> tuple[NDArray[np.float64], float, float]:
    """Return the accuracy by task, the mean of some subjects; their form, and accuracy given it."""
    tasks = sorted(subjects[names[0]])
    counts_STC = np.array([[subjects[name][task] for task in tasks] for name in names], dtype=float)
    rate_T = (counts_STC[..., 1] / counts_STC[..., 0]).mean(0)
    attempts, right, formed = counts_STC.sum((0, 1))
    return rate_T, formed / attempts, right / max(formed, 1.0)


def _difference(gain_T: NDArray[np.float64]) -> str:
    draws = bootstrap_means(gain_T[:, None], numpy_rng("real model", 0))[:, 0]
    gain = gain_estimate(gain_T, draws)
    return f"{100 * gain.value:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"


def results(runs: Sequence[Measured]) -> str:
    """Return the table of all suites: accuracy, form, accuracy given the form, gains."""
    lines = [
        "| run | measured on | who | right, % | of the wanted form, % | right given the form, % "
        "| over the base | over the elicited base |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for run in runs:
        for (suite, mode), subjects in run.counts.items():
            members = [name for name in subjects if name.startswith("member:")]
            groups = {"base": [BASE], "elicited base": [ELICITED], "students": members}
            groups = {label: names for label, names in groups.items() if names[0] in subjects}
            for label, names in groups.items():
                rate_T, form, given = _rates(subjects, names)
                cells = [f"{100 * value:.1f}" for value in (rate_T.mean(), form, given)]
                gains = [
                    _difference(rate_T - _rates(subjects, groups[other])[0])
                    if label == "students" and other in groups
                    else "-"
                    for other in ("base", "elicited base")
                ]
                where = f"{suite}, {mode}, {len(rate_T)} tasks"
                lines.append("| " + " | ".join([run.name, where, label, *cells, *gains]) + " |")
    return "\n".join(lines)


def curves(runs: Sequence[Measured]) -> str:
    """Return the means of ten steps each."""
    lines = [f"| run | steps | seconds a step | {' | '.join(CURVES)} |", "|---|---|" + "---:|" * 7]
    for run in runs:
        for start in range(0, len(run.seconds), TEN):
            cells = [f"{np.mean(run.seconds[start : start + TEN]):.1f}"]
            for key in CURVES:
                part = run.curves[key][start : start + TEN]
                cells.append(f"{np.nanmean(part):.3g}" if len(part) else "-")
            steps = f"{start + 1} to {min(start + TEN, len(run.seconds))}"
            lines.append(f"| {run.name} | {steps} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Collect, if a second directory is given; print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="of a comparison, or of JSON files")
    parser.add_argument("out", type=Path, nargs="?", help="where the JSON files go")
    args = parser.parse_args(argv)
    folder = args.out or args.directory
    if args.out:
        for path in sorted(args.directory.glob("runs/*/*/run.db")):
            write(collect(path.parent, path.parent.parent.name), args.out)
    runs = [read(path) for path in sorted(folder.glob("*.json"))]
    print(results(runs), curves(runs), sep="\n\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
