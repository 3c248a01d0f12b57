"""Records from rows of a run database."""

import json
import sqlite3
from typing import Any

from redqueen.errors import DamagedRowError
from redqueen.types import (
    EvolutionEvent,
    Match,
    MatchResult,
    Member,
    Message,
    Messages,
    Role,
    Task,
    Verdict,
)

TASK_COLUMNS = "t.id, t.environment, t.kind, t.payload, t.features"


def decoded(text: str) -> Any:
    """Return the value of a column that holds JSON.

    Raises:
        DamagedRowError: it does not.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise DamagedRowError(
            f"the run database is damaged: {text[:40]!r} of a row is no JSON ({error}); put back a "
            "copy of it"
        ) from error


def task_of(row: sqlite3.Row, author: int | None, step: int) -> Task:
    """Return the task of a row with `TASK_COLUMNS`."""
    return Task(
        id=row["id"],
        environment=row["environment"],
        kind=row["kind"],
        payload=decoded(row["payload"]),
        features=decoded(row["features"]),
        author=author,
        step=step,
    )


def messages_of(text: str) -> Messages:
    """Return the conversation that is kept as JSON."""
    return tuple(Message(**turn) for turn in decoded(text))


def verdict_of(row: sqlite3.Row) -> Verdict | None:
    """Return the verdict of a row of `rollouts`; None: the text is no answer."""
    return None if row["verdict"] is None else Verdict(row["verdict"])


def match_of(row: sqlite3.Row) -> MatchResult:
    """Return the match of a row of `matches`."""
    won = row["student_won"]
    return MatchResult(
        match=Match(
            step=row["step"],
            index=row["idx"],
            teacher=row["teacher"],
            student=row["student"],
            tasks_of=row["tasks_of"],
            environment=row["environment"],
        ),
        proposed=row["proposed"],
        valid=row["valid"],
        solve_rate=row["solve_rate"],
        expected=row["expected"],
        student_won=None if won is None else bool(won),
    )


def member_of(row: sqlite3.Row, step: int | None = None) -> Member:
    """Return the member of a row of `members` with a rating, as of `step` (None: the last)."""
    died = row["died"]
    return Member(
        id=row["id"],
        slot=row["slot"],
        roles=tuple(Role(role) for role in decoded(row["roles"])),
        mu=row["mu"],
        sigma=row["sigma"],
        born=row["born"],
        parents=tuple(decoded(row["parents"])),
        operator=row["operator"],
        died=None if died is None or (step is not None and died > step) else died,
        learning_rate_factor=row["learning_rate_factor"],
        temperature=row["temperature"],
    )


def event_of(row: sqlite3.Row) -> EvolutionEvent:
    """Return the replacement of a row of `events`."""
    return EvolutionEvent(
        step=row["step"],
        role=Role(row["role"]),
        removed=row["removed"],
        child=row["child"],
        parents=tuple(decoded(row["parents"])),
        operator=row["operator"],
        details=decoded(row["details"]),
        origin=row["origin"],
    )
