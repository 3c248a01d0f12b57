"""Talking to the person at the terminal: stop requests, counters, errors."""

import io
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console

from redqueen.formatting import duration, visible


class StopRequest:
    """Turns the first Ctrl-C into a request that the loop sees; a second one interrupts."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        """Whether somebody asked."""
        return self.asked

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    @contextmanager
    def listening(self) -> Iterator["StopRequest"]:
        """Handle SIGINT and SIGTERM inside the block."""
        old = {sig: signal.signal(sig, self._handle) for sig in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for sig, handler in old.items():
                signal.signal(sig, handler)


@contextmanager
def counting(console: Console, label: str) -> Iterator["Counter"]:
    """Progress of a long count (held-out attempts), with the time to the end."""
    counter = Counter(console, label)
    try:
        yield counter
    finally:
        counter.finish()


class Counter:
    """`counter(done, total)` redraws one line on a terminal, prints tenths elsewhere."""

    def __init__(self, console: Console, label: str):
        self.console, self.label = console, label
        self.begun = time.monotonic()
        self.shown = -1

    def __call__(self, done: int, total: int) -> None:
        """Report that `done` of `total` are finished."""
        tenth = 10 * done // total
        if self.console.is_terminal:
            left = (time.monotonic() - self.begun) / max(done, 1) * (total - done)
            text = f"{self.label} {done:,}/{total:,}  {duration(left)} left"
            self.console.file.write(f"\r{text:<78}")
            self.console.file.flush()
        elif tenth > self.shown:
            self.console.print(f"{self.label} {done:,}/{total:,}", highlight=False)
        self.shown = max(self.shown, tenth)

    def finish(self) -> None:
        """Clear the line."""
        if self.console.is_terminal:
            self.console.file.write("\r" + " " * 79 + "\r")
            self.console.file.flush()


def print_error(message: str) -> None:
    """One clear sentence on standard error."""
    print(f"redqueen: {visible(message)}", file=sys.stderr)


def _keeps_all(stream: io.TextIOWrapper) -> bool:
    """Return whether a stream takes any text: in UTF-8 only bytes of paths that are no text are
    odd, which Python may be set to keep."""
    return stream.errors != "strict" and stream.encoding.lower().startswith("utf")


def prepare_streams() -> None:
    """Make standard streams that take any text: those that the process was started without lead
    nowhere, and what an encoding lacks becomes an escape."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            null = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(null, "w" if number else "r", encoding="utf-8"))
        elif number and isinstance(stream, io.TextIOWrapper) and not _keeps_all(stream):
            stream.reconfigure(errors="backslashreplace")
    if os.environ.get("COLUMNS") == "0":  # a terminal that does not know how wide it is
        del os.environ["COLUMNS"]


class Terminal(Console):
    """Standard output, or standard error; a reader that goes away is a BrokenPipeError."""

    def __init__(self, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(highlight=False, stderr=stderr, width=width)

    def on_broken_pipe(self) -> None:
        """Tell the caller, as `print` does."""
        raise
