"""Small records of a step: proposals of teacher 0, attempts of the students of matches."""

from redqueen.types import (
    Completion,
    Judgement,
    Match,
    Proposal,
    Rejection,
    Request,
    Rollout,
    Task,
    Verdict,
    user,
)


def text(slot: int, tokens: tuple[int, ...] = (5, 6), version: int = 0) -> Completion:
    return Completion(slot, (1, 2), tokens, (-0.5,) * len(tokens), "x", True, version)


def proposal(
    outcome: str | Rejection, match: int = 0, teacher: int = 0, kind: str = "code_o"
) -> Proposal:
    made = Task(outcome, "code", kind, {}) if isinstance(outcome, str) else outcome
    request = Request(teacher, user("ask"), 1)
    return Proposal(1, match, teacher, kind, (), request, text(teacher), made)


def judgement(match: int, task: str, quality: float | None) -> Judgement:
    return Judgement(1, match, task, (), Request(None, user("judge"), 1), text(0), quality)


def attempts(
    match: Match,
    task: str,
    *verdicts: Verdict,
    partial_score: float | None = None,
    completion: Completion | None = None,
) -> list[Rollout]:
    return [
        Rollout(
            step=1,
            match=match.index,
            student=match.student,
            task_id=task,
            kind="code_o",
            attempt=number,
            group=f"solve/1/{match.index}/{match.student}/{task}",
            request=Request(match.student, user("pose"), number),
            completion=completion or text(match.student),
            verdict=verdict,
            partial_score=partial_score,
        )
        for number, verdict in enumerate(verdicts)
    ]
