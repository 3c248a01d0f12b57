"""The same in a terminal, for tmux."""

import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from redqueen.errors import RedQueenError
from redqueen.formatting import plural, visible
from redqueen.report.follow import FollowedRun
from redqueen.report.progress import progress_text
from redqueen.report.queries import choose_attempts, pick, results_of
from redqueen.report.samples import NO_ANSWER, VERDICTS, clip
from redqueen.report.terminal import brief_table, signs_table
from redqueen.store import RunReader
from redqueen.watch.opened import OpenedRun

EVERY = 2.0
"""Seconds between two looks."""


def _ratings(run: RunReader) -> Text:
    """Return the living members' ratings, the best first."""
    living = [member for member in run.load_members() if member.died is None]
    living.sort(key=lambda member: (-member.mu, member.id))
    rated = [f"#{m.id} {m.roles[0].value} {m.mu:.1f} \u00b1 {m.sigma:.1f}" for m in living]
    return Text(f"\nratings: {', '.join(rated)}" if rated else "")


def _task(run: RunReader) -> Text:
    """Return a task of the last step with a right attempt and another."""
    last = run.last_step()
    picked = pick(run.load_task_outcomes(last, last), 1)
    if not picked:
        return Text("\nNo valid task in the last step.", style="dim")
    outcome = picked[0]
    text = Text(
        f"\n{visible(outcome.task.kind)}, step {outcome.step}, solved {outcome.correct} of "
        f"{plural(outcome.attempts, 'time')}\n"
    )
    for value in [*outcome.task.payload.values()][:2]:
        text.append(f"{visible(clip(str(value), 300))}\n", "dim")
    for attempt in choose_attempts(run.load_attempts(outcome.task.id, outcome.step)):
        text.append(
            f"{VERDICTS[attempt.verdict or NO_ANSWER]}, student #{attempt.student}: ", "bold"
        )
        text.append(f"{visible(clip(' '.join(attempt.text.split()), 240))}\n")
    return text


class PlainView(OpenedRun):
    """One run in the terminal. What it shows fits 80 columns."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._state: tuple[object, ...] = ()
        self._drawn: RenderableType = Text("")

    def draw(self) -> RenderableType:
        """Return the run as it is now, or the sentence that says why it cannot be read."""
        try:
            run = self.opened()
            with run.look():
                self._look(run)
                return Group(Text(progress_text(run), style="bold"), self._drawn)
        except RedQueenError as error:
            self.close()
            return Text(visible(str(error)), style="yellow")

    def _look(self, run: FollowedRun) -> None:
        state = run.state()
        if state != self._state:
            results = [brief_table(result) for result in results_of(run)[:1]]
            self._drawn = Group(signs_table(run), _ratings(run), *results, _task(run))
            self._state = state

    def forget(self) -> None:
        """Forget what was drawn of the run before."""
        self._state = ()


def watch_plain(directories: Sequence[Path], console: Console, looks: int | None = None) -> None:
    """Draw runs until Ctrl-C, or `looks` times; without a terminal, once."""
    views = [PlainView(directory) for directory in directories]

    def draw() -> RenderableType:
        titled = (
            (Text(visible(f"{view.directory}"), "bold magenta"), view.draw()) for view in views
        )
        return Group(*(part for pair in titled for part in pair))

    try:
        if not console.is_terminal:
            console.print(draw())
            return
        with Live(draw(), console=console, auto_refresh=False) as live:
            while looks is None or (looks := looks - 1) > 0:
                time.sleep(EVERY)
                live.update(draw(), refresh=True)
    except KeyboardInterrupt:
        console.print()
    finally:
        for view in views:
            view.close()
