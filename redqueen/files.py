"""Writing files so that a crash leaves the old one or the new one, never half of one."""

import os
from pathlib import Path


def sync_file(path: Path) -> None:
    """Flush a file's contents to the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Flush a directory's entries (names made, renamed, removed) to the disk."""
    if os.name == "nt":  # Windows cannot open directories, and renames are journalled there
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, content: bytes) -> None:
    """Write aside, flush, and rename into place.

    Raises:
        OSError: it could not be written; what was at `path` before is still there.
    """
    # Two processes may write the same file: each has an aside of its own.
    aside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # who asked knows nothing of the other
        raise
    finally:
        aside.unlink(missing_ok=True)
    sync_directory(path.parent)


def write_text(path: Path, text: str) -> None:
    """`write_bytes` of UTF-8 text."""
    write_bytes(path, text.encode())
