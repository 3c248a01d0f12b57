"""What a person sees while a run goes on: one live panel, or plain lines without a terminal."""

import time

from rich.console import Console as RichConsole
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from redqueen.alarms import CAUSES, begun
from redqueen.callbacks.base import Callback, CallbackConfig, RunInfo
from redqueen.formatting import duration, step_seconds
from redqueen.terminal import Terminal
from redqueen.types import Member, Role, StepRecord

BARS = "▁▂▃▄▅▆▇█"
PLAIN_BARS = "_.:-=+*#"
"""For terminals that cannot show the others."""


def sparkline(
    values: list[float], low: float, high: float, width: int = 30, bars: str = BARS
) -> str:
    """Return the last `width` values as a row of bars."""
    span = (high - low) or 1.0
    levels = [(value - low) / span for value in values[-width:]]
    return "".join(bars[min(7, max(0, int(8 * level)))] for level in levels)


class Console(CallbackConfig):
    """Progress in the terminal."""

    def build(self, run: RunInfo) -> "ConsoleProgress":
        """Return the display, on standard output."""
        return ConsoleProgress(Terminal(), run)


class ConsoleProgress(Callback):
    """A panel that is drawn anew while the run goes on, or a line for each step in a log."""

    def __init__(self, console: RichConsole, run: RunInfo) -> None:
        self.console = console
        self.total = run.config.steps
        self.done = self.first = run.step
        self.stop_asked = run.stop_asked
        self.bars = PLAIN_BARS if console.options.ascii_only else BARS
        self.begun = time.monotonic()
        self.phase = ""
        self.texts = ""
        self.record: StepRecord | None = None
        self.solved: list[float] = []
        self.valid: list[float] = []
        self.live: Live | None = None

    def on_start(self) -> None:
        """Begin to draw, if there is a terminal."""
        self.begun, self.first = time.monotonic(), self.done
        if self.console.is_terminal:
            self.live = Live(get_renderable=self.render, console=self.console, refresh_per_second=4)
            self.live.start()

    def on_end(self, finished: bool) -> None:
        """End the drawing."""
        if self.live:
            self.live.stop()
            self.live = None

    @property
    def remaining(self) -> float | None:
        """Seconds to the end at the mean pace so far; None before the first step is done."""
        finished = self.done - self.first
        if not finished:
            return None
        return (time.monotonic() - self.begun) / finished * (self.total - self.done)

    def on_phase(self, step: int, phase: str) -> None:
        """Show the phase."""
        self.phase, self.texts = phase, ""

    def on_texts(self, phase: str, finished: int, total: int) -> None:
        """Show how many texts of the phase are written."""
        self.texts = f" {finished}/{total}"

    def on_step(self, record: StepRecord) -> None:
        """Show what the step came to."""
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
            f"{step_seconds(record.seconds):4.1f} s  left {duration(left) if left else '-'}"
        )

    def render(self) -> RenderableType:
        """The live panel, at most 80 columns wide."""
        left = self.remaining
        head = Table.grid(padding=(0, 1))
        state = (
            "finishing this step, then stopping" if self.stop_asked() else self.phase + self.texts
        )
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
            body.add_row(
                name,
                Text(latest, style="bold"),
                Text(sparkline(values, 0, 1, bars=self.bars), "cyan"),
            )
        body.add_row(
            "coverage", f"{100 * metrics['coverage']:.0f} %",
            f"{metrics['tokens_per_s']:,.0f} tokens/s sampled, "
            f"log-prob mismatch {metrics['logprob_mismatch']:.1e}",
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
