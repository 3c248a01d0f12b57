"""One run's directory: `run.db` (SQLite, WAL), `config.toml` and `checkpoints/`."""

import logging
import os
import shlex
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Self, TypeVar

from pydantic import BaseModel

from redqueen import __version__
from redqueen.errors import ConfigError, InfrastructureError, RedQueenError
from redqueen.files import sync_directory, write_text
from redqueen.store.checkpoint import checkpoint_steps
from redqueen.store.configfile import config_toml
from redqueen.store.connection import (
    LockFile,
    connect,
    database_errors,
    insert,
    keeps_locks,
    leave,
    posix_lock,
    take_lock,
    to_json,
    transaction,
)
from redqueen.store.reader import RunReader
from redqueen.store.records import EvaluationAttempt
from redqueen.store.schema import SCHEMA, SCHEMA_VERSION, WRITTEN_BY
from redqueen.store.writer import RecordWriter
from redqueen.types import StepRecord, Task

log = logging.getLogger(__name__)

_ASIDE = (".run.db.new", ".run.db.new-journal")
"""Where the database is made, and what SQLite keeps beside it meanwhile."""

Store = TypeVar("Store", bound=RunReader)


class EvaluationStore(RunReader):
    """A run whose evaluations can be written, also while another process trains it.

    An evaluation is written in parts, aside, and published as a whole: one that was interrupted is
    taken up by the next.
    """

    @classmethod
    def open(cls, directory: str | os.PathLike[str]) -> Self:
        """Open an existing run; takes no lock of the run.

        Raises:
            ConfigError: no run there, not a run database, or another version's.
            InfrastructureError: the database could not be read.
        """
        directory = Path(directory)
        path = _database(directory)
        with database_errors(path):
            store = cls(directory, connect(path, read_only=False, locks=keeps_locks(directory)))
        return _of_this_version(store)

    def close(self) -> None:
        """Close the database; a second call does nothing."""
        leave(self._connection)

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with database_errors(self.path), transaction(self._connection):
            yield self._connection

    def _writer(self, db: sqlite3.Connection) -> RecordWriter:
        return RecordWriter(db, keep_tokens=self.config_values().get("keep_tokens", True))

    def write_evaluation(
        self, attempts: Sequence[EvaluationAttempt], tasks: Sequence[Task], *, step: int
    ) -> None:
        """Write attempts in place of earlier ones of the same suite, subject and mode.

        Hand in everything of a (suite, subject, mode) in one call, with the tasks of all attempts.
        `step` is the run's step that was measured.

        Raises:
            InfrastructureError: the database failed; nothing was written.
        """
        self._write_attempts(attempts, tasks, step, staged=False)

    def stage_evaluation(
        self, attempts: Sequence[EvaluationAttempt], tasks: Sequence[Task], *, step: int
    ) -> None:
        """The same as a part of an evaluation that goes on, out of sight of `load_evaluations`."""
        self._write_attempts(attempts, tasks, step, staged=True)

    def _write_attempts(
        self,
        attempts: Sequence[EvaluationAttempt],
        tasks: Sequence[Task],
        step: int,
        *,
        staged: bool,
    ) -> None:
        with self._write() as db:
            writer = self._writer(db)
            # A task or prompt that a later step uses too must outlive that step's removal.
            writer.tasks(0, tasks, "DO UPDATE SET recorded = 0")
            writer.evaluation(attempts, step, staged)

    def publish_evaluation(
        self, suite: str, keys: Collection[tuple[str, str]], *, step: int
    ) -> None:
        """Put the staged parts of an evaluation in place of earlier results, all at once.

        `keys` are its (subject, mode); what else was staged for the suite is dropped.
        """
        rows = [(suite, subject, mode) for subject, mode in keys]
        where = "suite = ? AND subject = ? AND mode = ?"
        with self._write() as db:
            db.executemany(f"DELETE FROM evaluations WHERE NOT staged AND {where}", rows)
            db.executemany(
                f"UPDATE evaluations SET staged = 0 WHERE step = ? AND staged AND {where}",
                [(step, *row) for row in rows],
            )
            db.execute("DELETE FROM evaluations WHERE staged AND suite = ?", (suite,))


