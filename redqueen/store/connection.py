"""Opening SQLite connections, file locks, and the few helpers that all SQL here goes through."""

import errno
import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any

from redqueen.errors import ConfigError, InfrastructureError

if sys.platform != "win32":
    import fcntl

LockFile = Callable[[int, int], None]
"""(file descriptor, operation), like `fcntl.lockf`."""
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


def posix_lock(descriptor: int, operation: int) -> None:
    """`fcntl.lockf`; on Windows, where SQLite's own locks must do, nothing."""
    if sys.platform != "win32":
        fcntl.lockf(descriptor, operation)


def keeps_locks(directory: Path, lock: LockFile = posix_lock) -> bool:
    """Whether the file system of a run's directory keeps file locks; writes nothing."""
    # Of `config.toml`, which nobody locks: closing a file gives up this process's locks on it.
    path = directory / "config.toml"
    if sys.platform == "win32" or not path.is_file():
        return True
    with path.open("rb") as file:
        try:
            lock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in NO_LOCKS
    return True


def take_lock(path: Path, lock: LockFile = posix_lock) -> tuple[IO[bytes], bool]:
    """Return the open file that holds a process's lock, and whether the lock is real.

    The system lets go of the lock when the process dies. It is not real where the file system
    keeps no locks.

    Raises:
        ConfigError: another process has it.
        OSError: the file cannot be opened.
    """
    file = path.open("ab")
    try:
        if sys.platform != "win32":
            lock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in NO_LOCKS:
            return file, False
        file.close()
        raise ConfigError(
            f"another process is writing the run in {path.parent}; wait for it or stop it first"
        ) from None
    return file, True


@contextmanager
def database_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's failures into this library's errors, naming the file.

    Raises:
        ConfigError: the file is not a run database.
        InfrastructureError: the disk is full, the file is locked or damaged, or unreadable.
    """
    try:
        yield
    except UnicodeDecodeError as error:  # SQLite's own message quotes what is no text
        raise InfrastructureError(
            f"the run database {path} is damaged ({error}); put back a copy of it"
        ) from error
    except sqlite3.OperationalError as error:
        raise InfrastructureError(f"the run database {path} failed: {error}") from error
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            raise ConfigError(f"{path} is not a run database") from None
        if getattr(error, "sqlite_errorname", "").startswith("SQLITE_CORRUPT"):
            raise InfrastructureError(
                f"the run database {path} is damaged ({error}); put back a copy of it, or what "
                "sqlite3's `.recover` makes of it"
            ) from error
        raise InfrastructureError(f"the run database {path} failed: {error}") from error


def _open(path: Path, options: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?{options}",
        uri=True,
        timeout=30.0,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


def connect(path: Path, read_only: bool, locks: bool = True) -> sqlite3.Connection:
    """Open an existing database; `read_only` works beside a process that writes.

    Threads may use the connection one after the other. Without `locks` nothing keeps readers and
    writers apart, and the journal is an ordinary file instead of shared memory.
    """
    plain = "" if locks else "&nolock=1"
    if read_only:
        connection = _open(path, f"mode=ro{plain}")
        try:
            connection.execute("SELECT count(*) FROM sqlite_master")
        except sqlite3.OperationalError:
            connection.close()
            # A database that was copied without its log, into a directory that cannot be written.
            if path.with_name(f"{path.name}-wal").exists() or os.access(path.parent, os.W_OK):
                raise
            connection = _open(path, "mode=ro&immutable=1")
        return connection
    connection = _open(path, f"mode=rw{plain}")
    # FULL: a step that was reported as written survives a power cut, so that the database is never
    # behind the checkpoint that follows it.
    connection.execute(f"PRAGMA journal_mode={'WAL' if locks else 'DELETE'}")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def leave(connection: sqlite3.Connection) -> None:
    """Close a writer's connection, so that a later reader need not make files of its own."""
    with closing(connection):
        try:
            connection.execute("PRAGMA busy_timeout=0")
            connection.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.Error:
            return  # closed already, or others still read: they keep the log, which is as good


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


def to_json(value: Any) -> str:
    """Return compact JSON; mappings of any kind are objects."""
    return json.dumps(value, separators=(",", ":"), default=dict)


def _column(value: Any) -> Any:
    """Return a value as SQLite takes it: sequences and mappings become JSON."""
    if isinstance(value, str):
        # Model text may hold lone surrogates, which no file can: they become escapes.
        return value.encode("utf-8", "backslashreplace").decode()
    if value is None or isinstance(value, int | float | bytes):  # most columns
        return value
    return to_json(value) if isinstance(value, tuple | list | Mapping) else value


def insert(
    connection: sqlite3.Connection,
    table: str,
    rows: Iterable[Mapping[str, Any]],
    conflict: str = "",
) -> None:
    """Insert rows by the names of their columns; all rows have the same ones. Sequences and
    mappings are kept as JSON.

    `conflict` is what to do about rows that are there: an `ON CONFLICT` clause.
    """
    values = [{name: _column(value) for name, value in row.items()} for row in rows]
    if values:
        columns = ", ".join(values[0])
        places = ", ".join(f":{name}" for name in values[0])
        connection.executemany(
            f"INSERT INTO {table} ({columns}) VALUES ({places}) {conflict}", values
        )
