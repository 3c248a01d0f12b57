"""A study's results in memory: arrays by step, answers by task."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redqueen.compare.database import KindRow, StepRow, StudyDatabase
from redqueen.compare.study import Study
from redqueen.compare.work import Work

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Results:
    """One run's answers on one suite in one mode: success rates by member and task."""

    members: tuple[str, ...]
    rates_MT: Floats
    base_T: Floats | None

    @property
    def mean_T(self) -> Floats:
        """The average student's rate on each task."""
        mean: Floats = self.rates_MT.mean(axis=0)
        return mean

    @property
    def order(self) -> list[int]:
        """Members from best to weakest, by their rate over all tasks."""
        means_M = self.rates_MT.mean(axis=1)
        return sorted(range(len(means_M)), key=lambda index: -float(means_M[index]))


@dataclass(frozen=True, slots=True)
class RunData:
    """One finished run."""

    entry: str
    seed: int
    steps: tuple[StepRow, ...]
    kinds: Mapping[str, tuple[KindRow, ...]]
    """By kind, in step order; a step without such a task has no row."""
    results: Mapping[tuple[str, str], Results]
    """By (suite, mode)."""
    memory: Mapping[str, float]
    phases: Mapping[str, float]
    """Total seconds."""
    machine: Mapping[str, str]

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


@dataclass(frozen=True, slots=True)
class SuiteTasks:
    """The tasks of a suite, in the order of the answers."""

    kinds: NDArray[np.str_]
    bands: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class StudyData:
    """Everything that tables, claims and the page read."""

    study: Study
    runs: tuple[RunData, ...]
    failed: tuple[tuple[str, int, str], ...]
    """(entry, seed, reason)."""
    suites: Mapping[str, SuiteTasks]
    work: Mapping[str, Work]
    configs: Mapping[str, Mapping[str, Any]]
    commands: tuple[str, ...]

    def of(self, entry: str) -> list[RunData]:
        """The finished runs of an entry, by seed."""
        return sorted((run for run in self.runs if run.entry == entry), key=lambda run: run.seed)

    def pairs(self, one: str, two: str) -> list[tuple[RunData, RunData]]:
        """Runs of two entries with the same seed."""
        others = {run.seed: run for run in self.of(two)}
        return [(run, others[run.seed]) for run in self.of(one) if run.seed in others]

    @property
    def modes(self) -> tuple[str, ...]:
        """Modes that were measured, the deciding one first."""
        return ("sampled", "greedy") if self.study.evaluation.samples else ("greedy",)


def _rates(found: Mapping[str, tuple[int, str]], subjects: Sequence[str]) -> Floats:
    return np.array([np.array(json.loads(found[s][1])) / found[s][0] for s in subjects])


def _results(
    rows: Sequence[tuple[Any, ...]], base: Sequence[tuple[Any, ...]]
) -> dict[tuple[str, str], Results]:
    """From (suite, subject, mode, samples, correct) rows of a run and of its base."""
    results = {}
    for suite, mode in sorted({(row[0], row[2]) for row in rows}):
        found = {row[1]: (row[3], row[4]) for row in rows if (row[0], row[2]) == (suite, mode)}
        alone = {row[1]: (row[3], row[4]) for row in base if (row[0], row[2]) == (suite, mode)}
        members = sorted(found, key=lambda name: int(name.removeprefix("member:")))
        results[suite, mode] = Results(
            tuple(members),
            _rates(found, members),
            _rates(alone, ["base"])[0] if alone else None,
        )
    return results


def _run(db: StudyDatabase, row: tuple[Any, ...]) -> RunData:
    id_, entry, seed, base, memory, machine = row
    evaluations = "SELECT suite, subject, mode, samples, correct FROM evaluations WHERE run = ?"
    kinds: dict[str, list[KindRow]] = {}
    for values in db.rows("SELECT * FROM kinds WHERE run = ? ORDER BY step", (id_,)):
        kind_row = KindRow(*values[1:])
        kinds.setdefault(kind_row.kind, []).append(kind_row)
    steps = db.rows("SELECT * FROM steps WHERE run = ? ORDER BY step", (id_,))
    phases = db.rows("SELECT phase, total FROM phases WHERE run = ?", (id_,))
    return RunData(
        entry=entry,
        seed=seed,
        steps=tuple(StepRow(*values[1:]) for values in steps),
        kinds={kind: tuple(found) for kind, found in kinds.items()},
        results=_results(db.rows(evaluations, (id_,)), db.rows(evaluations, (base,))),
        memory=json.loads(memory) or {},
        phases=dict(phases),
        machine=json.loads(machine) or {},
    )


def load_data(db: StudyDatabase) -> StudyData:
    """Read the whole file."""
    runs = db.rows(
        "SELECT id, entry, seed, base, memory, machine FROM runs "
        "WHERE seed IS NOT NULL AND reason IS NULL ORDER BY entry, seed"
    )
    failed = db.rows(
        "SELECT entry, seed, reason FROM runs WHERE reason IS NOT NULL ORDER BY entry, seed"
    )
    suites: dict[str, list[tuple[str, int]]] = {}
    for suite, kind, band in db.rows(
        "SELECT suite, kind, band FROM suite_tasks ORDER BY suite, place"
    ):
        suites.setdefault(suite, []).append((kind, band))
    entries = db.rows("SELECT name, config, work FROM entries ORDER BY position")
    return StudyData(
        study=db.study(),
        runs=tuple(_run(db, row) for row in runs),
        failed=tuple((entry, seed, reason) for entry, seed, reason in failed),
        suites={
            suite: SuiteTasks(np.array([k for k, _ in found]), np.array([b for _, b in found]))
            for suite, found in suites.items()
        },
        work={name: Work(**json.loads(work)) for name, _, work in entries},
        configs={name: json.loads(config) for name, config, _ in entries},
        commands=tuple(db.meta("commands") or ()),
    )
