"""One row of a run made again: prompts, verdicts and rewards."""

import json
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from redqueen.benchmarks.votes import VOTE, votes
from redqueen.environments.base import (
    Attempt,
    Draft,
    Environment,
    TaskSpace,
    elicit,
    has_fallible_keys,
)
from redqueen.environments.guarded import validated
from redqueen.learner.assign import assign_rewards
from redqueen.rollouts.collect import verifier_of
from redqueen.rollouts.interactions.base import Fits
from redqueen.rollouts.judging import judge_messages, read_quality
from redqueen.rollouts.replay import key_of, play_again
from redqueen.screens import hold_back, is_unsafe
from redqueen.store import ELICITED, EvaluationAttempt, Replay
from redqueen.types import (
    Completion,
    Messages,
    Proposal,
    Rejection,
    Request,
    Rollout,
    StepRecord,
    Task,
    Verdict,
)
from redqueen.verify.findings import Findings
from redqueen.verify.scores import Scored

if TYPE_CHECKING:
    from redqueen.config import Config

ADMISSION = frozenset({"disputed", "duplicate", "near_copy", "held_out"})
"""Reasons that depend on what the archive and the suites held at that time."""


class Rows:
    """The checks of single rows. Methods return the texts whose log-probabilities can be scored."""

    def __init__(
        self,
        replay: Replay,
        environments: Mapping[str, Environment],
        config: "Config",
        findings: Findings,
        fits: Fits,
    ) -> None:
        self.replay = replay
        self._fits = fits
        self._environments = environments
        self._spaces = {n: e for n, e in environments.items() if isinstance(e, TaskSpace)}
        self._fallible = {n for n, e in environments.items() if has_fallible_keys(e)}
        self._verify = verifier_of(environments)
        self._config = config
        self._findings = findings

    def rewards(
        self, record: StepRecord, proposals: Sequence[int], rollouts: Sequence[int]
    ) -> None:
        """Assign the rewards of a whole step again, and compare those of the chosen rows."""
        matches = [result.match for result in record.matches]
        credit = self._config.rollout.interaction.credit
        try:
            again = assign_rewards(
                matches,
                record.proposals,
                record.rollouts,
                self._config.learner,
                record.judgements,
                self._fallible,
                credit,
            )
        except KeyError as missing:
            self._findings.compare(f"step {record.step}", "reward", "all", f"no row for {missing}")
            return
        for i in proposals:
            row = f"step {record.step}, proposal {i}"
            self._findings.compare(row, "reward", record.proposal_rewards[i], again.proposals[i])
        for i in rollouts:
            row = f"step {record.step}, rollout {i}"
            self._findings.compare(row, "reward", record.rollout_rewards[i], again.rollouts[i])

    def proposals(self, chosen: Sequence[tuple[int, Proposal]], record: StepRecord) -> list[Scored]:
        """Ask and validate again."""
        environment_of = {r.match.index: r.match.environment for r in record.matches}
        tasks = self.replay.tasks({id_ for _, p in chosen for id_ in p.references})
        drafts: dict[str, list[tuple[str, Proposal, Draft]]] = {}
        past = _past(record)
        scored = []
        for number, proposal in chosen:
            row = f"step {record.step}, proposal {number}"
            scored.append(
                self._scored(row, proposal.request, proposal.completion, past.get(proposal.teacher))
            )
            missing = [id_ for id_ in proposal.references if id_ not in tasks]
            self._findings.compare(row, "references", missing, [])
            name = environment_of.get(proposal.match, "")
            space = self._spaces.get(name)
            if missing or space is None:
                why = "a reference is missing" if missing else f"no task space {name!r}"
                self._findings.skip(why, 2)
                continue
            shown = tuple(tasks[id_] for id_ in proposal.references)
            asked = space.ask(proposal.kind, shown)
            self._findings.compare(row, "prompt", proposal.request.messages, asked)
            draft = Draft(
                proposal.kind, proposal.completion.text, shown, proposal.teacher, record.step
            )
            drafts.setdefault(name, []).append((row, proposal, draft))
        for name, items in drafts.items():
            written = [draft for _, _, draft in items]
            again = hold_back(
                self._config.safety.screens,
                [draft.text for draft in written],
                partial(self._validated, self._spaces[name], written),
            )
            for (row, proposal, _), outcome in zip(items, again, strict=True):
                self._outcome(row, proposal, outcome)
        return scored

    @staticmethod
    def _validated(
        space: TaskSpace, drafts: Sequence[Draft], places: list[int]
    ) -> list[Task | Rejection]:
        return validated(space, [drafts[place] for place in places])

    def _outcome(self, row: str, proposal: Proposal, again: Task | Rejection) -> None:
        stored = proposal.outcome
        if any(isinstance(item, Rejection) and item.infra for item in (stored, again)):
            self._findings.skip("the sandbox failed on a proposal, then or now")
        elif not proposal.completion.finished and not is_unsafe(again):
            unfinished = stored.reason if isinstance(stored, Rejection) else "a task"
            self._findings.compare(row, "validation", unfinished, "unfinished")
        elif _was_turned_down(stored) and isinstance(again, Task):
            self._findings.skip("whether a valid task was new depends on the archive as it was")
        else:
            self._findings.compare(row, "validation", _plain(stored), _plain(again))

    def judgements(self, record: StepRecord, matches: Collection[int]) -> list[Scored]:
        """Ask for the judgements of these matches' tasks again, and read them."""
        chosen = [(i, j) for i, j in enumerate(record.judgements) if j.match in matches]
        tasks = self.replay.tasks({id_ for _, j in chosen for id_ in (j.task_id, *j.references)})
        scored = []
        for number, judgement in chosen:
            row = f"step {record.step}, judgement {number}"
            request, completion = judgement.request, judgement.completion
            scored.append(self._scored(row, request, completion, temperature=1.0))
            ids = (judgement.task_id, *judgement.references)
            missing = [id_ for id_ in ids if id_ not in tasks]
            self._findings.compare(row, "references", missing, [])
            if not missing:
                task, *shown = (tasks[id_] for id_ in ids)
                asked = judge_messages(self._environments[task.environment], task, shown)
                self._findings.compare(row, "prompt", request.messages, asked)
            quality = read_quality(completion.text)
            self._findings.compare(row, "reward", judgement.quality, quality)
        return scored

    def rollouts(self, chosen: Sequence[tuple[int, Rollout]], record: StepRecord) -> list[Scored]:
        """Play the step's interaction and verify the answers again."""
        tasks = self.replay.tasks({rollout.task_id for rollout in record.rollouts})
        turns = play_again(
            self._config.rollout.interaction,
            [result.match for result in record.matches],
            [rollout for rollout in record.rollouts if not rollout.origin],
            tasks,
            {member.id: member for member in record.members},
            self._environments,
            self._config.seed,
            self._fits,
        )
        for key in turns.keys() - {key_of(rollout) for rollout in record.rollouts}:
            where = "match {}, task {}, attempt {}, turn {}".format(*key)
            self._findings.differ(f"step {record.step}", "prompt", "no rollout", where)
        attempts: list[tuple[str, Rollout, Task | None, Messages | None]] = []
        scored, past = [], _past(record)
        for number, rollout in chosen:
            row = f"step {rollout.step}, rollout {number}"
            if rollout.origin:
                self._findings.skip("log-probabilities of a text that another node wrote")
            else:
                scored.append(
                    self._scored(
                        row, rollout.request, rollout.completion, past.get(rollout.student)
                    )
                )
            turn = turns.get(key_of(rollout))
            asked = turn.request.messages if turn else None
            attempts.append((row, rollout, tasks.get(rollout.task_id), asked))
        self._attempts(attempts)
        return scored

    def evaluations(self, chosen: Sequence[tuple[int, EvaluationAttempt]]) -> list[Scored]:
        """Put the suite's tasks and verify the attempts again."""
        tasks = self.replay.tasks({attempt.task_id for _, attempt in chosen})
        attempts, scored = [], []
        for number, attempt in chosen:
            row = f"suite {attempt.suite}, attempt {number}"
            # Greedy texts record the log-probabilities of temperature 1.
            temperature = attempt.temperature or 1.0
            scored.append(
                self._scored(row, attempt.request, attempt.completion, temperature=temperature)
            )
            task = tasks.get(attempt.task_id)
            attempts.append((row, attempt, task, self._put(attempt, task)))
        self._attempts(attempts)
        return scored

    def votes(
        self,
        chosen: Sequence[tuple[int, EvaluationAttempt]],
        attempts: Sequence[EvaluationAttempt],
    ) -> None:
        """Count the votes of a suite again."""
        again = {(row.subject, row.task_id): row for row in votes(attempts)}
        for number, row in chosen:
            if row.mode == VOTE:
                name = f"suite {row.suite}, attempt {number}"
                elected = again.get((row.subject, row.task_id))
                text = elected and elected.completion.text
                self._findings.compare(name, "vote", row.completion.text, text)

    def _put(self, attempt: EvaluationAttempt, task: Task | None) -> Messages | None:
        """Return the prompt of an evaluation; None if its task or its environment is missing."""
        if task is None or task.environment not in self._environments:
            return None
        environment = self._environments[task.environment]
        helped = attempt.subject == ELICITED
        return elicit(environment, task).messages if helped else environment.prompt(task)

    def _attempts(
        self, rows: Sequence[tuple[str, Rollout | EvaluationAttempt, Task | None, Messages | None]]
    ) -> None:
        """Compare prompts, and verify answers again."""
        again = []
        for row, attempt, task, asked in rows:
            if task is None or task.environment not in self._environments:
                why = (
                    "its task is missing"
                    if task is None
                    else f"no environment {task.environment!r}"
                )
                self._findings.skip(why, 2)
                continue
            self._findings.compare(
                row, "prompt", attempt.request.messages, asked or "a text that nothing asks for"
            )
            if attempt.verdict is not None:
                again.append((row, attempt, Attempt(task, attempt.completion.text)))
        verified = self._verify([item for _, _, item in again])
        for (row, attempt, _), now in zip(again, verified, strict=True):
            if Verdict.INFRA_ERROR in (attempt.verdict, now.verdict):
                self._findings.skip("the checker failed on an attempt, then or now")
                continue
            assert attempt.verdict is not None  # the others were left out above
            stored = (attempt.verdict.value, attempt.answer, attempt.partial_score)
            self._findings.compare(
                row, "verdict", stored, (now.verdict.value, now.answer, now.partial_score)
            )

    def _scored(
        self,
        row: str,
        request: Request,
        completion: Completion,
        past: int | None = None,
        temperature: float | None = None,
    ) -> Scored:
        heat = temperature or request.temperature or self._config.rollout.temperature
        return Scored(row, request.messages, completion, heat, request.suppression, past)


def _past(record: StepRecord) -> dict[int, int]:
    """Return the ids of the past members of a step, by themselves."""
    return {member.id: member.id for member in record.members if member.is_past}


def _was_turned_down(outcome: Task | Rejection) -> bool:
    return isinstance(outcome, Rejection) and outcome.reason in ADMISSION


def _plain(outcome: Task | Rejection) -> str:
    """Return what must be equal of an outcome, as text."""
    if isinstance(outcome, Rejection):
        return f"{outcome.reason} (malformed: {outcome.malformed})"
    parts = [outcome.id, outcome.kind, dict(outcome.payload), dict(outcome.features)]
    return json.dumps(parts, sort_keys=True)
