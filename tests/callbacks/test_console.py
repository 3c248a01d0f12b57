"""What the terminal shows: widths, numbers, the first and the second Ctrl-C."""

import os
import signal
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from redqueen.callbacks.base import RunInfo
from redqueen.callbacks.console import PLAIN_BARS, ConsoleProgress, sparkline
from redqueen.config import build_config
from redqueen.terminal import StopRequest
from redqueen.types import Match, MatchResult, Member, Role, StepRecord

METRICS = {
    "valid_rate": 0.75, "solve_rate": 0.5, "coverage": 0.125, "tokens_per_s": 12345.0,
    "logprob_mismatch": 2e-3,
}  # fmt: skip


def record(step: int) -> StepRecord:
    members = tuple(
        Member(id=i, slot=i, roles=(Role.TEACHER if i < 4 else Role.STUDENT,), mu=25.0, sigma=8.0)
        for i in range(8)
    )
    seconds = {"solve": 2.0, "learn": 3.0, "beside/verify": 9.0}
    return StepRecord(step, (), (), (), (), (), members, (), METRICS, seconds)


def display_on(console: Console) -> ConsoleProgress:
    config = build_config({"steps": 60, "callbacks": []})
    return ConsoleProgress(console, RunInfo(Path("run"), config, 0))


def test_sparkline_spans_its_range_and_keeps_the_latest() -> None:
    assert sparkline([0.0, 0.5, 1.0], 0.0, 1.0) == "▁▅█"
    assert sparkline([0.0] * 50 + [1.0], 0.0, 1.0, width=3) == "▁▁█"


def test_panel_fits_80_columns_and_shows_everything() -> None:
    console = Console(width=80, record=True, force_terminal=True)
    display = display_on(console)
    console.print(display.render())
    display.on_phase(1, "solve")
    display.on_texts("solve", 3, 8)
    display.on_step(record(1))
    console.print(display.render())
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    for part in ("step 1/60", "left", "50 %", "75 %", "#7 25.0±8.0", "12,345", "2.0e-03"):
        assert part in text


def test_plain_lines_without_a_terminal() -> None:
    console = Console(width=80, record=True, force_terminal=False)
    display = display_on(console)
    display.on_start()
    display.on_step(record(1))
    display.on_step(record(2))
    display.on_end(True)
    lines = console.export_text().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("step 2/60  solved  50 %  valid  75 %")
    assert " 5.0 s  left" in lines[1]  # what went on beside the phases is not counted twice
    assert max(map(len, lines)) <= 80


def test_runs_without_proposals_or_ratings_show_neither() -> None:
    metrics = {name: value for name, value in METRICS.items() if name != "valid_rate"}
    result = MatchResult(Match(1, 0, None, 4), 0, 8, 0.5, None, None)
    streamed = replace(record(1), metrics=metrics, matches=(result,))
    console = Console(width=80, record=True, force_terminal=False)
    display = display_on(console)
    display.on_step(streamed)
    console.print(display.render())
    text = console.export_text()
    assert "step 1/60  solved  50 %  12,345 tok/s" in text
    assert "50 %" in text
    assert "valid" not in text
    assert "25.0" not in text
    taught = replace(result, match=Match(1, 0, 0, 4), expected=0.5)
    display.on_step(replace(streamed, matches=(result, taught)))
    console.print(display.render())
    assert "#7 25.0±8.0" in console.export_text()


def test_first_interrupt_asks_second_interrupts() -> None:
    stop = StopRequest()
    with stop.listening():
        os.kill(os.getpid(), signal.SIGINT)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_an_alarm_is_one_line_when_it_begins() -> None:
    console = Console(width=80, record=True, force_terminal=False)
    ringing = METRICS | {"alarm/too_hard": 1.0}
    display = display_on(console)
    for step, metrics in enumerate((METRICS, ringing, ringing, METRICS, ringing), 1):
        display.on_step(replace(record(step), metrics=metrics))
    lines = [line for line in console.export_text().splitlines() if "alarm" in line]
    assert lines == [
        f"alarm after step {step}: too_hard (hardly an attempt is correct)" for step in (2, 5)
    ]


def test_a_terminal_without_utf_8_gets_plain_characters() -> None:
    console = Console(width=80, record=True, force_terminal=True, file=Latin())
    display = display_on(console)
    for step in (1, 2, 3):
        display.on_step(record(step))
    console.print(display.render())
    assert display.bars == PLAIN_BARS


class Latin(StringIO):
    """A terminal that only knows ASCII."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "ascii"
