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


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text aside, flush it, and rename it into place."""
    aside = path.with_name(f".{path.name}.new")
    with aside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    sync_directory(path.parent)
