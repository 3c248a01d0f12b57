"""How far a run is, in a sentence: the phase now, and the time to the end."""

import time
from math import fsum

from redqueen.formatting import duration, plural, visible
from redqueen.store import RunReader
from redqueen.store.now import STOPPED, read_now

SILENCE = 60.0
"""Seconds without a word after which a run may have ended, if five of its steps took less."""


def progress_text(run: RunReader, clock: float | None = None) -> str:
    """Return how far a run is and what it does; `clock` is seconds since 1970, None: now."""
    clock = time.time() if clock is None else clock
    planned, done, written = run.config_values()["steps"], run.last_step(), run.last_written()
    now = read_now(run.directory)
    ago = 0.0 if written is None else max(0.0, clock - written.timestamp())
    if written is not None and done >= planned:
        return f"All {plural(planned, 'step')} are done; the last one ended {duration(ago)} ago."
    seconds = fsum(phase.seconds for phase in run.load_phases()) / done if done else 0.0
    left = seconds * (planned - done)
    going = now is not None and now.phase != STOPPED and now.step >= done
    if now is not None and going and clock - now.at < max(SILENCE, 5 * seconds):
        texts = f", {now.finished:,} of {now.total:,} texts" if now.total else ""
        since = duration(max(0.0, clock - now.since))
        text = f"Step {now.step:,} of {planned:,}: {visible(now.phase)} since {since}{texts}."
        return text + (f" {duration(max(0.0, left - ago))} to the end." if done else "")
    if written is None:
        return f"No step of {planned:,} is done yet."
    text = f"Step {done:,} of {planned:,} ended {duration(ago)} ago; {duration(left)} of work are"
    if now is not None and now.phase == STOPPED:
        return f"{text} left. The run was stopped."
    if now is not None and going:
        heard, phase = duration(clock - now.at), visible(now.phase)
        return f"{text} left. Nothing was heard for {heard}: it has ended, or hangs in {phase}."
    return f"{text} left."
