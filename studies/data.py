"""The data of a study: from the runs' own databases, or from a file that keeps what claims need.

    python -m studies.data DIR FILE          keep the runs of a comparison in FILE (SQLite, small)

A kept file has, of every finished run, one row for each step, one for each step and task kind, and
one JSON list of right answers for each suite, mode and subject. It stands beside the page about a
study when the runs themselves are gone.
"""

import argparse
import json
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from redqueen.compare import (
    STUDY,
    Answers,
    KindRow,
    RunResult,
    StepRow,
    Study,
    Work,
    build_study,
    load_runs,
    load_study,
    plan,
)
from redqueen.compare.results import FEATURES
from redqueen.errors import ConfigError

KEPT = "study.db"
SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE entries (name TEXT PRIMARY KEY, position INTEGER NOT NULL, work TEXT NOT NULL);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, entry TEXT NOT NULL, seed INTEGER,
    base INTEGER,                   -- another run that has the base's answers; NULL: this one
    reason TEXT                     -- why it failed; NULL: finished
);
CREATE TABLE steps (
    run INTEGER NOT NULL, step INTEGER NOT NULL, seconds REAL NOT NULL, proposals INTEGER NOT NULL,
    coverage REAL, PRIMARY KEY (run, step)
) WITHOUT ROWID;
CREATE TABLE kinds (
    run INTEGER NOT NULL, step INTEGER NOT NULL, kind TEXT NOT NULL,
    tasks INTEGER NOT NULL,         -- valid tasks that teachers wrote
    ast_depth REAL, cyclomatic REAL, lines REAL,    -- means over these
    attempts INTEGER NOT NULL,
    attempted INTEGER NOT NULL,     -- tasks that were attempted
    rates REAL NOT NULL,            -- sum over these of the task's solve rate
    rates2 REAL NOT NULL,           -- sum of its squares
    PRIMARY KEY (run, step, kind)
) WITHOUT ROWID;
CREATE TABLE suite_tasks (suite TEXT, place INTEGER, kind TEXT, PRIMARY KEY (suite, place));
CREATE TABLE evaluations (
    run INTEGER NOT NULL, suite TEXT NOT NULL, subject TEXT NOT NULL, mode TEXT NOT NULL,
    samples INTEGER NOT NULL,       -- attempts at each task
    correct TEXT NOT NULL,          -- JSON: right answers to each task, by place
    PRIMARY KEY (run, suite, subject, mode)
) WITHOUT ROWID;
"""
STEP = "step, seconds, proposals, coverage"
KIND = "step, kind, tasks, ast_depth, cyclomatic, lines, attempts, attempted, rates, rates2"


@dataclass(frozen=True, slots=True)
class StudyData:
    """Everything that the claims read."""

    study: Study
    work: Mapping[str, Work]
    """Planned, by entry."""
    runs: tuple[RunResult, ...]
    """The finished ones."""

    def of(self, entry: str) -> list[RunResult]:
        """The finished runs of an entry, by seed."""
        return sorted((run for run in self.runs if run.entry == entry), key=lambda run: run.seed)


def load_data(folder: Path) -> StudyData:
    """Read a comparison's folder: its runs, or the kept file if that is what is there.

    Raises:
        ConfigError: there is neither.
    """
    if (folder / STUDY).is_file():
        checked = plan(load_study(folder / STUDY))
        return StudyData(checked.study, checked.work, tuple(load_runs(checked, folder)))
    if (folder / KEPT).is_file():
        return read_kept(folder / KEPT)
    raise ConfigError(f"{folder} has neither {STUDY} nor {KEPT}; make one with `redqueen compare`")


# ── the kept file ───────────────────────────────────────────────────────────────────────────────


def _kind_row(row: Sequence[Any]) -> KindRow:
    step, kind, tasks, *means = row[:6]
    features = {name: mean for name, mean in zip(FEATURES, means, strict=True) if mean is not None}
    return KindRow(step, kind, tasks, features, *row[6:])


def _read_answers(
    db: sqlite3.Connection, run: int, base: int | None, suites: Mapping[str, Sequence[str]]
) -> dict[tuple[str, str], Answers]:
    rates: defaultdict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    sql = "SELECT suite, mode, subject, samples, correct FROM evaluations WHERE run IN (?, ?)"
    for suite, mode, subject, samples, correct in db.execute(sql, (run, base)):
        rates[suite, mode][subject] = np.array(json.loads(correct)) / samples
    answers = {}
    for (suite, mode), by_subject in rates.items():
        base_T = by_subject.pop("base", None)
        members = sorted(by_subject, key=lambda name: int(name.removeprefix("member:")))
        if members:
            rates_MT = np.array([by_subject[name] for name in members])
            kinds_T = np.array(suites[suite])
            answers[suite, mode] = Answers(tuple(members), rates_MT, base_T, kinds_T)
    return answers


def read_kept(path: Path) -> StudyData:
    """Read a kept file.

    Raises:
        ConfigError: it is something else.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
            return _read_kept(db)
    except sqlite3.DatabaseError as error:
        raise ConfigError(f"{path} does not keep a study: {error}") from None