class RunStore(EvaluationStore):
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
            ConfigError: there is a run in it, or what is left of one.
        """
        directory = Path(directory)
        if (directory / "run.db").exists():
            raise ConfigError(
                f"{directory} already holds a run; continue it with "
                f"`redqueen resume {shlex.quote(str(directory))}` or choose another directory"
            )
        # The lock is older than the config.toml of a run whose making was interrupted.
        if (directory / "config.toml").exists() and not (directory / "run.lock").exists():
            raise ConfigError(
                f"{directory} holds a config.toml of somebody else, which the run's would replace; "
                "choose another directory"
            )
        if checkpoint_steps(directory):
            raise ConfigError(
                f"{directory} holds checkpoints of a run whose database run.db is missing; put "
                "run.db back, or choose another directory"
            )

    @classmethod
    def create(
        cls,
        directory: str | os.PathLike[str],
        config: BaseModel,
        environments: Mapping[str, Any] | None = None,
        lock_file: LockFile = posix_lock,
    ) -> "RunStore":
        """Start a run in `directory` (made if missing) and open it for writing.

        Args:
            directory: the run's.
            config: its configuration.
            environments: what each environment says of itself, plain JSON by its name; the report
                reads kinds, measures, suites and reasons from it.
            lock_file: takes the run's lock.

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
        lock, locks = _lock(directory, lock_file)
        values = config.model_dump(mode="json")
        try:
            with _file_errors(directory):
                write_text(directory / "config.toml", config_toml(values))
                _make_database(path, values, environments or {})
            with database_errors(path):
                return cls(directory, connect(path, read_only=False, locks=locks), lock)
        except BaseException as error:
            if isinstance(error, RedQueenError) and not path.exists():
                _remove_unfinished(directory)
            lock.close()
            raise

    @classmethod
    def open(
        cls,
        directory: str | os.PathLike[str],
        *,
        read_only: bool = False,
        lock_file: LockFile = posix_lock,
    ) -> Self:
        """Open an existing run. Reading works while another process writes, and writes nothing.

        Raises:
            ConfigError: no run there, not a run database, another version's, or (for writing)
                a run that another process is writing.
            InfrastructureError: the database could not be read.
        """
        directory = Path(directory)
        path = _database(directory)
        lock, locks = None, True
        if read_only:
            locks = keeps_locks(directory, lock_file)
        else:
            lock, locks = _lock(directory, lock_file)
        try:
            with database_errors(path):
                return _of_this_version(cls(directory, connect(path, read_only, locks), lock))
        except BaseException:
            if lock is not None:
                lock.close()
            raise

    def close(self) -> None:
        """Close the database and let another process write; a second call does nothing."""
        if self._lock is None:
            self._connection.close()
            return
        super().close()
        self._lock.close()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        if self.read_only:
            raise ValueError(f"{self.path} was opened read-only")
        with super()._write() as db:
            yield db

    def write_meta(self, key: str, value: Any) -> None:
        """Keep a JSON value under `key`, replacing an earlier one."""
        with self._write() as db:
            _put_meta(db, {key: value})

    def write_seed_tasks(self, tasks: Sequence[Task]) -> None:
        """Keep the tasks that the archives start from; proposals refer to them."""
        with self._write() as db:
            self._writer(db).tasks(0, tasks)

    def write_step(self, record: StepRecord) -> None:
        """Write a whole step in one transaction: after a crash it is all there or not at all.

        Raises:
            ValueError: the step, or a later one, has been written before.
            InfrastructureError: the database failed (disk full, locked); nothing was written.
        """
        written = self.last_step()
        if record.step <= written:
            raise ValueError(
                f"step {record.step} comes after step {written} in {self.path}; "
                "call truncate_after first"
            )
        with self._write() as db:
            self._writer(db).step(record)

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
            db.execute("DELETE FROM evaluations WHERE step > ?", (step,))
            db.execute("DELETE FROM steps WHERE step > ?", (step,))
            db.execute("UPDATE members SET died = NULL WHERE died > ?", (step,))


