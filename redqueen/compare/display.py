"""What a person sees while a comparison goes on: a live panel, or lines without a terminal."""

import time
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from redqueen.compare.runner import Outcome, Progress
from redqueen.formatting import duration


class CompareDisplay:
    """Receives the runner's progress; a context manager around `compare`."""

    def __init__(self, console: Console):
        self.console = console
        self.begun = time.monotonic()
        self.progress: Progress | None = None
        self.tenth = 0
        self.live: Live | None = None

    def __enter__(self) -> "CompareDisplay":
        if self.console.is_terminal:
            self.live = Live(get_renderable=self.render, console=self.console, refresh_per_second=2)
            self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.live:
            self.live.stop()

    @property
    def remaining(self) -> float | None:
        """Seconds to the end at the pace so far; None before anything is done."""
        if self.progress is None or self.progress.share <= 0.0:
            return None
        share = self.progress.share
        return (time.monotonic() - self.begun) * (1 - share) / share

    def _left(self) -> str:
        return "timing the first" if self.remaining is None else f"{duration(self.remaining)} left"

    def on_progress(self, progress: Progress) -> None:
        """Where things stand; without a terminal a line at every tenth of the work."""
        self.progress = progress
        tenth = int(10 * progress.share)
        if not self.live and tenth > self.tenth:
            self.tenth = tenth
            self.console.print(f"{10 * tenth} % done, {self._left()}")

    def on_outcome(self, outcome: Outcome) -> None:
        """A line for every job that ended."""
        if outcome.reason is None:
            self.console.print(f"done    {outcome.job.key} in {duration(outcome.seconds)}")
        else:
            self.console.print(f"failed  {outcome.job.key}: {outcome.reason}", markup=False)

    def render(self) -> RenderableType:
        """The live panel, at most 80 columns wide."""
        progress = self.progress
        if progress is None:
            return Text("looking at what is there")
        head = Table.grid(padding=(0, 1))
        head.add_row(
            Text(f"{len(progress.done)}/{progress.jobs} jobs", style="bold"),
            ProgressBar(total=1.0, completed=progress.share, width=24),
            Text("finishing the steps, then stopping" if progress.stopping else self._left()),
        )
        body = Table.grid(padding=(0, 2))
        for running in progress.running:
            body.add_row(
                Text(running.job.key, overflow="ellipsis", no_wrap=True),
                Text(running.phase, style="dim"),
                f"{running.done:,}/{running.total:,}",
            )
        return Group(head, body)