def _read_kept(db: sqlite3.Connection) -> StudyData:
    values = json.loads(db.execute("SELECT value FROM meta WHERE key = 'study'").fetchone()[0])
    values["claims"] = [
        {key: value for key, value in claim.items() if value} for claim in values["claims"]
    ]
    work = db.execute("SELECT name, work FROM entries ORDER BY position").fetchall()
    suites: defaultdict[str, list[str]] = defaultdict(list)
    for suite, kind in db.execute("SELECT suite, kind FROM suite_tasks ORDER BY suite, place"):
        suites[suite].append(kind)
    runs = []
    finished = "SELECT id, entry, seed, base FROM runs WHERE seed IS NOT NULL AND reason IS NULL"
    for id_, entry, seed, base in db.execute(f"{finished} ORDER BY entry, seed").fetchall():
        steps = db.execute(f"SELECT {STEP} FROM steps WHERE run = ? ORDER BY step", (id_,))
        kinds: defaultdict[str, list[KindRow]] = defaultdict(list)
        for row in db.execute(f"SELECT {KIND} FROM kinds WHERE run = ? ORDER BY step", (id_,)):
            kinds[row[1]].append(_kind_row(row))
        runs.append(
            RunResult(
                entry,
                seed,
                tuple(StepRow(*row) for row in steps),
                {kind: tuple(rows) for kind, rows in kinds.items()},
                _read_answers(db, id_, base, suites),
            )
        )
    return StudyData(
        build_study(values, "the kept study"),
        {name: Work(**json.loads(text)) for name, text in work},
        tuple(runs),
    )


def keep(data: StudyData, path: Path, samples: Mapping[str, int]) -> None:
    """Write a kept file; `samples` are the attempts at each task, by mode.

    Raises:
        ConfigError: there is a file at `path`.
    """
    if path.exists():
        raise ConfigError(f"{path} is there already")
    with closing(sqlite3.connect(path)) as db:
        db.executescript(SCHEMA)
        study = data.study.model_dump(mode="json")
        db.execute("INSERT INTO meta VALUES ('study', ?)", (json.dumps(study),))
        for place, (name, work) in enumerate(data.work.items()):
            db.execute(
                "INSERT INTO entries VALUES (?, ?, ?)", (name, place, json.dumps(asdict(work)))
            )
        for id_, run in enumerate(data.runs):
            db.execute("INSERT INTO runs VALUES (?, ?, ?, NULL, NULL)", (id_, run.entry, run.seed))
            db.executemany(
                "INSERT INTO steps VALUES (?, ?, ?, ?, ?)",
                [(id_, *asdict(row).values()) for row in run.steps],
            )
            for row in (row for rows in run.kinds.values() for row in rows):
                means = [row.features.get(name) for name in FEATURES]
                counts = (row.attempts, row.attempted, row.rates, row.rates2)
                values = (id_, row.step, row.kind, row.tasks, *means, *counts)
                db.execute(f"INSERT INTO kinds VALUES ({', '.join('?' * len(values))})", values)
            for (suite, mode), answers in run.answers.items():
                _keep_answers(db, id_, suite, mode, answers, samples[mode])
        db.commit()


def _keep_answers(
    db: sqlite3.Connection, run: int, suite: str, mode: str, answers: Answers, samples: int
) -> None:
    tasks = [(suite, place, str(kind)) for place, kind in enumerate(answers.kinds_T)]
    db.executemany("INSERT OR IGNORE INTO suite_tasks VALUES (?, ?, ?)", tasks)
    subjects = dict(zip(answers.members, answers.rates_MT, strict=True))
    if answers.base_T is not None:
        subjects["base"] = answers.base_T
    for subject, rates_T in subjects.items():
        correct = json.dumps([round(value) for value in (rates_T * samples).tolist()])
        values = (run, suite, subject, mode, samples, correct)
        db.execute("INSERT INTO evaluations VALUES (?, ?, ?, ?, ?, ?)", values)


def main() -> None:
    """Keep a comparison's data."""
    parser = argparse.ArgumentParser(description="Keep what claims need of a comparison's runs.")
    parser.add_argument("folder", type=Path, help="the folder of a comparison")
    parser.add_argument("file", type=Path, help="the file to write, usually .../study.db")
    args = parser.parse_args()
    data = load_data(args.folder)
    keep(data, args.file, {"greedy": 1, "sampled": data.study.evaluation.samples})


if __name__ == "__main__":
    main()
