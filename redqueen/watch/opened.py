"""A run that is opened again whenever its database has become another file."""

from contextlib import suppress
from pathlib import Path

from redqueen.report.follow import FollowedRun


class OpenedRun:
    """A run's directory, whether there is a run in it by now or not."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._run: FollowedRun | None = None
        self._file: tuple[int, int] | None = None

    def opened(self) -> FollowedRun:
        """Return the run as it lies there now.

        Raises:
            ConfigError: there is no run, or not one of this version.
            InfrastructureError: the database failed.
        """
        file = None
        with suppress(OSError):
            status = (self.directory / "run.db").stat()
            file = (status.st_dev, status.st_ino)
        if self._run is None or file is None or file != self._file:
            self.close()
            self._run = FollowedRun.open(self.directory, read_only=True)
            self._file = file
            self.forget()
        return self._run

    def forget(self) -> None:
        """Forget what was drawn of the run before."""

    def close(self) -> None:
        """Close the database, if it is open."""
        if self._run is not None:
            self._run.close()
            self._run = None
