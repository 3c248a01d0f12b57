"""How records become rows. Every method runs inside the caller's transaction."""

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np

from redqueen.formatting import BACKGROUND
from redqueen.store.connection import insert
from redqueen.store.exchanges import write_exchange
from redqueen.store.records import EvaluationAttempt
from redqueen.types import Completion, Messages, Proposal, Rejection, Request, StepRecord, Task

Row = dict[str, Any]
Texts = Sequence[tuple[Request, Completion]]


def pack(values: Sequence[float], kind: str) -> bytes:
    """Return numbers as compressed little-endian `kind` (`<i4`, `<f4`); see `replay.unpack`."""
    return zlib.compress(np.asarray(values, dtype=kind).tobytes())


def messages_json(messages: Messages) -> str:
    """Return a conversation as JSON."""
    return json.dumps([row_of(turn) for turn in messages], separators=(",", ":"))


def digest_of(messages: str) -> str:
    """Return the key of a prompt, given its messages as JSON."""
    return hashlib.blake2b(messages.encode(), digest_size=16).hexdigest()


def row_of(record: Any, *omit: str, **more: Any) -> Row:
    """Return the fields of a dataclass but for `omit`, and the columns `more`."""
    names = _field_names(record.__class__)
    return {name: getattr(record, name) for name in names if name not in omit} | more


@cache
def _field_names(record: type) -> tuple[str, ...]:
    return tuple(item.name for item in fields(record))


