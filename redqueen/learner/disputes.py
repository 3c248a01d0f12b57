"""Keys that students contradict: a wrong key is no hard task.

A teacher's key may answer another question than its text asks. Students who do not know an answer
seldom agree on one; where nearly all of them give the same answer and it is not the key, the key is
disputed. Its teacher is paid nothing, nobody learns from the attempts, and the task is not posed
again.
"""

from collections import Counter
from collections.abc import Collection, Sequence

from redqueen.types import Match, Proposal, Rollout, Task, Verdict

SHARE, LEAST = 0.75, 4
"""A key is disputed by this share of its attempts (6 of 8), and by so many."""


def disputed_tasks(
    matches: Sequence[Match],
    proposals: Sequence[Proposal],
    rollouts: Sequence[Rollout],
    fallible: Collection[str],
) -> frozenset[tuple[int, str]]:
    """Return the teachers' tasks whose key is disputed, by match and id.

    `fallible` are the environments in which a valid task may have a wrong key. The first answers of
    all students count, which nobody has talked them into; infrastructure errors do not, and what
    was judged without an answer being read is no common answer.
    """
    environments = {match.index: match.environment for match in matches}
    roots = {match.index: match.root for match in matches}
    tasks = {
        (proposal.match, proposal.outcome.id)
        for proposal in proposals
        if isinstance(proposal.outcome, Task) and environments[proposal.match] in fallible
    }
    attempts: dict[tuple[int, str], list[Rollout]] = {}
    for rollout in rollouts:
        key = (roots[rollout.match], rollout.task_id)
        judged = rollout.verdict not in (None, Verdict.INFRA_ERROR)
        if key in tasks and rollout.turn == 0 and judged:
            attempts.setdefault(key, []).append(rollout)
    return frozenset(key for key, made in attempts.items() if _is_disputed(made))


def _is_disputed(attempts: Sequence[Rollout]) -> bool:
    wrong = Counter(
        r.answer for r in attempts if r.verdict is Verdict.WRONG and r.answer is not None
    )
    most = max(wrong.values(), default=0)
    return most >= max(LEAST, SHARE * len(attempts))
