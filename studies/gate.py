"""The gate: what must hold on a base before a study of it is worth a night.

    python -m studies.gate comparisons/gate

Reads the finished runs of `configs/gate/gate.toml`, and `learner/seed-*.json` beside them, which
`python -m bench.learning --write` leaves. Prints a row for each bar, with what was measured.
Shapes: R runs, T tasks, M members.
"""

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean, median

import numpy as np

from redqueen.compare.plan import plan
from redqueen.compare.runner import next_command, run_directory
from redqueen.compare.study import load_study
from redqueen.report.statistics import Effect, crossed_mean, mean_over_runs
from redqueen.store import ELICITED, RunReader, RunStore
from redqueen.types import Role

LATE = 3
"""What is late is the last of so many parts of a run, what is early the first."""


def gains(runs: Sequence[RunReader], suite: str) -> Effect | None:
    """Return the students' mean gain over the elicited base, sampled, over runs and tasks."""
    rows_RT = []
    for run in runs:
        living = {f"member:{m.id}" for m in run.load_members()
                  if m.died is None and Role.STUDENT in m.roles}  # fmt: skip
        rates: dict[str, dict[str, float]] = {}
        for row in run.load_evaluations(suite):
            if row.mode == "sampled":
                rates.setdefault(row.task_id, {})[row.subject] = row.correct / row.samples
        rows_RT.append([
            fmean(of[name] for name in living) - of[ELICITED] for _, of in sorted(rates.items())
        ])  # fmt: skip
    return crossed_mean(np.array(rows_RT)) if rows_RT else None


def teachers_change(run: RunReader) -> float:
    """Return the teachers' mean reward in the last part of a run minus that of the first."""
    rewards = [value for _, value in run.load_teacher_rewards()]
    size = max(1, len(rewards) // LATE)
    return fmean(rewards[-size:]) - fmean(rewards[:size])


def mixed_share(run: RunReader) -> float:
    """Return the share of a run's groups with mixed verdicts."""
    counts = run.load_group_counts()
    return sum(item.mixed for item in counts) / sum(item.groups for item in counts)


def reliability(run: RunReader) -> float:
    """Return the median reliability of a run's generations, of the role where it is lower."""
    courses = [run.load_metrics(f"fitness_reliability/{role}") for role in ("teacher", "student")]
    return min(median(value for _, value in course) for course in courses)


def outside_share(run: RunReader) -> float:
    """Return the mean share of late valid tasks with a construct or pair that no seed task has."""
    shares = [value for _, value in run.load_metrics("outside_seeds")]
    return fmean(shares[-max(1, len(shares) // LATE) :])


def fitness_correlation(run: RunReader, suite: str) -> float:
    """Return the correlation of the students' fitness in the last probe with their suite score."""
    scores: dict[int, list[float]] = {}
    for row in run.load_evaluations(suite):
        _, _, member = row.subject.partition("member:")
        if row.mode == "sampled" and member:
            scores.setdefault(int(member), []).append(row.correct / row.samples)
    fitness = {id_: run.load_metrics(f"member/{id_}/fitness") for id_ in scores}
    pairs = [(course[-1][1], fmean(scores[id_])) for id_, course in fitness.items() if course]
    return float(np.corrcoef(np.array(pairs).T)[0, 1])


Measure = Callable[[Sequence[RunReader]], Effect | None]


def each(measure: Callable[..., float], *values: str) -> Measure:
    """Return what measures every run on its own and takes the mean."""

    def of(runs: Sequence[RunReader]) -> Effect | None:
        if not runs:
            return None
        return mean_over_runs(np.array([measure(run, *values) for run in runs]))

    return of


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of the gate."""

    title: str
    entry: str
    """The study's entry whose runs it reads."""
    measure: Measure
    least: float
    """What the estimate must reach."""
    above: float = -math.inf
    """What its 95 % interval must be above."""

    def row(self, effect: Effect | None) -> str:
        """Return the row of a Markdown table."""
        bar = f"at least {self.least:g}"
        bar += f", interval above {self.above:g}" if math.isfinite(self.above) else ""
        if effect is None:
            return f"| {self.title} | {bar} | not measured | |"
        estimate = effect.estimate()
        asked = math.isfinite(self.above)
        holds = effect.value >= self.least and (not asked or estimate.low > self.above)
        figure = f"{effect.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f}), {effect.n} runs"
        return f"| {self.title} | {bar} | {figure} | {'holds' if holds else 'misses'} |"


POPULATION = "populora-4x4"
BARS = (
    Bar("teachers' reward on frozen students, late minus early", "frozen-students",
        each(teachers_change), 0.0, 0.0),
    Bar("`rlvr` over the elicited base, near", "rlvr", partial(gains, suite="held-out"), 0.03, 0.0),
    Bar("`rlvr` over the elicited base, middle", "rlvr", partial(gains, suite="middle"), 0.03, 0.0),
    Bar("groups with mixed verdicts", POPULATION, each(mixed_share), 0.5),
    Bar("reliability of fitness", POPULATION, each(reliability), 0.5),
    Bar("correlation of fitness with the near suite", POPULATION,
        each(fitness_correlation, "held-out"), 0.4),
    Bar("late tasks with a construct or pair that no seed task has", POPULATION,
        each(outside_share), 0.2),
)  # fmt: skip


def learner_row(out: Path) -> str:
    """Return the row of the learner: the gain on fixed hard tasks, over seeds."""
    files = sorted((out / "learner").glob("seed-*.json"))
    gains_R = [json.loads(path.read_text(encoding="utf-8"))["gain"] for path in files]
    bar = Bar("one student on 32 fixed hard tasks, given the format", "", each(float), 0.3, 0.0)
    return bar.row(mean_over_runs(np.array(gains_R)) if gains_R else None)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out", type=Path, help="the folder of the comparison")
    out = parser.parse_args().out
    checked = plan(load_study(out / "study.toml"))
    print("| gate | bar | measured | |", "|---|---|---|---|", learner_row(out), sep="\n")
    with ExitStack() as stack:
        runs = defaultdict(list)
        for run in checked.runs:
            if next_command(run, out) is None:
                store = RunStore.open(run_directory(out, run), read_only=True)
                runs[run.entry.name].append(stack.enter_context(store))
        for bar in BARS:
            print(bar.row(bar.measure(runs[bar.entry])))


if __name__ == "__main__":
    main()
