"""How a step's records become rows. Each function runs inside the caller's transaction."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from redqueen.types import (
    EvolutionEvent,
    MatchResult,
    Member,
    Proposal,
    Rejection,
    Rollout,
    Task,
)


def clean(text: str) -> str:
    """Model text may hold lone surrogates, which no file can: write them as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def to_json(value: Any) -> str:
    """Compact JSON."""
    if isinstance(value, Mapping):
        value = dict(value)
    return json.dumps(value, separators=(",", ":"))


def write_members(db: sqlite3.Connection, step: int, members: Sequence[Member]) -> None:
    """Write new members, deaths, and everybody's rating after the step."""
    db.executemany(
        "INSERT INTO members VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET died = excluded.died",
        [
            (
                member.id,
                step,
                member.slot,
                to_json([role.value for role in member.roles]),
                member.born,
                to_json(member.parents),
                member.operator,
                member.died,
                member.learning_rate_factor,
                member.temperature,
            )
            for member in members
        ],
    )
    db.executemany(
        "INSERT INTO ratings VALUES (?, ?, ?, ?)",
        [(step, member.id, member.mu, member.sigma) for member in members],
    )


def _write_task(db: sqlite3.Connection, step: int, task: Task) -> None:
    # The same problem may be proposed twice; the first one stays.
    db.execute(
        "INSERT OR IGNORE INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            task.id,
            step,
            task.domain,
            task.kind,
            to_json(task.payload),
            to_json(task.features),
            task.author,
            task.step,
        ),
    )


def write_streamed(db: sqlite3.Connection, step: int, tasks: Sequence[Task]) -> None:
    """Write the stream's tasks; the attempts say which match posed which."""
    for task in tasks:
        _write_task(db, step, task)


def write_proposals(db: sqlite3.Connection, step: int, proposals: Sequence[Proposal]) -> None:
    """Write the proposals and the tasks that came of them."""
    rows = []
    for proposal in proposals:
        outcome = proposal.outcome
        rejection = outcome if isinstance(outcome, Rejection) else None
        if isinstance(outcome, Task):
            _write_task(db, step, outcome)
        rows.append(
            (
                step,
                proposal.match,
                proposal.teacher,
                proposal.kind,
                to_json(proposal.references),
                clean(proposal.completion.text),
                len(proposal.completion.token_ids),
                proposal.completion.finished,
                outcome.id if isinstance(outcome, Task) else None,
                rejection.reason if rejection else None,
                rejection.malformed if rejection else False,
                rejection.infra if rejection else False,
                clean(rejection.detail) if rejection else "",
                proposal.reward,
            )
        )
    db.executemany(
        "INSERT INTO proposals VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
    )


def write_rollouts(db: sqlite3.Connection, step: int, rollouts: Sequence[Rollout]) -> None:
    """Write the attempts: text and verdict, not tokens or log-probabilities."""
    db.executemany(
        "INSERT INTO rollouts VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                step,
                rollout.match,
                rollout.student,
                rollout.task_id,
                rollout.kind,
                rollout.attempt,
                clean(rollout.completion.text),
                len(rollout.completion.token_ids),
                rollout.completion.finished,
                rollout.verdict.value,
                None if rollout.answer is None else clean(rollout.answer),
                rollout.reward,
            )
            for rollout in rollouts
        ],
    )


def write_matches(db: sqlite3.Connection, step: int, results: Sequence[MatchResult]) -> None:
    """Write the matches and what they came to."""
    db.executemany(
        "INSERT INTO matches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                step,
                result.match.index,
                result.match.teacher,
                result.match.student,
                result.proposed,
                result.valid,
                result.solve_rate,
                result.expected,
                result.student_won,
                result.match.tasks_of,
            )
            for result in results
        ],
    )


def write_events(db: sqlite3.Connection, step: int, events: Sequence[EvolutionEvent]) -> None:
    """Write the replacements in order."""
    db.executemany(
        "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                step,
                index,
                event.role.value,
                event.removed,
                event.child,
                to_json(event.parents),
                event.operator,
                to_json(event.details),
            )
            for index, event in enumerate(events)
        ],
    )
