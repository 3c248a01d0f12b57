"""What a person sees while a run goes on: one live panel, or plain lines without a terminal."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from redqueen.alarms import CAUSES, begun
from redqueen.formatting import duration
from redqueen.types import Member, Role, StepRecord

BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: list[float], low: float, high: float, width: int = 30) -> str:
    """The last `width` values as a row of bars."""
    span = (high - low) or 1.0
    levels = [(value - low) / span for value in values[-width:]]
    return "".join(BARS[min(7, max(0, int(8 * level)))] for level in levels)


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


class TrainingDisplay:
    """Receives the trainer's progress; use it as a context manager around `Trainer.run`."""

    def __init__(self, console: Console, first: int, total: int, stop: StopRequest):
        self.console, self.total, self.stop = console, total, stop
        self.done = self.first = first
        self.begun = time.monotonic()
        self.phase = ""
        self.record: StepRecord | None = None
        self.solved: list[float] = []
        self.valid: list[float] = []
        self.live: Live | None = None

    def __enter__(self) -> "TrainingDisplay":
        if self.console.is_terminal:
            self.live = Live(get_renderable=self.render, console=self.console, refresh_per_second=4)
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if self.live:
            self.live.stop()

    @property
    def remaining(self) -> float | None:
        """Seconds to the end at the mean pace so far; None before the first step is done."""
        finished = self.done - self.first
        if not finished:
            return None
        return (time.monotonic() - self.begun) / finished * (self.total - self.done)

    def __call__(self, phase: str, record: StepRecord | None) -> None:
        """The trainer's `Progress` callback."""
        self.phase = phase
        if record is None:
            return
        before = self.record.metrics if self.record else {}
        for cause in begun(before, record.metrics):
            text = f"alarm after step {record.step}: {cause} ({CAUSES[cause].sentence})"
            self.console.print(Text(text, style="bold red"), soft_wrap=True)
        self.record, self.done = record, record.step
        for name, history in (("valid_rate", self.valid), ("solve_rate", self.solved)):
            if name in record.metrics:
                history.append(record.metrics[name])
        if not self.live:
            self.console.print(self.line(record), soft_wrap=True, highlight=False)

    def line(self, record: StepRecord) -> str:
        """One plain line for a log."""
        metrics = record.metrics
        solved, valid = (
            f"{100 * metrics[name]:3.0f} %" if name in metrics else "  - "
            for name in ("solve_rate", "valid_rate")
        )
        left = self.remaining
        return (
            f"step {record.step}/{self.total}  solved {solved}  "
            f"{f'valid {valid}  ' if record.proposals or self.valid else ''}"
            f"{metrics['tokens_per_s']:6,.0f} tok/s  "
            f"{sum(record.seconds.values()):4.1f} s  left {duration(left) if left else '-'}"
        )

    def render(self) -> RenderableType:
        """The live panel, at most 80 columns wide."""
        left = self.remaining
        head = Table.grid(padding=(0, 1))
        state = "finishing this step, then stopping" if self.stop.asked else self.phase
        head.add_row(
            Text(f"step {self.done}/{self.total}", style="bold"),
            ProgressBar(total=self.total, completed=self.done, width=24),
            Text(f"{duration(left)} left" if left is not None else "timing the first step"),
            Text(state, style="dim"),
        )
        if self.record is None:
            return head
        metrics = self.record.metrics
        body = Table.grid(padding=(0, 2))
        histories = [("solved", self.solved), ("valid proposals", self.valid)]
        for name, values in histories if self.record.proposals or self.valid else histories[:1]:
            latest = f"{100 * values[-1]:.0f} %" if values else "-"
            body.add_row(name, Text(latest, style="bold"), Text(sparkline(values, 0, 1), "cyan"))
        body.add_row(
            "coverage", f"{100 * metrics['coverage']:.0f} %",
            f"{metrics['tokens_per_s']:,.0f} tokens/s sampled, "
            f"log-prob gap {metrics['logprob_gap']:.1e}",
        )  # fmt: skip
        return Group(head, body, self.ratings())

    def ratings(self) -> RenderableType:
        """Living members by role: id, rating mu ± sigma, generation's operator."""
        assert self.record is not None
        table = Table.grid(padding=(0, 2))
        met = [result.match for result in self.record.matches]
        if met and all(match.teacher in (None, match.student) for match in met):
            return table  # nobody is rated by meeting itself or the stream
        living = [member for member in self.record.members if member.died is None]
        for role in Role:
            members = sorted(
                (member for member in living if role in member.roles), key=lambda m: -m.mu
            )
            if members:
                table.add_row(Text(f"{role.value}s", style="dim"), *map(self._member, members[:4]))
        return table

    @staticmethod
    def _member(member: Member) -> Text:
        text = Text(f"#{member.id} ", style="bold")
        text.append(f"{member.mu:.1f}±{member.sigma:.1f}", style="not bold")
        return text


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
    print(f"redqueen: {message}", file=sys.stderr)
