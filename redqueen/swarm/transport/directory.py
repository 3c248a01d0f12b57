"""A shared folder: one folder for each node, one file for each message.

A message is written aside and renamed, so nobody reads half of one, and nothing is locked. Files
are read in the order of their names, so that equal folders give equal messages.
"""

import heapq
import os
import re
import stat
from pathlib import Path

from pydantic import Field

from redqueen.errors import ConfigError
from redqueen.files import write_bytes
from redqueen.swarm.transport.base import Node, Transport, TransportConfig, TransportError

_CHANNEL = "_"
"""Begins the names of folders that are no sender's."""
_NAME = re.compile(r"[0-9]{1,16}-[0-9]{1,16}\.msg")


class Directory(TransportConfig):
    """A folder that all nodes can write to: on one machine, or a cluster's file system."""

    path: str = "swarm"
    """The folder; made if it is missing."""
    keep: int = Field(1000, ge=1)
    """A node's newest messages that stay in the folder."""

    def build(self, node: Node) -> Transport:
        """Return the transport.

        Raises:
            ConfigError: the folder cannot be made or written to.
        """
        return SharedFolder(Path(self.path), node, self.keep)


class SharedFolder:
    """See `redqueen.swarm.transport.base.Transport`."""

    def __init__(self, path: Path, node: Node, keep: int) -> None:
        self._path, self._node, self._keep = path, node, keep
        self._home = path / node.name
        self._last: dict[str, str] = {}
        """Folder -> name of the last file that was read in it."""
        try:
            self._home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"swarm.transport.path: cannot make {self._home}: {error.strerror}"
            ) from None

    def publish(self, key: str, data: bytes) -> None:
        """Write a message, and remove this node's oldest."""
        try:
            write_bytes(self._home / f"{key}.msg", data)
            names = sorted(name for name in os.listdir(self._home) if _NAME.fullmatch(name))
            for name in names[: -self._keep]:
                (self._home / name).unlink(missing_ok=True)
        except OSError as error:
            raise TransportError(f"cannot write to {self._home}: {error.strerror}") from error

    def receive(self) -> list[bytes]:
        """Return the next messages of each folder, folders in the order of their names."""
        try:
            with os.scandir(self._path) as entries:
                folders = heapq.nsmallest(
                    self._node.max_peers,
                    (
                        e.name
                        for e in entries
                        if e.name != self._node.name and not e.name.startswith(_CHANNEL)
                    ),
                )
        except OSError as error:
            raise TransportError(f"cannot read {self._path}: {error.strerror}") from error
        self._last = {folder: self._last.get(folder, "") for folder in folders}
        return [data for folder in folders for data in self._read(folder)]

    def _read(self, folder: str) -> list[bytes]:
        """Return the messages of a folder that come next; what is no message is passed over."""
        last = self._last.get(folder, "")
        try:
            with os.scandir(self._path / folder) as entries:
                names = heapq.nsmallest(
                    self._node.quota,
                    (e.name for e in entries if e.name > last and _NAME.fullmatch(e.name)),
                )
        except OSError:
            return []  # no folder, or gone since
        if names:
            self._last[folder] = names[-1]
        contents = (self._content(self._path / folder / name) for name in names)
        return [data for data in contents if data is not None]

    def _content(self, path: Path) -> bytes | None:
        """Return what is in a plain file, at most a byte more than a message may have."""
        try:
            # A link could lead anywhere, and opening a pipe would wait for a writer.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return None  # removed since, or a link
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            return os.read(descriptor, self._node.max_bytes + 1)
        except OSError:
            return None
        finally:
            os.close(descriptor)

    def channel(self, name: str, node: Node) -> Transport:
        """Return a folder inside the folder."""
        return SharedFolder(self._path / f"{_CHANNEL}{name}", node, keep=1)

    def close(self) -> None:
        """Nothing is held."""
