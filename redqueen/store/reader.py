"""Typed reading of a run database. Works beside the process that writes it."""

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from redqueen.config import Config, build_config
from redqueen.store.records import (
    UNFINISHED,
    Attempt,
    EvaluationRow,
    MatrixCell,
    OutcomeCount,
    PhaseTime,
    ProposalText,
    RatingPoint,
    SolveCount,
    TaskOutcome,
    TaskRate,
)
from redqueen.store.schema import database_errors
from redqueen.types import EvolutionEvent, Match, MatchResult, Member, Role, Task, Verdict

_STREAMED = (
    "rollouts r JOIN matches m ON m.step = r.step AND m.idx = r.match "
    "JOIN tasks t ON t.id = r.task_id "
    "WHERE m.teacher IS NULL AND m.tasks_of IS NULL AND r.attempt = 0"
)
"""One row for each posing of a task of the stream: no proposal names it, its attempts do."""


class RunReader:
    """The reading half of a run; open one with `RunStore.open(directory, read_only=True)`.

    Every method raises InfrastructureError if the database fails.
    """

    def __init__(self, directory: Path, connection: sqlite3.Connection) -> None:
        self.directory = directory
        self.path = directory / "run.db"
        self._connection = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; a second call does nothing."""
        self._connection.close()

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with database_errors(self.path):
            return self._connection.execute(sql, values).fetchall()

    def config(self) -> Config:
        """The configuration the run was created with."""
        return build_config(self.meta("config"), f"config in {self.path}")

    def meta(self, key: str) -> Any:
        """The JSON value kept under `key`, or None."""
        rows = self._rows("SELECT value FROM meta WHERE key = ?", (key,))
        return json.loads(rows[0][0]) if rows else None

    def last_step(self) -> int:
        """The last step written; 0 before the first."""
        return int(self._rows("SELECT coalesce(max(step), 0) FROM steps")[0][0])

    def steps(self) -> list[int]:
        """All steps written, in order."""
        return [row[0] for row in self._rows("SELECT step FROM steps ORDER BY step")]

    def load_metrics(self, name: str) -> list[tuple[int, float]]:
        """(step, value) of one metric in step order; not-a-number comes back as such."""
        rows = self._rows("SELECT step, value FROM metrics WHERE name = ? ORDER BY step", (name,))
        return [(step, float("nan") if value is None else value) for step, value in rows]

    def load_phases(self) -> list[PhaseTime]:
        """Seconds of every phase of every step, in step order."""
        return [
            PhaseTime(*row)
            for row in self._rows("SELECT step, phase, seconds FROM phases ORDER BY step, phase")
        ]

    def load_members(self) -> list[Member]:
        """Every member there ever was, by id, with its last rating."""
        rows = self._rows(
            "SELECT m.id, m.slot, m.roles, r.mu, r.sigma, m.born, m.parents, m.operator, m.died, "
            "m.learning_rate_factor, m.temperature "
            "FROM members m JOIN ratings r ON r.member = m.id AND r.step = "
            "(SELECT max(step) FROM ratings WHERE member = m.id) ORDER BY m.id"
        )
        return [
            Member(
                id=row[0],
                slot=row[1],
                roles=tuple(Role(role) for role in json.loads(row[2])),
                mu=row[3],
                sigma=row[4],
                born=row[5],
                parents=tuple(json.loads(row[6])),
                operator=row[7],
                died=row[8],
                learning_rate_factor=row[9],
                temperature=row[10],
            )
            for row in rows
        ]

    def load_ratings(self) -> list[RatingPoint]:
        """Every member's rating after every step it took part in, by member, then step."""
        rows = self._rows("SELECT step, member, mu, sigma FROM ratings ORDER BY member, step")
        return [RatingPoint(*row) for row in rows]

    def load_matches(self) -> list[MatchResult]:
        """All matches in order."""
        rows = self._rows(
            "SELECT step, idx, teacher, student, proposed, valid, solve_rate, expected, "
            "student_won, tasks_of FROM matches ORDER BY step, idx"
        )
        return [
            MatchResult(
                match=Match(row[0], row[1], row[2], row[3], row[9]),
                proposed=row[4],
                valid=row[5],
                solve_rate=row[6],
                expected=row[7],
                student_won=None if row[8] is None else bool(row[8]),
            )
            for row in rows
        ]

    def load_matrix(self) -> list[MatrixCell]:
        """Teacher x student totals over the whole run, the stream (teacher None) first.

        Pairs without attempts are left out.
        """
        rows = self._rows(
            "SELECT m.teacher, m.student, count(DISTINCT r.task_id), count(*), "
            "sum(r.verdict = 'correct') FROM rollouts r "
            "JOIN matches m ON m.step = r.step AND m.idx = r.match "
            "WHERE r.verdict != 'infra_error' "
            "GROUP BY m.teacher, m.student ORDER BY m.teacher, m.student"
        )
        return [MatrixCell(*row) for row in rows]

    def load_solve_counts(self) -> list[SolveCount]:
        """Correct and counted attempts by step and task kind."""
        rows = self._rows(
            "SELECT step, kind, sum(verdict = 'correct'), count(*) FROM rollouts "
            "WHERE verdict != 'infra_error' GROUP BY step, kind ORDER BY step, kind"
        )
        return [SolveCount(*row) for row in rows]

    def load_task_rates(self) -> list[TaskRate]:
        """Correct and counted attempts at every task of every step, in step order."""
        rows = self._rows(
            "SELECT step, kind, task_id, sum(verdict = 'correct'), count(*) FROM rollouts "
            "WHERE verdict != 'infra_error' GROUP BY step, kind, task_id "
            "ORDER BY step, kind, task_id"
        )
        return [TaskRate(*row) for row in rows]

    def load_outcomes(self) -> list[OutcomeCount]:
        """Proposals by step and outcome (None: valid, else the rejection's reason)."""
        rows = self._rows(
            "SELECT step, reason, count(*) FROM proposals "
            "GROUP BY step, reason ORDER BY step, reason"
        )
        return [OutcomeCount(*row) for row in rows]

    def load_events(self) -> list[EvolutionEvent]:
        """All replacements in order."""
        rows = self._rows(
            "SELECT step, role, removed, child, parents, operator, details FROM events "
            "ORDER BY step, idx"
        )
        return [
            EvolutionEvent(
                row[0],
                Role(row[1]),
                row[2],
                row[3],
                tuple(json.loads(row[4])),
                row[5],
                json.loads(row[6]),
            )
            for row in rows
        ]

    def load_features(self) -> list[tuple[int, str, dict[str, float]]]:
        """(step, kind, features) of every task posed, by step, in the order of the matches."""
        rows = self._rows(
            "SELECT p.step, p.id, t.kind, t.features "
            "FROM proposals p JOIN tasks t ON t.id = p.task_id "
            f"UNION ALL SELECT r.step, r.id, t.kind, t.features FROM {_STREAMED} ORDER BY 1, 2"
        )
        return [(step, kind, json.loads(features)) for step, _, kind, features in rows]

    def load_task_outcomes(self, first: int, last: int) -> list[TaskOutcome]:
        """Tasks posed in steps `first` to `last`, each with how the attempts went.

        A task that was posed again later is there again, with that author and step.
        """
        task = "t.id, t.domain, t.kind, t.payload, t.features"
        rows = self._rows(
            f"SELECT p.step, p.text, {task}, p.teacher, "
            "p.step, coalesce(sum(r.verdict = 'correct'), 0), count(r.id) "
            "FROM proposals p JOIN tasks t ON t.id = p.task_id "
            "LEFT JOIN matches m ON m.step = p.step AND p.match IN (m.idx, m.tasks_of) "
            "LEFT JOIN rollouts r ON r.task_id = t.id AND r.step = p.step "
            "AND r.match = m.idx AND r.verdict != 'infra_error' "
            "WHERE p.step BETWEEN ? AND ? GROUP BY p.id ORDER BY p.id",
            (first, last),
        )
        rows += self._rows(
            f"SELECT r.step, '', {task}, NULL, r.step, "
            "sum(a.verdict = 'correct'), sum(a.verdict != 'infra_error') "
            "FROM rollouts a JOIN matches n ON n.step = a.step AND n.idx = a.match, "
            f"{_STREAMED} AND a.step = r.step AND a.task_id = r.task_id "
            "AND r.match IN (n.idx, n.tasks_of) AND r.step BETWEEN ? AND ? "
            "GROUP BY r.id ORDER BY r.id",
            (first, last),
        )
        return [
            TaskOutcome(
                step=row[0],
                proposal=row[1],
                task=Task(
                    id=row[2],
                    domain=row[3],
                    kind=row[4],
                    payload=json.loads(row[5]),
                    features=json.loads(row[6]),
                    author=row[7],
                    step=row[8],
                ),
                correct=row[9],
                attempts=row[10],
            )
            for row in rows
        ]

    def load_attempts(self, task_id: str, step: int | None = None) -> list[Attempt]:
        """All attempts at one task (of one step only, if given), in order."""
        rows = self._rows(
            "SELECT step, match, student, attempt, text, tokens, verdict, answer, reward "
            "FROM rollouts WHERE task_id = ? AND step = coalesce(?, step) ORDER BY id",
            (task_id, step),
        )
        return [
            Attempt(
                step=row[0],
                match=row[1],
                student=row[2],
                attempt=row[3],
                text=row[4],
                tokens=row[5],
                verdict=Verdict(row[6]),
                answer=row[7],
                reward=row[8],
            )
            for row in rows
        ]

    def load_proposals(self, step: int) -> list[ProposalText]:
        """All proposals of one step, in order."""
        rows = self._rows(
            "SELECT step, match, teacher, kind, text, task_id, reason, malformed, infra, detail, "
            "reward FROM proposals WHERE step = ? ORDER BY id",
            (step,),
        )
        return [
            ProposalText(
                step=row[0],
                match=row[1],
                teacher=row[2],
                kind=row[3],
                text=row[4],
                task_id=row[5],
                reason=row[6],
                malformed=bool(row[7]),
                infra=bool(row[8]),
                detail=row[9],
                reward=row[10],
            )
            for row in rows
        ]

    def suites(self) -> list[str]:
        """Names of the evaluated suites, sorted."""
        rows = self._rows("SELECT DISTINCT suite FROM evaluations ORDER BY 1")
        return [name for (name,) in rows if not name.endswith(UNFINISHED)]

    def load_evaluations(self, suite: str | None = None) -> list[EvaluationRow]:
        """Held-out results of one suite (None: all), by suite, subject, mode and task."""
        rows = self._rows(
            "SELECT subject, suite, mode, task_id, kind, band, correct, samples FROM evaluations "
            "WHERE suite = coalesce(?, suite) ORDER BY suite, subject, mode, task_id",
            (suite,),
        )
        return [EvaluationRow(*row) for row in rows if not row[1].endswith(UNFINISHED)]

    def staged_evaluation(self, suite: str, step: int) -> list[EvaluationRow]:
        """What an unfinished evaluation of `suite` after `step` has measured so far."""
        rows = self._rows(
            "SELECT subject, mode, task_id, kind, band, correct, samples FROM evaluations "
            "WHERE suite = ? AND step = ? ORDER BY subject, mode, task_id",
            (suite + UNFINISHED, step),
        )
        return [EvaluationRow(subject, suite, *rest) for subject, *rest in rows]

    def evaluated_step(self, suite: str) -> int | None:
        """The earliest step at which a member's result in `suite` was measured; None: never."""
        rows = self._rows(
            "SELECT min(step) FROM evaluations WHERE suite = ? AND subject != 'base'", (suite,)
        )
        return None if rows[0][0] is None else int(rows[0][0])