def _database(directory: Path) -> Path:
    """Return the path of a run's database.

    Raises:
        ConfigError: there is none.
    """
    path = directory / "run.db"
    if path.is_file():
        return path
    if steps := checkpoint_steps(directory):
        raise ConfigError(
            f"{directory} holds checkpoints up to step {steps[-1]}, but its database run.db is "
            "missing; put run.db back, or start another run"
        )
    raise ConfigError(f"{directory} holds no run (no run.db); start one with `redqueen train`")


def _of_this_version(store: Store) -> Store:
    """Return the store; one of another schema is closed and refused with ConfigError."""
    try:
        tables = store.rows("SELECT name FROM sqlite_master WHERE name IN ('meta', 'steps')")
        version = store.meta("schema_version") if len(tables) == 2 else None
        if version is None:
            raise ConfigError(f"{store.path} is not a run database")
        if version != SCHEMA_VERSION:
            writer = store.meta("redqueen_version") or WRITTEN_BY.get(version, "another version")
            raise ConfigError(
                f"the run in {store.directory} was written by redqueen {writer} (database schema "
                f"{version}; this is redqueen {__version__}, schema {SCHEMA_VERSION}). Open it "
                "with the version that wrote it, or train it anew from its config.toml"
            )
        for key in ("config", "environments"):
            if not isinstance(store.meta(key), dict):
                raise InfrastructureError(
                    f"the run database {store.path} is damaged: {key!r} of its table meta is "
                    "missing or of another kind; put back a copy of it"
                )
    except BaseException:
        store.close()
        raise
    return store


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


def _lock(directory: Path, lock_file: LockFile) -> tuple[IO[bytes], bool]:
    """Make sure that one process writes, where the file system can; say so where it cannot."""
    with _file_errors(directory):
        lock, locks = take_lock(directory / "run.lock", lock_file)
    if not locks:
        log.warning(
            "the file system of %s keeps no file locks, so nothing stops a second process from "
            "writing this run, and a report made meanwhile may fail: run one process at a time, "
            "or choose a local directory with --out",
            directory,
        )
    return lock, locks


def _put_meta(db: sqlite3.Connection, values: Mapping[str, Any]) -> None:
    rows = [{"key": key, "value": to_json(value)} for key, value in values.items()]
    insert(db, "meta", rows, "ON CONFLICT (key) DO UPDATE SET value = excluded.value")


def _remove_unfinished(directory: Path) -> None:
    """Remove what the making of a run has left that came to no database, whose lock is held."""
    for name in (*_ASIDE, "config.toml", "run.lock"):
        (directory / name).unlink(missing_ok=True)
    if not any(directory.iterdir()):
        directory.rmdir()


def _make_database(path: Path, config: Mapping[str, Any], environments: Mapping[str, Any]) -> None:
    """Build the empty database aside, then rename it: `run.db` is never half made."""
    aside = path.with_name(_ASIDE[0])
    for name in _ASIDE:
        path.with_name(name).unlink(missing_ok=True)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with database_errors(path):
        aside.touch()
        # Nobody else opens it. With a log, what a full disk keeps from the file would stay there.
        connection = connect(aside, read_only=False, locks=False)
        with closing(connection):
            connection.executescript(SCHEMA)
            with transaction(connection):
                _put_meta(
                    connection,
                    {
                        "schema_version": SCHEMA_VERSION,
                        "redqueen_version": __version__,
                        "config": config,
                        "environments": environments,
                        "created": now,
                    },
                )
                insert(connection, "steps", [{"step": 0, "written_at": now}])
    aside.replace(path)
    sync_directory(path.parent)
