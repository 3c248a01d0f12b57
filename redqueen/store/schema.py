"""The run database's tables, and the one place that opens SQLite connections.

Every row but `meta` hangs on a row of `steps` and falls with it, so that going back to a
checkpoint is one DELETE.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redqueen.errors import ConfigError, InfrastructureError

SCHEMA_VERSION = 2

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE steps (step INTEGER PRIMARY KEY, written_at TEXT NOT NULL);

CREATE TABLE metrics (
    step INTEGER NOT NULL REFERENCES steps ON DELETE CASCADE,
    name TEXT NOT NULL,
    value REAL,                     -- NULL stands for not-a-number
    PRIMARY KEY (name, step)
) WITHOUT ROWID;
CREATE INDEX metrics_step ON metrics (step);

CREATE TABLE phases (
    step INTEGER NOT NULL REFERENCES steps ON DELETE CASCADE,
    phase TEXT NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (step, phase)
) WITHOUT ROWID;

CREATE TABLE members (
    id INTEGER PRIMARY KEY,
    recorded INTEGER NOT NULL REFERENCES steps ON DELETE CASCADE,  -- first step that names it
    slot INTEGER NOT NULL,
    roles TEXT NOT NULL,            -- JSON list
    born INTEGER NOT NULL,
    parents TEXT NOT NULL,          -- JSON list of ids
    operator TEXT NOT NULL,
    died INTEGER,                   -- step, NULL while alive
    learning_rate_factor REAL NOT NULL,
    temperature REAL                -- NULL: the run's
);

CREATE TABLE ratings (
    step INTEGER NOT NULL REFERENCES steps ON DELETE CASCADE,
    member INTEGER NOT NULL,
    mu REAL NOT NULL,
    sigma REAL NOT NULL,
    PRIMARY KEY (member, step)
) WITHOUT ROWID;
CREATE INDEX ratings_step ON ratings (step);

CREATE TABLE matches (
    step INTEGER NOT NULL REFERENCES steps ON DELETE CASCADE,
    idx INTEGER NOT NULL,
    teacher INTEGER,                -- NULL: the stream
    student INTEGER NOT NULL,
    proposed INTEGER NOT NULL,
    valid INTEGER NOT NULL,
    solve_rate REAL,
    expected REAL,
    student_won INTEGER,
    tasks_of INTEGER,               -- idx of the match whose tasks these are, NULL: its own
    PRIMARY KEY (step, idx)
) WITHOUT ROWID;

CREATE TABLE tasks (
    id TEXT PRIMARY KEY,
    recorded INTEGER NOT NULL REFERENCES steps ON DELETE CASCADE,  -- step that posed it
    domain TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,          -- JSON
    features TEXT NOT NULL,         -- JSON
    author INTEGER,
    step INTEGER NOT NULL
);
CREATE INDEX tasks_recorded ON tasks (recorded);

CREATE TABLE proposals (
    id INTEGER PRIMARY KEY,
    step INTEGER NOT NULL REFERENCES steps ON DELETE CASCADE,
    match INTEGER NOT NULL,
    teacher INTEGER NOT NULL,
    kind TEXT NOT NULL,
    task_references TEXT NOT NULL,  -- JSON list of task ids
    text TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    finished INTEGER NOT NULL,
    task_id TEXT,                   -- NULL: rejected
    reason TEXT,                    -- NULL: valid
    malformed INTEGER NOT NULL,
    infra INTEGER NOT NULL,
    detail TEXT NOT NULL,
    reward REAL
);
CREATE INDEX proposals_step ON proposals (step);

CREATE TABLE rollouts (
    id INTEGER PRIMARY KEY,
    step INTEGER NOT NULL REFERENCES steps ON DELETE CASCADE,
    match INTEGER NOT NULL,
    student INTEGER NOT NULL,
    task_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    text TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    finished INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    answer TEXT,
    reward REAL
);
CREATE INDEX rollouts_step ON rollouts (step, match);
CREATE INDEX rollouts_task ON rollouts (task_id);

CREATE TABLE events (
    step INTEGER NOT NULL REFERENCES steps ON DELETE CASCADE,
    idx INTEGER NOT NULL,
    role TEXT NOT NULL,
    removed INTEGER NOT NULL,
    child INTEGER NOT NULL,
    parents TEXT NOT NULL,
    operator TEXT NOT NULL,
    details TEXT NOT NULL,
    PRIMARY KEY (step, idx)
) WITHOUT ROWID;

CREATE TABLE evaluations (
    subject TEXT NOT NULL,          -- 'base' or 'member:<id>'
    suite TEXT NOT NULL,            -- ends in ' (unfinished)' while the suite is being measured
    mode TEXT NOT NULL,             -- 'greedy' or 'sampled'
    task_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    band INTEGER NOT NULL,
    correct INTEGER NOT NULL,
    samples INTEGER NOT NULL CHECK (samples > 0 AND correct BETWEEN 0 AND samples),
    step INTEGER NOT NULL,          -- the run's last step when it was measured
    PRIMARY KEY (suite, subject, mode, task_id)
) WITHOUT ROWID;
"""


@contextmanager
def database_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's failures into this library's errors, naming the file.

    Raises:
        ConfigError: the file is not a run database.
        InfrastructureError: the disk is full, the file is locked or damaged, or unreadable.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        raise InfrastructureError(f"the run database {path} failed: {error}") from error
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            raise ConfigError(f"{path} is not a run database") from None
        raise InfrastructureError(f"the run database {path} failed: {error}") from error


def connect(path: Path, read_only: bool) -> sqlite3.Connection:
    """Open an existing database; `read_only` works beside a process that writes.

    Threads may use the connection one after the other.
    """
    mode = "ro" if read_only else "rw"
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}",
        uri=True,
        timeout=30.0,
        isolation_level=None,
        check_same_thread=False,
    )
    if not read_only:
        # FULL: a step that was reported as written survives a power cut, so that the database
        # is never behind the checkpoint that follows it.
        connection.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
        )
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing: commits at the end, rolls back on any exception."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
