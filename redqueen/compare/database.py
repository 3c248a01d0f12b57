"""`study.db`: one small SQLite file with all that the table and the page are made of.

A step of a run is one row, and one row for each task kind; a subject's answers to a suite are one
JSON list in the order of the suite's tasks, so that the bootstrap can resample tasks and the file
stays small. The view `evaluation_summary` has them summed by kind and difficulty band.
"""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, median
from typing import Any, Self

from redqueen.compare.schema import SCHEMA, VERSION
from redqueen.compare.study import Plan, PlannedRun, Study, build_study
from redqueen.compare.worker import MACHINE, MEMORY
from redqueen.errors import ConfigError
from redqueen.store import EvaluationRow, RunReader, RunStore
from redqueen.store.schema import database_errors, transaction
from redqueen.types import Role

FEATURES = ("ast_depth", "cyclomatic", "lines")


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step of a run."""

    step: int
    seconds: float
    proposals: int
    valid: int
    coverage: float | None
    archive_size: float | None
    entropy: float | None
    sampled_tokens: float | None


@dataclass(frozen=True, slots=True)
class KindRow:
    """One task kind of one step; see the table's comments."""

    step: int
    kind: str
    tasks: int
    ast_depth: float | None
    cyclomatic: float | None
    lines: float | None
    correct: int
    attempts: int
    attempted: int
    rates: float
    rates2: float


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _mean(tasks: Sequence[Mapping[str, float]], name: str) -> float | None:
    known = [task[name] for task in tasks if name in task]
    return fmean(known) if known else None


def step_rows(run: RunReader) -> list[StepRow]:
    """Aggregate a run's steps."""
    seconds: defaultdict[int, float] = defaultdict(float)
    for time in run.load_phases():
        seconds[time.step] += time.seconds
    proposals, valid = Counter[int](), Counter[int]()
    for outcome in run.load_outcomes():
        proposals[outcome.step] += outcome.count
        valid[outcome.step] += outcome.count if outcome.reason is None else 0
    names = ("coverage", "archive_size", "entropy", "sampled_tokens")
    metrics = {name: dict(run.load_metrics(name)) for name in names}
    return [
        StepRow(
            step, seconds[step], proposals[step], valid[step],
            *(metrics[name].get(step) for name in names),
        )
        for step in run.steps()
    ]  # fmt: skip


def kind_rows(run: RunReader) -> list[KindRow]:
    """Aggregate a run's tasks and attempts by step and kind."""
    features: defaultdict[tuple[int, str], list[Mapping[str, float]]] = defaultdict(list)
    for step, kind, values in run.load_features():
        features[step, kind].append(values)
    rates: defaultdict[tuple[int, str], list[tuple[int, int]]] = defaultdict(list)
    for item in run.load_task_rates():
        rates[item.step, item.kind].append((item.correct, item.attempts))
    rows = []
    for step, kind in sorted(features.keys() | rates.keys()):
        tasks, tried = features[step, kind], rates[step, kind]
        shares = [correct / attempts for correct, attempts in tried]
        rows.append(
            KindRow(
                step=step,
                kind=kind,
                tasks=len(tasks),
                ast_depth=_mean(tasks, "ast_depth"),
                cyclomatic=_mean(tasks, "cyclomatic"),
                lines=_mean(tasks, "lines"),
                correct=sum(correct for correct, _ in tried),
                attempts=sum(attempts for _, attempts in tried),
                attempted=len(shares),
                rates=sum(shares),
                rates2=sum(share * share for share in shares),
            )
        )
    return rows


