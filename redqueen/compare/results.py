"""What a comparison reads of its runs: each one's own database, nothing else.

Shapes: M members, T tasks.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

import numpy as np
from numpy.typing import NDArray

from redqueen.store import EvaluationRow, RunReader, RunStore
from redqueen.types import Role

Floats = NDArray[np.float64]

FEATURES = {
    "ast_depth": "depth of the syntax tree",
    "cyclomatic": "cyclomatic complexity",
    "lines": "lines of code",
}
"""Features of tasks whose means are followed over a run, with their titles."""
MODES = ("sampled", "greedy")
"""How students are measured; the first one decides the claims."""


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step of a run."""

    step: int
    seconds: float
    proposals: int
    coverage: float | None


@dataclass(frozen=True, slots=True)
class KindRow:
    """One task kind of one step: its valid tasks, and the attempts at them."""

    step: int
    kind: str
    tasks: int
    features: Mapping[str, float]
    """Means over the tasks."""
    attempts: int
    attempted: int
    """Tasks that were attempted."""
    rates: float
    """Sum over these of the task's solve rate."""
    rates2: float
    """Sum of its squares."""


@dataclass(frozen=True, slots=True)
class Answers:
    """One run's success rates on one suite in one mode, by member and task."""

    members: tuple[str, ...]
    rates_MT: Floats
    base_T: Floats | None
    kinds_T: NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class RunResult:
    """One finished run."""

    entry: str
    seed: int
    steps: tuple[StepRow, ...]
    kinds: Mapping[str, tuple[KindRow, ...]]
    """By kind, in step order; a step without such a task has no row."""
    answers: Mapping[tuple[str, str], Answers]
    """By (suite, mode)."""

    @property
    def last(self) -> int:
        """Number of steps."""
        return self.steps[-1].step

    @property
    def step_seconds(self) -> float:
        """Median wall clock of a step; the first, which warms up, is left out if there are more."""
        return median(row.seconds for row in self.steps[1:] or self.steps)

    @property
    def attempts(self) -> int:
        """Attempts that were made."""
        return sum(row.attempts for rows in self.kinds.values() for row in rows)

    @property
    def proposals(self) -> int:
        """Proposals that were written."""
        return sum(row.proposals for row in self.steps)

    def solve_rate(self, steps: range) -> float:
        """Mean over tasks within kinds, then over kinds; not-a-number without attempts."""
        rates = []
        for rows in self.kinds.values():
            chosen = [row for row in rows if row.step in steps]
            attempted = sum(row.attempted for row in chosen)
            if attempted:
                rates.append(sum(row.rates for row in chosen) / attempted)
        return fmean(rates) if rates else float("nan")

    def feature(self, name: str, steps: range) -> float:
        """Mean of a feature over the tasks within kinds, then over kinds; not-a-number without."""
        means = [mean_feature(rows, name, steps) for rows in self.kinds.values()]
        finite = [value for value in means if np.isfinite(value)]
        return fmean(finite) if finite else float("nan")

    def coverage(self, steps: range) -> float:
        """The last value within some steps; not-a-number without one."""
        rows = (row for row in reversed(self.steps) if row.step in steps)
        return next((row.coverage for row in rows if row.coverage is not None), float("nan"))


def mean_feature(rows: Sequence[KindRow], name: str, steps: range) -> float:
    """Mean over the tasks of some steps; not-a-number without any."""
    chosen = [row for row in rows if row.step in steps and name in row.features]
    total = sum(row.tasks for row in chosen)
    return sum(row.tasks * row.features[name] for row in chosen) / total if total else float("nan")


def thirds(last: int) -> tuple[range, range]:
    """Steps of the first and of the last third of a run."""
    size = max(1, last // 3)
    return range(1, size + 1), range(last - size + 1, last + 1)


# ── reading a run's database ────────────────────────────────────────────────────────────────────


def _steps(store: RunReader) -> tuple[StepRow, ...]:
    seconds: defaultdict[int, float] = defaultdict(float)
    for time in store.load_phases():
        seconds[time.step] += time.seconds
    proposals = Counter[int]()
    for outcome in store.load_outcomes():
        proposals[outcome.step] += outcome.count
    coverage = dict(store.load_metrics("coverage"))
    return tuple(
        StepRow(step, seconds[step], proposals[step], coverage.get(step)) for step in store.steps()
    )


def _kinds(store: RunReader) -> dict[str, tuple[KindRow, ...]]:
    features: defaultdict[tuple[int, str], list[Mapping[str, float]]] = defaultdict(list)
    for step, kind, values in store.load_features():
        features[step, kind].append(values)
    attempts = Counter[tuple[int, str]]()
    rates: defaultdict[tuple[int, str], list[float]] = defaultdict(list)
    for item in store.load_task_rates():
        attempts[item.step, item.kind] += item.attempts
        rates[item.step, item.kind].append(item.correct / item.attempts)
    rows: defaultdict[str, list[KindRow]] = defaultdict(list)
    for step, kind in sorted(features.keys() | rates.keys()):
        tasks, solved = features[step, kind], rates[step, kind]
        means = {
            name: fmean(task[name] for task in tasks if name in task)
            for name in FEATURES
            if any(name in task for task in tasks)
        }
        squares = sum(rate * rate for rate in solved)
        rows[kind].append(
            KindRow(
                step,
                kind,
                len(tasks),
                means,
                attempts[step, kind],
                len(solved),
                sum(solved),
                squares,
            )
        )
    return {kind: tuple(listed) for kind, listed in rows.items()}


def _answers(rows: Sequence[EvaluationRow], living: Sequence[str]) -> dict[str, Answers]:
    """By mode, of the rows of one suite."""
    answers = {}
    for mode in {row.mode for row in rows}:
        rates: defaultdict[str, dict[str, float]] = defaultdict(dict)
        kinds = {}
        for row in rows:
            if row.mode == mode:
                rates[row.subject][row.task_id] = row.correct / row.samples
                kinds[row.task_id] = row.kind
        tasks = sorted(kinds)
        members = tuple(name for name in living if name in rates)
        if not members:
            continue
        base = rates.get("base")
        answers[mode] = Answers(
            members,
            np.array([[rates[name][task] for task in tasks] for name in members]),
            np.array([base[task] for task in tasks]) if base else None,
            np.array([kinds[task] for task in tasks]),
        )
    return answers


def read_run(directory: Path, entry: str, seed: int) -> RunResult:
    """Everything that tables, claims and the page read of a run.

    Raises:
        ConfigError: `directory` holds no run of this version.
    """
    with RunStore.open(directory, read_only=True) as store:
        members = store.load_members()
        living = [f"member:{m.id}" for m in members if m.died is None and Role.STUDENT in m.roles]
        answers = {
            (suite, mode): one
            for suite in store.suites()
            for mode, one in _answers(store.load_evaluations(suite), living).items()
        }
        return RunResult(entry, seed, _steps(store), _kinds(store), answers)
