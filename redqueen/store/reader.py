"""Typed reading of a run database. Works beside the process that writes it."""

import json
import sqlite3
from collections.abc import Callable, Hashable, Sequence
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from redqueen.closing import Closing
from redqueen.errors import InfrastructureError
from redqueen.store.connection import database_errors
from redqueen.store.records import (
    Attempt,
    BenchmarkAttempt,
    EvaluationRow,
    FeatureTable,
    GroupCount,
    HeldBack,
    MatrixCell,
    OutcomeCount,
    PhaseTime,
    ProposalText,
    RatingPoint,
    RowCount,
    SolveCount,
    TaskOutcome,
    TaskRate,
    feature_table,
)
from redqueen.store.rows import (
    TASK_COLUMNS,
    decoded,
    event_of,
    match_of,
    member_of,
    messages_of,
    task_of,
    verdict_of,
)
from redqueen.types import EvolutionEvent, MatchResult, Member, Verdict

# Validating a configuration imports its components: a report does without.
if TYPE_CHECKING:
    from redqueen.config import Config

Record = TypeVar("Record")
ANSWERS = "verdict != 'infra_error'"
COUNTED = f"final AND {ANSWERS}"
CORRECT = "coalesce(sum(verdict = 'correct'), 0) AS correct"


class RunReader(Closing):
    """The reading half of a run; open one with `RunStore.open(directory, read_only=True)`.

    Every method raises InfrastructureError if the database fails.
    """

    def __init__(self, directory: Path, connection: sqlite3.Connection) -> None:
        self.directory = directory
        self.path = directory / "run.db"
        self._connection = connection
        self._connection.row_factory = sqlite3.Row

    def close(self) -> None:
        """Close the database; a second call does nothing."""
        self._connection.close()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return what a SELECT gives; columns by name or number."""
        with database_errors(self.path):
            return self._connection.execute(sql, values).fetchall()

    def _records(self, record: type[Record], sql: str, values: Sequence[Any] = ()) -> list[Record]:
        """Return a record for each row; `sql` follows the SELECT of the record's fields."""
        names = ", ".join(item.name for item in fields(record))  # type: ignore[arg-type]
        return [record(**row) for row in self.rows(f"SELECT {names} {sql}", values)]

    def config_values(self) -> dict[str, Any]:
        """Return the configuration of the run as plain JSON, without importing its components."""
        values: dict[str, Any] = self.meta("config")
        return values

    def config(self) -> "Config":
        """Return the configuration of the run, validated.

        Raises:
            ConfigError: a component that it names cannot be imported here.
        """
        from redqueen.config import build_config

        return build_config(self.config_values(), f"config in {self.path}")

    def meta(self, key: str) -> Any:
        """Return the JSON value kept under `key`, or None."""
        rows = self.rows("SELECT value FROM meta WHERE key = ?", (key,))
        try:
            return json.loads(rows[0]["value"]) if rows else None
        except ValueError as error:
            raise InfrastructureError(
                f"the run database {self.path} is damaged: {key!r} of its table meta is no JSON "
                f"({error}); put back a copy of it"
            ) from error

    def last_step(self) -> int:
        """Return the last step written; 0 before the first."""
        return int(self.rows("SELECT coalesce(max(step), 0) AS last FROM steps")[0]["last"])

    def last_written(self) -> datetime | None:
        """Return when the last step was written, in UTC; None: there is none."""
        rows = self.rows("SELECT written_at FROM steps WHERE step > 0 ORDER BY step DESC LIMIT 1")
        try:
            return datetime.fromisoformat(rows[0]["written_at"]) if rows else None
        except ValueError as error:
            raise InfrastructureError(
                f"the run database {self.path} is damaged: a step of it was written at no time "
                f"({error}); put back a copy of it"
            ) from error

    def steps(self) -> list[int]:
        """Return all steps written, in order."""
        return [
            row["step"] for row in self.rows("SELECT step FROM steps WHERE step > 0 ORDER BY 1")
        ]

    def remember(self, key: Hashable, make: Callable[[], Record]) -> Record:
        """Return what `make` returns; a reader that follows a run does so once for each key."""
        return make()

    def load_metrics(self, name: str, after: int = 0) -> list[tuple[int, float]]:
        """Return (step, value) of one metric in step order; not-a-number comes back as such."""
        rows = self.rows(
            "SELECT step, value FROM metrics WHERE name = ? AND step > ? ORDER BY step",
            (name, after),
        )
        return [(step, float("nan") if value is None else value) for step, value in rows]

    def load_phases(
        self, step: int | None = None, *, background: bool = False, after: int = 0
    ) -> list[PhaseTime]:
        """Return the seconds of every phase of every step (or of one), in step order.

        `background`: instead, of what went on at the same time as other phases.
        """
        return self._records(
            PhaseTime,
            "FROM phases WHERE step = coalesce(?, step) AND background = ? AND step > ? "
            "ORDER BY step, phase",
            (step, background, after),
        )

    def load_members(self) -> list[Member]:
        """Return every member there ever was, by id, with its last rating."""
        rows = self.rows(
            "SELECT m.*, r.mu, r.sigma FROM members m JOIN ratings r ON r.member = m.id "
            "AND r.step = (SELECT max(step) FROM ratings WHERE member = m.id) ORDER BY m.id"
        )
        return [member_of(row) for row in rows]

    def load_ratings(self, after: int = 0) -> list[RatingPoint]:
        """Return every member's rating after every step it took part in, by member, then step."""
        return self._records(
            RatingPoint, "FROM ratings WHERE step > ? ORDER BY member, step", (after,)
        )

    def load_matches(self, after: int = 0) -> list[MatchResult]:
        """Return all matches in order."""
        rows = self.rows("SELECT * FROM matches WHERE step > ? ORDER BY step, idx", (after,))
        return [match_of(row) for row in rows]

    def load_matrix(self, after: int = 0) -> list[MatrixCell]:
        """Return teacher x student totals over the whole run, the stream (teacher None) first.

        Pairs without attempts are left out.
        """
        rows = self.rows(
            "SELECT m.teacher, m.student, count(DISTINCT r.task_id) AS tasks, "
            f"count(*) AS attempts, {CORRECT} FROM rollouts r "
            "JOIN matches m ON m.step = r.step AND m.idx = r.match "
            f"WHERE {COUNTED} AND r.step > ? "
            "GROUP BY m.teacher, m.student ORDER BY m.teacher, m.student",
            (after,),
        )
        return [MatrixCell(**row) for row in rows]

    def load_solve_counts(self, after: int = 0) -> list[SolveCount]:
        """Return correct and counted attempts by step and task kind."""
        rows = self.rows(
            f"SELECT step, kind, {CORRECT}, count(*) AS attempts FROM rollouts "
            f"WHERE {COUNTED} AND step > ? GROUP BY step, kind ORDER BY step, kind",
            (after,),
        )
        return [SolveCount(**row) for row in rows]

    def load_turn_counts(self, after: int = 0) -> list[SolveCount]:
        """Return correct and counted answers by step and turn, which takes the kind's place."""
        rows = self.rows(
            "SELECT step, 'turn ' || (turn + 1) AS kind, sum(verdict = 'correct') AS correct, "
            f"count(*) AS attempts FROM rollouts WHERE {ANSWERS} AND step > ? "
            "GROUP BY step, turn ORDER BY 1, 2",
            (after,),
        )
        return [SolveCount(**row) for row in rows]

    def load_task_rates(self) -> list[TaskRate]:
        """Return correct and counted attempts at every task of every step, in step order."""
        rows = self.rows(
            f"SELECT step, kind, task_id, {CORRECT}, count(*) AS attempts FROM rollouts "
            f"WHERE {COUNTED} GROUP BY step, kind, task_id ORDER BY step, kind, task_id"
        )
        return [TaskRate(**row) for row in rows]

    def load_group_counts(self, after: int = 0) -> list[GroupCount]:
        """Return what answers and their groups looked like, by step."""
        rows = self.rows(
            "SELECT step, count(*) AS groups, sum(right > 0 AND right < size) AS mixed, "
            "sum(size) AS attempts, sum(malformed) AS malformed, sum(truncated) AS truncated FROM "
            "(SELECT step, sum(verdict = 'correct') AS right, count(*) AS size, "
            "sum(verdict = 'malformed') AS malformed, sum(NOT finished) AS truncated FROM rollouts "
            f"WHERE {ANSWERS} AND step > ? GROUP BY step, compared) GROUP BY step",
            (after,),
        )
        return [GroupCount(**row) for row in rows]

    def load_teacher_rewards(self, after: int = 0) -> list[tuple[int, float]]:
        """Return (step, mean reward of the proposals that have one), in step order."""
        rows = self.rows(
            "SELECT step, avg(reward) FROM proposals WHERE reward IS NOT NULL AND step > ? "
            "GROUP BY step",
            (after,),
        )
        return [(row[0], row[1]) for row in rows]

    def load_outcomes(self, after: int = 0) -> list[OutcomeCount]:
        """Return proposals by step and outcome (None: valid, else the rejection's reason)."""
        rows = self.rows(
            "SELECT step, reason, count(*) AS count FROM proposals WHERE step > ? "
            "GROUP BY step, reason ORDER BY step, reason",
            (after,),
        )
        return [OutcomeCount(**row) for row in rows]

    def load_events(self) -> list[EvolutionEvent]:
        """Return all replacements in order."""
        return [event_of(row) for row in self.rows("SELECT * FROM events ORDER BY step, idx")]

    def load_examples(self, after: int = 0) -> dict[str, str]:
        """Return the latest rejected proposal's text by reason."""
        # SQLite gives the columns beside max(id) of that row.
        rows = self.rows(
            "SELECT reason, text, max(id) FROM proposals WHERE reason IS NOT NULL AND step > ? "
            "GROUP BY reason",
            (after,),
        )
        return {row["reason"]: row["text"] for row in rows}

    def load_features(self, after: int = 0) -> list[tuple[int, str, dict[str, float]]]:
        """Return (step, kind, features) of every task posed, by step, teachers' tasks first."""
        rows = self.rows(
            "SELECT p.step, 0, p.id, t.kind, t.features "
            "FROM proposals p JOIN tasks t ON t.id = p.task_id WHERE p.step > ?1 "
            "UNION ALL SELECT s.step, 1, s.idx, t.kind, t.features "
            "FROM streamed s JOIN tasks t ON t.id = s.task_id WHERE s.step > ?1 ORDER BY 1, 2, 3",
            (after,),
        )
        return [(row["step"], row["kind"], decoded(row["features"])) for row in rows]

    def load_feature_table(self, names: Sequence[str], after: int = 0) -> FeatureTable:
        """Return the named features of every task posed after a step, in step order."""
        return feature_table(names, self.load_features(after))

    def load_seed_features(self, names: Sequence[str]) -> FeatureTable:
        """Return the named features of every task that the archives start from."""
        rows = self.rows("SELECT kind, features FROM tasks WHERE recorded = 0")
        return feature_table(names, [(0, row["kind"], decoded(row["features"])) for row in rows])

    def load_task_outcomes(self, first: int, last: int) -> list[TaskOutcome]:
        """Return the tasks posed in steps `first` to `last`, each with how the attempts went.

        A task that was posed again later is there again, with that author and step.
        """
        proposed = self.rows(
            f"SELECT {TASK_COLUMNS}, p.step AS posed, p.text, p.teacher, {CORRECT}, "
            "count(r.id) AS attempts FROM proposals p JOIN tasks t ON t.id = p.task_id "
            "LEFT JOIN matches m ON m.step = p.step AND p.match IN (m.idx, m.tasks_of) "
            "LEFT JOIN rollouts r ON r.task_id = t.id AND r.step = p.step "
            f"AND r.match = m.idx AND {COUNTED} "
            "WHERE p.step BETWEEN ? AND ? GROUP BY p.id ORDER BY p.id",
            (first, last),
        )
        streamed = self.rows(
            f"SELECT {TASK_COLUMNS}, s.step AS posed, '' AS text, NULL AS teacher, {CORRECT}, "
            "count(r.id) AS attempts FROM streamed s JOIN tasks t ON t.id = s.task_id "
            "JOIN matches m ON m.step = s.step AND m.teacher IS NULL "
            "LEFT JOIN rollouts r ON r.task_id = t.id AND r.step = s.step "
            f"AND r.match = m.idx AND {COUNTED} "
            "WHERE s.step BETWEEN ? AND ? GROUP BY s.step, s.idx ORDER BY s.step, s.idx",
            (first, last),
        )
        return [
            TaskOutcome(
                step=row["posed"],
                proposal=row["text"],
                task=task_of(row, row["teacher"], row["posed"]),
                correct=row["correct"],
                attempts=row["attempts"],
            )
            for row in [*proposed, *streamed]
        ]

    def load_attempts(self, task_id: str, step: int | None = None) -> list[Attempt]:
        """Return all texts about one task (of one step only, if given), in order."""
        rows = self.rows(
            "SELECT step, match, student, attempt, turn, final, text, r.tokens, verdict, answer, "
            "reward, messages AS conversation "
            "FROM rollouts r JOIN prompts q ON q.digest = r.prompt "
            "WHERE task_id = ? AND step = coalesce(?, step) ORDER BY id",
            (task_id, step),
        )
        asked = [messages_of(row["conversation"]) for row in rows]
        task = next((asked[i] for i, row in enumerate(rows) if row["turn"] == 0), ())
        return [
            Attempt(
                **{
                    **row,
                    "final": bool(row["final"]),
                    "verdict": verdict_of(row),
                    "conversation": messages[len(task) :],
                }
            )
            for row, messages in zip(rows, asked, strict=True)
        ]

    def load_proposals(self, step: int) -> list[ProposalText]:
        """Return all proposals of one step, in order."""
        rows = self.rows(
            "SELECT step, match, teacher, kind, text, task_id, reason, malformed, infra, detail, "
            "reward FROM proposals WHERE step = ? ORDER BY id",
            (step,),
        )
        flags = ("malformed", "infra")
        return [
            ProposalText(**{**row, **{name: bool(row[name]) for name in flags}}) for row in rows
        ]

    def load_held_back(self) -> list[HeldBack]:
        """Return the proposals that screens held back, oldest first."""
        rows = self.rows(
            "SELECT p.step, m.environment, p.teacher, p.kind, p.detail, p.text FROM proposals p "
            "JOIN matches m ON m.step = p.step AND m.idx = p.match "
            "WHERE p.reason = 'unsafe' ORDER BY p.id"
        )
        return [HeldBack(**row) for row in rows]

    def suites(self) -> list[str]:
        """Return the names of the evaluated suites, benchmarks left out, sorted."""
        rows = self.rows(
            "SELECT DISTINCT suite FROM evaluations e JOIN tasks t ON t.id = e.task_id "
            "WHERE NOT staged AND suite != environment ORDER BY 1"
        )
        return [row["suite"] for row in rows]

    def load_evaluations(self, suite: str | None = None) -> list[EvaluationRow]:
        """Return the results of one suite (None: all), by suite, subject, mode and task."""
        return self._evaluations("NOT staged AND suite = coalesce(?, suite)", (suite,))

    def staged_evaluation(self, suite: str, step: int) -> list[EvaluationRow]:
        """Return what an unfinished evaluation of `suite` after `step` has measured so far."""
        return self._evaluations("staged AND suite = ? AND e.step = ?", (suite, step))

    def _evaluations(self, where: str, values: Sequence[Any]) -> list[EvaluationRow]:
        difficulty = {
            name: (description.get("difficulty") or {}).get("name")
            for name, description in (self.meta("environments") or {}).items()
        }
        rows = self.rows(
            "SELECT subject, suite, mode, task_id, kind, environment, features, "
            f"{CORRECT}, count(*) AS samples FROM evaluations e JOIN tasks t ON t.id = e.task_id "
            f"WHERE {where} GROUP BY suite, subject, mode, task_id "
            "ORDER BY suite, subject, mode, task_id",
            values,
        )
        result = []
        for row in rows:
            columns = dict(row)
            feature = difficulty.get(columns.pop("environment"))
            band = decoded(columns.pop("features")).get(feature, 0)
            result.append(EvaluationRow(**columns, band=int(band)))
        return result

    def benchmarks(self) -> list[str]:
        """Return the names of the benchmarks that were measured."""
        return list(dict.fromkeys(attempt.benchmark for attempt in self.benchmark_attempts()))

    def benchmark_attempts(self) -> list[BenchmarkAttempt]:
        """Return all attempts at benchmarks: suites that are an environment of the same name."""
        rows = self.rows(
            "SELECT suite, subject, mode, task_id, verdict, metrics FROM evaluations e "
            "JOIN tasks t ON t.id = e.task_id WHERE NOT staged AND suite = environment "
            "ORDER BY suite, mode, subject, task_id, attempt"
        )
        return [
            BenchmarkAttempt(
                row["suite"],
                row["subject"],
                row["mode"],
                row["task_id"],
                row["verdict"] == Verdict.CORRECT,
                decoded(row["metrics"]),
            )
            for row in rows
        ]

    def evaluated_step(self, suite: str) -> int | None:
        """Return the earliest step at which a member was measured in `suite`; None: never."""
        rows = self.rows(
            "SELECT min(step) AS step FROM evaluations "
            "WHERE suite = ? AND subject LIKE 'member:%' AND NOT staged",
            (suite,),
        )
        step: int | None = rows[0]["step"]
        return step

    def row_counts(self) -> list[RowCount]:
        """Return how many texts the database holds, by table and step or suite."""
        rows = self.rows(
            "SELECT 'proposals' AS 'table', step AS part, count(*) AS count FROM proposals "
            "GROUP BY step UNION ALL SELECT 'rollouts', step, count(*) FROM rollouts GROUP BY step "
            "UNION ALL SELECT 'evaluations', suite, count(*) FROM evaluations WHERE NOT staged "
            "GROUP BY suite ORDER BY 1, 2"
        )
        return [RowCount(**row) for row in rows]
