"""One run's directory: `run.db` (SQLite, WAL), `config.toml` and `checkpoints/`."""

import os
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from redqueen.config import Config
from redqueen.errors import ConfigError, InfrastructureError, RedQueenError
from redqueen.files import sync_directory, write_text
from redqueen.store.configfile import config_toml
from redqueen.store.reader import RunReader
from redqueen.store.records import UNFINISHED, EvaluationRow
from redqueen.store.schema import SCHEMA, SCHEMA_VERSION, connect, database_errors, transaction
from redqueen.store.writer import (
    to_json,
    write_events,
    write_matches,
    write_members,
    write_proposals,
    write_rollouts,
    write_streamed,
)
from redqueen.types import StepRecord

if sys.platform != "win32":
    import fcntl


class RunStore(RunReader):
    """A run that can be read and, unless opened read-only, written by one process at a time.

    Write the step first and the checkpoint after it: a run killed in between has a step too many
    in the database, which `truncate_after` drops on resume.
    """

    def __init__(
        self, directory: Path, connection: sqlite3.Connection, lock: IO[bytes] | None
    ) -> None:
        super().__init__(directory, connection)
        self._lock = lock

    @property
    def read_only(self) -> bool:
        """Whether this handle may only read."""
        return self._lock is None

    @staticmethod
    def check_vacant(directory: str | os.PathLike[str]) -> None:
        """Refuse a directory that holds a run, before anything expensive is done for a new one.

        Raises:
            ConfigError: there is a run in it.
        """
        if (Path(directory) / "run.db").exists():
            raise ConfigError(
                f"{directory} already holds a run; continue it with `redqueen resume {directory}` "
                "or choose another directory"
            )

    @classmethod
    def create(cls, directory: str | os.PathLike[str], config: Config) -> "RunStore":
        """Start a run in `directory` (made if missing) and open it for writing.

        Raises:
            ConfigError: the directory already holds a run, or cannot be made.
            InfrastructureError: the files could not be written.
        """
        directory = Path(directory)
        path = directory / "run.db"
        cls.check_vacant(directory)
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"cannot make the run directory {directory}: {error.strerror or error}; "
                "choose another one"
            ) from None
        lock = _take_lock(directory)
        try:
            with _file_errors(directory):
                write_text(directory / "config.toml", config_toml(config))
                _make_database(path, config)
            with database_errors(path):
                return cls(directory, connect(path, read_only=False), lock)
        except BaseException:
            lock.close()
            raise

    @classmethod
    def open(cls, directory: str | os.PathLike[str], *, read_only: bool = False) -> "RunStore":
        """Open an existing run. Reading works while another process writes.

        Raises:
            ConfigError: no run there, not a run database, another version's, or (for writing)
                a run that another process is writing.
            InfrastructureError: the database could not be read.
        """
        directory = Path(directory)
        path = directory / "run.db"
        if not path.is_file():
            raise ConfigError(
                f"{directory} holds no run (no run.db); start one with `redqueen train`"
            )
        lock = None if read_only else _take_lock(directory)
        try:
            with database_errors(path):
                store = cls(directory, connect(path, read_only), lock)
        except BaseException:
            if lock is not None:
                lock.close()
            raise
        try:
            store._check_version()
        except BaseException:
            store.close()
            raise
        return store

    def _check_version(self) -> None:
        with database_errors(self.path):
            tables = self._connection.execute(
                "SELECT count(*) FROM sqlite_master WHERE name IN ('meta', 'steps')"
            ).fetchone()[0]
        version = self.meta("schema_version") if tables == 2 else None
        if version is None:
            raise ConfigError(f"{self.path} is not a run database")
        if version != SCHEMA_VERSION:
            raise ConfigError(
                f"{self.path} has schema version {version}, this redqueen reads version "
                f"{SCHEMA_VERSION}; open it with the release that wrote it"
            )

    def close(self) -> None:
        """Close the database and let another process write; a second call does nothing."""
        super().close()
        if self._lock is not None:
            self._lock.close()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        if self.read_only:
            raise ValueError(f"{self.path} was opened read-only")
        with database_errors(self.path), transaction(self._connection):
            yield self._connection

    def write_meta(self, key: str, value: Any) -> None:
        """Keep a JSON value under `key`, replacing an earlier one."""
        with self._write() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, to_json(value)))

    def write_step(self, record: StepRecord) -> None:
        """Write a whole step in one transaction: after a crash it is all there or not at all.

        Raises:
            ValueError: the step, or a later one, has been written before.
            InfrastructureError: the database failed (disk full, locked); nothing was written.
        """
        written = self._rows("SELECT max(step) FROM steps")[0][0]
        if written is not None and record.step <= written:
            raise ValueError(
                f"step {record.step} comes after step {written} in {self.path}; "
                "call truncate_after first"
            )
        step = record.step
        with self._write() as db:
            db.execute(
                "INSERT INTO steps VALUES (?, ?)",
                (step, datetime.now(UTC).isoformat(timespec="milliseconds")),
            )
            db.executemany(
                "INSERT INTO metrics VALUES (?, ?, ?)",
                [(step, name, float(value)) for name, value in record.metrics.items()],
            )
            db.executemany(
                "INSERT INTO phases VALUES (?, ?, ?)",
                [(step, phase, float(value)) for phase, value in record.seconds.items()],
            )
            write_members(db, step, record.members)
            write_matches(db, step, record.matches)
            write_proposals(db, step, record.proposals)
            write_streamed(db, step, record.streamed)
            write_rollouts(db, step, record.rollouts)
            write_events(db, step, record.events)

    def truncate_after(self, step: int) -> None:
        """Forget everything after `step`: what a resumed run does with its checkpoint's step.

        Raises:
            InfrastructureError: the database ends before `step`, so it is not this
                checkpoint's; or the database failed.
        """
        last = self.last_step()
        if last < step:
            raise InfrastructureError(
                f"{self.path} ends at step {last}, before the checkpoint of step {step}; "
                "the database and the checkpoints are not of the same run"
            )
        with self._write() as db:
            db.execute("DELETE FROM steps WHERE step > ?", (step,))
            db.execute("UPDATE members SET died = NULL WHERE died > ?", (step,))
            db.execute("DELETE FROM evaluations WHERE step > ?", (step,))

    def write_evaluation(self, rows: Sequence[EvaluationRow], *, step: int | None = None) -> None:
        """Write held-out results; they replace all earlier ones of the same subject, suite, mode.

        Hand in everything of a (subject, suite, mode) in one call. `step` is the run's step that
        was measured (default: the last).
        """
        step = self.last_step() if step is None else step
        with self._write() as db:
            db.executemany(
                "DELETE FROM evaluations WHERE subject = ? AND suite = ? AND mode = ?",
                sorted({(row.subject, row.suite, row.mode) for row in rows}),
            )
            db.executemany(
                "INSERT INTO evaluations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        row.subject,
                        row.suite,
                        row.mode,
                        row.task_id,
                        row.kind,
                        row.band,
                        row.correct,
                        row.samples,
                        step,
                    )
                    for row in rows
                ],
            )

    def stage_evaluation(self, rows: Sequence[EvaluationRow], *, step: int) -> None:
        """Keep a part of an evaluation that is going on, out of sight of `load_evaluations`.

        Hand in everything of a (subject, suite, mode) in one call; see `staged_evaluation`.
        """
        hidden = [replace(row, suite=row.suite + UNFINISHED) for row in rows]
        self.write_evaluation(hidden, step=step)

    def drop_staged(self, suite: str) -> None:
        """Forget the parts of an evaluation: it is finished, or will be made anew."""
        with self._write() as db:
            db.execute("DELETE FROM evaluations WHERE suite = ?", (suite + UNFINISHED,))


