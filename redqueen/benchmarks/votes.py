"""Majority votes over the sampled attempts of an evaluation."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from redqueen.store import TEAM, EvaluationAttempt

VOTE = "vote"
"""Mode of an evaluation's row that stands for a vote."""


def elected(attempts: Sequence[EvaluationAttempt]) -> EvaluationAttempt:
    """Return the first attempt that has the most frequent answer; the first at all if no answer
    could be read.

    Of several answers that are equally frequent the one that came first wins. Answers are the same
    if their texts are: nothing is known here of what they mean.

    Raises:
        IndexError: there are no attempts.
    """
    counts = Counter(a.answer for a in attempts if a.answer is not None)
    if not counts:
        return attempts[0]
    winner = counts.most_common(1)[0][0]
    return next(attempt for attempt in attempts if attempt.answer == winner)


def votes(attempts: Sequence[EvaluationAttempt]) -> list[EvaluationAttempt]:
    """Return the vote of each subject on each task, and that of all students together (`team`).

    A vote is the elected attempt, as a row of the mode `vote`; other modes than `sampled` are left
    out.
    """
    ballots: dict[tuple[str, str], list[EvaluationAttempt]] = {}
    for attempt in attempts:
        if attempt.mode == "sampled":
            ballots.setdefault((attempt.subject, attempt.task_id), []).append(attempt)
            if attempt.subject.startswith("member:"):
                ballots.setdefault((TEAM, attempt.task_id), []).append(attempt)
    return [
        replace(elected(some), subject=subject, mode=VOTE, attempt=0)
        for (subject, _), some in ballots.items()
    ]
