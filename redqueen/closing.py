"""What has a `close` and closes itself at the end of a `with` block."""

from typing import Self


class Closing:
    """Base of what holds processes, threads or files."""

    def close(self) -> None:
        """Let go of what is held; a second call does nothing."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