@contextmanager
def _file_errors(directory: Path) -> Iterator[None]:
    try:
        yield
    except RedQueenError:
        raise
    except OSError as error:
        raise InfrastructureError(
            f"could not write the run in {directory}: {error.strerror or error}"
        ) from error


def _take_lock(directory: Path) -> IO[bytes]:
    """Make sure that one process writes; the system lets go of the lock when it dies."""
    with _file_errors(directory):
        lock = (directory / "run.lock").open("ab")
    if sys.platform != "win32":
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise ConfigError(
                f"another process is writing the run in {directory}; wait for it or stop it first"
            ) from None
    return lock


def _make_database(path: Path, config: Config) -> None:
    """Build the empty database aside, then rename it: `run.db` is never half made."""
    aside = path.with_name(".run.db.new")
    aside.unlink(missing_ok=True)
    with database_errors(path):
        connection = sqlite3.connect(aside)
        try:
            connection.executescript(SCHEMA)
            connection.executemany(
                "INSERT INTO meta VALUES (?, ?)",
                [
                    ("schema_version", to_json(SCHEMA_VERSION)),
                    ("config", to_json(config.model_dump(mode="json"))),
                    ("created", to_json(datetime.now(UTC).isoformat(timespec="seconds"))),
                ],
            )
            connection.commit()
        finally:
            connection.close()
    aside.replace(path)
    sync_directory(path.parent)