class RecordWriter:
    """Writes records into one database.

    `keep_tokens`: also write token ids and log-probabilities, which re-scoring needs.
    """

    def __init__(self, db: sqlite3.Connection, keep_tokens: bool) -> None:
        self._db = db
        self._keep_tokens = keep_tokens

    def step(self, record: StepRecord) -> None:
        """Write all of one step."""
        db, step = self._db, record.step
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        insert(db, "steps", [{"step": step, "written_at": now}])
        metrics = record.metrics.items()
        insert(db, "metrics", [{"step": step, "name": n, "value": float(v)} for n, v in metrics])
        insert(
            db,
            "phases",
            [
                {
                    "step": step,
                    "phase": name.removeprefix(BACKGROUND),
                    "background": name.startswith(BACKGROUND),
                    "seconds": float(value),
                }
                for name, value in record.seconds.items()
            ],
        )
        self._members(record)
        matches = [
            row_of(result, "match") | row_of(result.match, "index", idx=result.match.index)
            for result in record.matches
        ]
        insert(db, "matches", matches)
        self.tasks(step, record.shown)
        self._proposals(record)
        self._rollouts(record)
        self._judgements(record)
        self.tasks(step, record.streamed)
        streamed = enumerate(record.streamed)
        insert(db, "streamed", [{"step": step, "idx": i, "task_id": t.id} for i, t in streamed])
        if record.exchange is not None:
            write_exchange(db, step, record.exchange)
        insert(db, "events", [row_of(event, idx=i) for i, event in enumerate(record.events)])

    def tasks(self, step: int, tasks: Iterable[Task], conflict: str = "DO NOTHING") -> None:
        """Write tasks. The same problem may be proposed twice; the first one stays."""
        rows = [row_of(task, recorded=step) for task in tasks]
        insert(self._db, "tasks", rows, f"ON CONFLICT (id) {conflict}")

    def evaluation(self, attempts: Sequence[EvaluationAttempt], step: int, staged: bool) -> None:
        """Write attempts in place of earlier ones of the same suite, subject, mode and stage;
        staged ones of the same task only."""
        keys = {(a.suite, a.subject, a.mode, a.task_id if staged else None) for a in attempts}
        self._db.executemany(
            "DELETE FROM evaluations WHERE suite = ? AND subject = ? AND mode = ? "
            "AND task_id = coalesce(?, task_id) AND staged = ?",
            [(*key, staged) for key in keys],
        )
        # A prompt that a later step uses too must outlive that step's removal.
        self._prompts(
            0, [(a.request, a.completion) for a in attempts], "DO UPDATE SET recorded = 0"
        )
        rows = [
            self._text(a.request, a.completion)
            | row_of(a, "request", "completion", step=step, staged=staged)
            for a in attempts
        ]
        insert(self._db, "evaluations", rows)

    def _members(self, record: StepRecord) -> None:
        """Write new members, deaths, and everybody's rating after the step."""
        step, members = record.step, record.members
        recorded = {id_ for (id_,) in self._db.execute("SELECT id FROM members")}
        changed = [m for m in members if m.id not in recorded or m.died is not None]
        insert(
            self._db,
            "members",
            [row_of(member, "mu", "sigma", recorded=step) for member in changed],
            "ON CONFLICT (id) DO UPDATE SET died = excluded.died",
        )
        ratings = [{"step": step, "member": m.id, "mu": m.mu, "sigma": m.sigma} for m in members]
        insert(self._db, "ratings", ratings)

    def _prompts(self, step: int, texts: Texts, conflict: str = "DO NOTHING") -> None:
        """Write each prompt once."""
        rows: dict[str, Row] = {}
        for request, completion in texts:
            messages = messages_json(request.messages)
            digest = digest_of(messages)
            if digest not in rows:
                ids = completion.prompt_ids
                rows[digest] = {
                    "digest": digest,
                    "recorded": step,
                    "messages": messages,
                    "tokens": len(ids),
                    "token_ids": pack(ids, "<i4") if self._keep_tokens else None,
                }
        insert(self._db, "prompts", rows.values(), f"ON CONFLICT (digest) {conflict}")

    def _text(self, request: Request, completion: Completion) -> Row:
        """Return the columns that everything a model wrote has."""
        return {
            "prompt": digest_of(messages_json(request.messages)),
            **row_of(request, "messages", "suppression"),
            "suppression": request.suppression and row_of(request.suppression),
            **row_of(completion, "slot", "prompt_ids"),
            "tokens": len(completion.token_ids),
            "token_ids": pack(completion.token_ids, "<i4") if self._keep_tokens else None,
            "logprobs": pack(completion.logprobs, "<f4") if self._keep_tokens else None,
        }

    def _proposals(self, record: StepRecord) -> None:
        """Write the proposals and the tasks that came of them."""
        outcomes = [proposal.outcome for proposal in record.proposals]
        self.tasks(record.step, [outcome for outcome in outcomes if isinstance(outcome, Task)])
        self._prompts(record.step, [(p.request, p.completion) for p in record.proposals])
        rows = [
            _proposal_row(proposal, reward) | self._text(proposal.request, proposal.completion)
            for proposal, reward in zip(record.proposals, record.proposal_rewards, strict=True)
        ]
        insert(self._db, "proposals", rows)

    def _rollouts(self, record: StepRecord) -> None:
        self._prompts(record.step, [(r.request, r.completion) for r in record.rollouts])
        rows = [
            row_of(r, "request", "completion", "group", compared=r.group, reward=reward)
            | self._text(r.request, r.completion)
            for r, reward in zip(record.rollouts, record.rollout_rewards, strict=True)
        ]
        insert(self._db, "rollouts", rows)

    def _judgements(self, record: StepRecord) -> None:
        self._prompts(record.step, [(j.request, j.completion) for j in record.judgements])
        rows = [
            row_of(j, "request", "completion", "references", task_references=j.references)
            | self._text(j.request, j.completion)
            for j in record.judgements
        ]
        insert(self._db, "judgements", rows)


def _proposal_row(proposal: Proposal, reward: float | None) -> Row:
    outcome, task_id, rejection = proposal.outcome, None, None
    if isinstance(outcome, Task):
        task_id = outcome.id
    else:
        rejection = outcome
    return {
        **row_of(proposal, "request", "completion", "outcome", "references"),
        "task_references": proposal.references,
        "task_id": task_id,
        **row_of(rejection or Rejection("", malformed=False)),
        "reason": rejection.reason if rejection else None,
        "reward": reward,
    }
