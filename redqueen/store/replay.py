"""From rows back to the records that they were written from: what verification works on."""

import json
import sqlite3
import zlib
from dataclasses import replace
from typing import Any

import numpy as np

from redqueen.formatting import BACKGROUND
from redqueen.store.exchanges import load_exchanges
from redqueen.store.reader import RunReader
from redqueen.store.records import EvaluationAttempt
from redqueen.store.rows import (
    TASK_COLUMNS,
    event_of,
    match_of,
    member_of,
    messages_of,
    task_of,
    verdict_of,
)
from redqueen.types import (
    Completion,
    Judgement,
    Proposal,
    Rejection,
    Request,
    Rollout,
    StepRecord,
    Suppression,
    Task,
    Verdict,
)


def unpack(blob: bytes | None, kind: str) -> tuple[Any, ...]:
    """Return the numbers that `pack` compressed; none if they were not kept."""
    return () if blob is None else tuple(np.frombuffer(zlib.decompress(blob), kind).tolist())


TEXT_COLUMNS = "q.messages, q.token_ids AS prompt_ids"


def _request(row: sqlite3.Row) -> Request:
    suppression = None
    if row["suppression"] is not None:
        kept: dict[str, Any] = json.loads(row["suppression"])
        suppression = Suppression(
            kept["share"], kept["seed"], tuple(kept["keep"]), tuple(kept["opening"])
        )
    return Request(
        row["slot"], messages_of(row["messages"]), row["seed"], row["temperature"], suppression
    )


def _completion(row: sqlite3.Row) -> Completion:
    return Completion(
        slot=row["slot"],
        prompt_ids=unpack(row["prompt_ids"], "<i4"),
        token_ids=unpack(row["token_ids"], "<i4"),
        logprobs=unpack(row["logprobs"], "<f4"),
        text=row["text"],
        finished=bool(row["finished"]),
        version=row["version"],
    )


def _proposal(row: sqlite3.Row, tasks: dict[str, sqlite3.Row]) -> Proposal:
    outcome: Task | Rejection
    if row["task_id"] is None:
        outcome = Rejection(
            row["reason"], bool(row["malformed"]), bool(row["infra"]), row["detail"]
        )
    else:
        outcome = task_of(tasks[row["task_id"]], row["teacher"], row["step"])
    return Proposal(
        step=row["step"],
        match=row["match"],
        teacher=row["teacher"],
        kind=row["kind"],
        references=tuple(json.loads(row["task_references"])),
        request=_request(row),
        completion=_completion(row),
        outcome=outcome,
        novelty=row["novelty"],
    )


def _rollout(row: sqlite3.Row) -> Rollout:
    return Rollout(
        step=row["step"],
        match=row["match"],
        student=row["student"],
        task_id=row["task_id"],
        kind=row["kind"],
        attempt=row["attempt"],
        group=row["compared"],
        request=_request(row),
        completion=_completion(row),
        verdict=verdict_of(row),
        answer=row["answer"],
        partial_score=row["partial_score"],
        turn=row["turn"],
        final=bool(row["final"]),
        origin=row["origin"],
    )


def _judgement(row: sqlite3.Row) -> Judgement:
    return Judgement(
        step=row["step"],
        match=row["match"],
        task_id=row["task_id"],
        references=tuple(json.loads(row["task_references"])),
        request=_request(row),
        completion=_completion(row),
        quality=row["quality"],
    )


class Replay:
    """Reads whole records of a run that is open for reading."""

    def __init__(self, run: RunReader) -> None:
        self._run = run

    def _texts(self, table: str, where: str, value: int | str) -> list[sqlite3.Row]:
        return self._run.rows(
            f"SELECT x.*, {TEXT_COLUMNS} FROM {table} x JOIN prompts q ON q.digest = x.prompt "
            f"WHERE {where} ORDER BY x.id",
            (value,),
        )

    def tasks(self, ids: set[str]) -> dict[str, Task]:
        """Return the tasks with these ids, as they were first posed; unknown ids are left out."""
        rows = self._task_rows(ids)
        return {id_: task_of(row, row["author"], row["step"]) for id_, row in rows.items()}

    def _task_rows(self, ids: set[str]) -> dict[str, sqlite3.Row]:
        rows = self._run.rows(
            f"SELECT {TASK_COLUMNS}, t.author, t.step FROM tasks t "
            "WHERE t.id IN (SELECT value FROM json_each(?))",
            (json.dumps(sorted(ids)),),
        )
        return {row["id"]: row for row in rows}

    def step(self, step: int) -> StepRecord:
        """Return the record of a step as it was written; members come by id.

        Lone surrogates in texts have become escapes, and log-probabilities have float32's digits;
        token ids and log-probabilities are empty if the run does not keep them.
        """
        run = self._run
        proposals = self._texts("proposals", "x.step = ?", step)
        rollouts = self._texts("rollouts", "x.step = ?", step)
        streamed = run.rows("SELECT task_id FROM streamed WHERE step = ? ORDER BY idx", (step,))
        tasks = self._task_rows({row["task_id"] for row in [*proposals, *streamed]} - {None})
        members = run.rows(
            "SELECT m.*, r.mu, r.sigma FROM ratings r JOIN members m ON m.id = r.member "
            "WHERE r.step = ? ORDER BY m.id",
            (step,),
        )
        metrics = run.rows("SELECT name, value FROM metrics WHERE step = ?", (step,))
        beside = run.load_phases(step, background=True)
        return StepRecord(
            step=step,
            matches=tuple(map(match_of, run.rows(
                "SELECT * FROM matches WHERE step = ? ORDER BY idx", (step,)))),
            proposals=tuple(_proposal(row, tasks) for row in proposals),
            proposal_rewards=tuple(row["reward"] for row in proposals),
            rollouts=tuple(_rollout(row) for row in rollouts),
            rollout_rewards=tuple(row["reward"] for row in rollouts),
            members=tuple(member_of(row, step) for row in members),
            events=tuple(map(event_of, run.rows(
                "SELECT * FROM events WHERE step = ? ORDER BY idx", (step,)))),
            metrics={
                row["name"]: float("nan") if row["value"] is None else row["value"]
                for row in metrics
            },
            seconds={time.phase: time.seconds for time in run.load_phases(step)}
            | {f"{BACKGROUND}{time.phase}": time.seconds for time in beside},
            streamed=tuple(task_of(tasks[row["task_id"]], None, step) for row in streamed),
            judgements=tuple(map(_judgement, self._texts("judgements", "x.step = ?", step))),
            exchange=load_exchanges(run, step - 1, step).get(step),
        )  # fmt: skip

    def evaluation(self, suite: str, going_on: int | None = None) -> list[EvaluationAttempt]:
        """Return all attempts of a finished evaluation, in the order they were written; or of the
        one that goes on, of the run's step `going_on`."""
        which = "NOT x.staged" if going_on is None else f"x.staged AND x.step = {going_on:d}"
        return [
            EvaluationAttempt(
                suite=suite,
                subject=row["subject"],
                mode=row["mode"],
                task_id=row["task_id"],
                attempt=row["attempt"],
                temperature=row["temperature"],
                request=replace(_request(row), temperature=None),
                completion=_completion(row),
                verdict=Verdict(row["verdict"]),
                answer=row["answer"],
                partial_score=row["partial_score"],
                metrics=json.loads(row["metrics"]),
            )
            for row in self._texts("evaluations", f"{which} AND x.suite = ?", suite)
        ]
