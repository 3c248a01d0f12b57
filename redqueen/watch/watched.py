"""One run that is watched: what has changed since somebody last asked."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from threading import Lock
from typing import Any

from redqueen.errors import ConfigError, RedQueenError
from redqueen.report.figures import Page
from redqueen.report.follow import FollowedRun
from redqueen.report.html import to_json
from redqueen.report.page import run_page
from redqueen.report.progress import progress_text
from redqueen.report.queries import RunData, described
from redqueen.report.samples import PAGE, Filter, find_texts
from redqueen.store import RunStore
from redqueen.watch.opened import OpenedRun

PATIENCE = 30.0
"""Seconds that a chart may be behind a run that is so long that they do not show in it."""


def _number(name: str, text: str) -> int:
    if not text.isdecimal() or len(text) > 15:
        raise ConfigError(f"{name} is a whole number, not {text[:40]!r}")
    return int(text)


def filter_of(query: Mapping[str, str]) -> Filter:
    """Return the filter that a query asks for.

    Raises:
        ConfigError: a number is none.
    """
    numbers = ("member", "step", "before")
    values = {name: query[name] for name in Filter.__slots__ if query.get(name)}
    return Filter(
        **{k: _number(k, v) if k in numbers else v for k, v in values.items()}  # type: ignore[arg-type]
    )


class WatchedRun(OpenedRun):
    """The page of a run's directory. Threads may share it."""

    def __init__(self, directory: Path, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(directory)
        self._clock = clock
        self._lock = Lock()
        self._state: tuple[Any, ...] = ()
        """Of the database, when it was last looked at."""
        self._whole: tuple[Any, ...] = ()
        """The same, when all of the page was last drawn up."""
        self._drawn = 0
        """The last step then."""
        self._due = 0.0
        """When all of it is drawn up again, if something was written since."""
        self._token = token_hex(4)
        self._looks = 0
        self._outline = "null"
        self._sections: list[dict[str, Any]] = []
        self._figures: dict[str, tuple[int, str]] = {}
        """Name -> number of the look that changed it, and its JSON."""

    def forget(self) -> None:
        """Forget what was drawn of the run before."""
        self._token = token_hex(4)
        self._state, self._whole, self._figures, self._sections = (), (), {}, []

    def _look(self, run: FollowedRun) -> None:
        """Draw up the page anew as far as something was written.

        After each step the first screen; the rest once a run has grown by a hundredth, which is
        less than a chart can show, and after `PATIENCE` seconds at the latest.
        """
        state = run.state()
        if state == self._state and (self._whole == state or self._clock() < self._due):
            return
        if not self._figures:  # a long run is soon to be seen
            brief, self._due = True, 0.0
        else:
            step, before = run.last_step(), self._drawn
            brief = before < step < before * 1.01 and self._clock() < self._due
        with run.look():
            page = run_page(RunData(run), brief=brief)
            if not brief:
                self._whole, self._drawn = state, run.last_step()
                self._due = self._clock() + PATIENCE
        self._state = state
        self._take(page, brief)

    def _take(self, page: Page, brief: bool) -> None:
        """Keep the JSON of a page, or of its first screen in place of the one before."""
        self._looks += 1
        figures = dict(self._figures) if brief else {}
        for section in page.sections:
            for figure in section.figures:
                text, (look, before) = to_json(figure), self._figures.get(figure.id, (0, ""))
                figures[figure.id] = (look if text == before else self._looks, text)
        sections = [
            {**{n: getattr(s, n) for n in ("id", "heading", "lead")},
             "figures": [figure.id for figure in s.figures]}
            for s in page.sections
        ]  # fmt: skip
        self._sections = [*sections, *self._sections[len(sections) :]] if brief else sections
        kept = {name for section in self._sections for name in section["figures"]}
        self._figures = {name: figure for name, figure in figures.items() if name in kept}
        self._outline = to_json(replace(page, sections=self._sections))  # type: ignore[arg-type]

    def changes(self, since: str, runs: str) -> str:
        """Return as JSON what the page needs that has seen the version `since` ('': nothing).

        `runs` is the JSON list of all runs' names.

        Raises:
            ConfigError: there is no run, or not one of this version.
            InfrastructureError: the database failed.
        """
        with self._lock:
            try:
                run = self.opened()
                self._look(run)
                now = to_json(progress_text(run))
            except RedQueenError:
                self.close()
                raise
            version = f"{self._token}-{self._looks}"
            if since == version:
                return f'{{"now":{now}}}'
            token, _, look = since.partition("-")
            seen = int(look) if token == self._token and look.isdecimal() else -1
            changed = (
                f"{to_json(name)}:{text}"
                for name, (number, text) in self._figures.items()
                if number > seen
            )
            return (
                f'{{"version":"{version}","now":{now},"runs":{runs},"page":{self._outline},'
                f'"figures":{{{",".join(changed)}}}}}'
            )

    def texts(self, query: Mapping[str, str]) -> str:
        """Return as JSON the texts that a query asks for, and whether these are all.

        Raises:
            ConfigError: there is no run, or the query asks for nonsense.
            InfrastructureError: the database failed.
        """
        chosen = filter_of(query)
        # A search may take seconds: it has a reader of its own, and holds nobody up.
        with RunStore.open(self.directory, read_only=True) as run:
            rows = find_texts(run, described(run), chosen)
        return to_json({"texts": rows, "complete": len(rows) < PAGE})