class StudyDatabase:
    """The study file, open for reading and writing by one process."""

    def __init__(self, path: Path, connection: sqlite3.Connection):
        self.path = path
        self.db = connection

    @classmethod
    def create_or_open(cls, path: Path) -> "StudyDatabase":
        """Open, or make with empty tables.

        Raises:
            ConfigError: the file is something else, or of another version.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with database_errors(path):
            connection = sqlite3.connect(path, timeout=30.0, isolation_level=None)
            connection.execute("PRAGMA foreign_keys=ON")
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")
                connection.execute("INSERT INTO meta VALUES ('version', ?)", (str(VERSION),))
        study = cls(path, connection)
        study._check()
        return study

    @classmethod
    def open(cls, path: Path) -> "StudyDatabase":
        """Open an existing one.

        Raises:
            ConfigError: there is none, or not of this version.
        """
        if not path.is_file():
            raise ConfigError(f"no study.db in {path.parent}; make one with `redqueen compare`")
        return cls.create_or_open(path)

    def _check(self) -> None:
        with database_errors(self.path):
            tables = self.db.execute(
                "SELECT count(*) FROM sqlite_master WHERE name IN ('meta', 'suite_tasks')"
            ).fetchone()[0]
        version = self.meta("version") if tables == 2 else None
        if version != VERSION:
            self.close()
            raise ConfigError(f"{self.path} is not a study database of version {VERSION}")

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with database_errors(self.path):
            return self.db.execute(sql, values).fetchall()

    def meta(self, key: str) -> Any:
        """The JSON value kept under `key`, or None."""
        found = self.rows("SELECT value FROM meta WHERE key = ?", (key,))
        return json.loads(found[0][0]) if found else None

    def write_meta(self, key: str, value: Any) -> None:
        """Keep a JSON value under `key`."""
        with database_errors(self.path):
            self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, _json(value)))

    def study(self) -> Study:
        """The study that the file is about."""
        return build_study(self.meta("study"), str(self.path))

    def holds(self, run: PlannedRun, suites: Sequence[str]) -> bool:
        """Whether the results of a finished run are here: of this configuration, on all suites."""
        planned = self.rows("SELECT config FROM entries WHERE name = ?", (run.entry.name,))
        wanted = run.config.model_dump(mode="json")
        if not planned or json.loads(planned[0][0]) | {"seed": run.seed} != wanted:
            return False
        booked = self.rows(
            "SELECT id, base FROM runs WHERE entry = ? AND seed = ? AND reason IS NULL",
            (run.entry.name, run.seed),
        )
        if not booked or not run.entry.evaluate:
            return bool(booked)
        id_, base = booked[0]
        measured = self.rows("SELECT DISTINCT suite FROM evaluations WHERE run = ?", (id_,))
        return base is not None and {(suite,) for suite in suites} <= set(measured)

    def write_plan(self, plan: Plan, command: str) -> None:
        """Book the study, its entries and the command that was given.

        Runs of entries or seeds that the study no longer names are dropped.
        """
        self.write_meta("study", plan.study.model_dump(mode="json"))
        commands = self.meta("commands") or []
        self.write_meta("commands", list(dict.fromkeys([*commands, command])))
        first = {run.entry.name: run for run in reversed(plan.runs)}
        wanted = {(run.entry.name, run.seed) for run in plan.runs}
        with database_errors(self.path), transaction(self.db):
            self.db.execute("DELETE FROM entries")
            self.db.executemany(
                "INSERT INTO entries VALUES (?, ?, ?, ?)",
                [
                    (
                        entry.name,
                        place,
                        _json(first[entry.name].config.model_dump(mode="json")),
                        _json(asdict(plan.work[entry.name])),
                    )
                    for place, entry in enumerate(plan.study.entries)
                ],
            )
            for id_, entry, seed in self.db.execute(
                "SELECT id, entry, seed FROM runs WHERE seed IS NOT NULL"
            ).fetchall():
                if (entry, seed) not in wanted:
                    self.db.execute("DELETE FROM runs WHERE id = ?", (id_,))

    def _fresh_run(self, entry: str, seed: int | None, **values: Any) -> int:
        """Replace the run (and all that hangs on it) by an empty one; returns its id."""
        self.db.execute("DELETE FROM runs WHERE entry = ? AND seed IS ?", (entry, seed))
        row = {"base": None, "reason": None, "memory": None, "machine": None} | values
        cursor = self.db.execute(
            "INSERT INTO runs VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)",
            (
                entry, seed, row["base"], row["reason"], row["memory"], row["machine"],
                datetime.now(UTC).isoformat(timespec="seconds"),
            ),
        )  # fmt: skip
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def add_failure(self, entry: str, seed: int, reason: str) -> None:
        """Book a run that failed."""
        with database_errors(self.path), transaction(self.db):
            self._fresh_run(entry, seed, reason=reason)

    def add_base(self, name: str, rows: Sequence[EvaluationRow]) -> None:
        """Book the base's results; `name` tells bases apart."""
        with database_errors(self.path), transaction(self.db):
            self._add_evaluations(self._fresh_run(name, None), rows)

    def add_run(self, run: PlannedRun, directory: Path, base: str | None) -> None:
        """Book a finished run from its own database; `base` names its base's measurement."""
        with RunStore.open(directory, read_only=True) as store:
            living = {
                f"member:{m.id}"
                for m in store.load_members()
                if m.died is None and Role.STUDENT in m.roles
            }
            evaluations = [row for row in store.load_evaluations() if row.subject in living]
            steps, kinds = step_rows(store), kind_rows(store)
            with database_errors(self.path), transaction(self.db):
                found = self.rows("SELECT id FROM runs WHERE entry = ? AND seed IS NULL", (base,))
                id_ = self._fresh_run(
                    run.entry.name,
                    run.seed,
                    base=found[0][0] if found else None,
                    memory=_json(store.meta(MEMORY)),
                    machine=_json(store.meta(MACHINE)),
                )
                self._insert("steps", id_, (_values(row) for row in steps))
                self._insert("kinds", id_, (_values(row) for row in kinds))
                self._add_rest(id_, store)
                if run.entry.evaluate:
                    self._add_evaluations(id_, evaluations)

    def _insert(self, table: str, run: int, rows: Iterable[Sequence[Any]]) -> None:
        for row in rows:
            marks = ", ".join("?" * (len(row) + 1))
            self.db.execute(f"INSERT INTO {table} VALUES ({marks})", (run, *row))

    def _add_rest(self, run: int, store: RunReader) -> None:
        phases: defaultdict[str, list[float]] = defaultdict(list)
        for time in store.load_phases():
            phases[time.phase].append(time.seconds)
        self._insert("phases", run, ((n, sum(v), median(v)) for n, v in phases.items()))
        self._insert(
            "members",
            run,
            (
                (m.id, _json([r.value for r in m.roles]), m.born, m.died, m.operator, m.mu, m.sigma)
                for m in store.load_members()
            ),
        )
        self._insert(
            "events",
            run,
            ((e.step, e.role.value, e.removed, e.child, e.operator) for e in store.load_events()),
        )

    def _add_evaluations(self, run: int, rows: Sequence[EvaluationRow]) -> None:
        groups: defaultdict[tuple[str, str, str], list[EvaluationRow]] = defaultdict(list)
        for row in rows:
            groups[row.suite, row.subject, row.mode].append(row)
        for (suite, subject, mode), found in groups.items():
            found.sort(key=lambda row: row.task_id)
            tasks = [(suite, i, row.task_id, row.kind, row.band) for i, row in enumerate(found)]
            known = self.rows("SELECT * FROM suite_tasks WHERE suite = ? ORDER BY place", (suite,))
            if not known:
                self.db.executemany("INSERT INTO suite_tasks VALUES (?, ?, ?, ?, ?)", tasks)
            elif known != tasks:
                raise ConfigError(
                    f"{suite} has other tasks here than in the runs before ({self.path}); all "
                    "runs of a study must be measured on the same tasks: make a new one"
                )
            correct = _json([row.correct for row in found])
            values = (run, suite, subject, mode, found[0].samples, correct)
            self.db.execute("INSERT INTO evaluations VALUES (?, ?, ?, ?, ?, ?)", values)

    def forget_results(self) -> None:
        """Drop all runs and suites, before they are booked again with other settings."""
        with database_errors(self.path), transaction(self.db):
            self.db.execute("DELETE FROM runs")
            self.db.execute("DELETE FROM suite_tasks")


def _values(row: StepRow | KindRow) -> tuple[Any, ...]:
    return tuple(asdict(row).values())
