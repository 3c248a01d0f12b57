"""All rewards of a step, assigned once, when every verdict is in.

Absolute Zero Reasoner (arXiv 2505.03335, equations 4 to 6) and PopuLoRA (arXiv 2605.16727). None
stands for "not trained on": an infrastructure error says nothing about the member.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from redqueen.config.learner import LearnerConfig
from redqueen.learner.disputes import disputed_tasks
from redqueen.learner.teacher_rewards import Posed
from redqueen.population.ratings import solve_rate
from redqueen.types import Judgement, Match, Proposal, Rejection, Rollout, Verdict

Values = Sequence[float | None]
Credit = Callable[[Sequence[Match], Sequence[Rollout], Values], Values]
"""What the rollouts of a step are paid, given what their verdicts alone are worth."""


def own_verdict(matches: Sequence[Match], rollouts: Sequence[Rollout], values: Values) -> Values:
    """A `Credit` that pays every rollout for its own verdict."""
    return values


@dataclass(frozen=True, slots=True)
class Rewards:
    """One reward for each proposal and each rollout, in their order; None: not trained on."""

    proposals: tuple[float | None, ...]
    rollouts: tuple[float | None, ...]
    disputed: frozenset[tuple[int, str]] = frozenset()
    """Tasks whose key is, by match and id; see `learner.disputes`."""


def student_reward(
    verdict: Verdict | None, partial_score: float | None, config: LearnerConfig
) -> float | None:
    """Return +1 if correct, the configured penalties if wrong (-0.5) or malformed (-1); None
    without a verdict.

    With partial credit a wrong answer gets its `partial_score`, in [0, 1], of the way from the
    reward of a wrong to that of a correct one.
    """
    if verdict in (None, Verdict.INFRA_ERROR):
        return None
    if verdict is Verdict.MALFORMED:
        return config.malformed_reward
    credit = 1.0 if verdict is Verdict.CORRECT else partial_score or 0.0
    wrong = config.student.wrong_reward
    return wrong + credit * (1.0 - wrong)


def rejection_reward(rejection: Rejection, config: LearnerConfig) -> float | None:
    """Return the penalty of a proposal that became no task."""
    if rejection.infra:
        return None
    return config.malformed_reward if rejection.malformed else config.teacher.invalid_reward


def solve_rates(
    matches: Sequence[Match], rollouts: Sequence[Rollout]
) -> dict[tuple[int, str], float | None]:
    """Return the solve rate of every attempted task, over the last answers of all its students.

    Keys are the index of the match that the task was made for, and the task's id. None: no attempt
    counts.
    """
    roots = {match.index: match.root for match in matches}
    attempts: dict[tuple[int, str], list[Rollout]] = {}
    for rollout in rollouts:
        attempts.setdefault((roots[rollout.match], rollout.task_id), []).append(rollout)
    return {task: solve_rate(task_attempts) for task, task_attempts in attempts.items()}


def assign_rewards(
    matches: Sequence[Match],
    proposals: Sequence[Proposal],
    rollouts: Sequence[Rollout],
    config: LearnerConfig,
    judgements: Sequence[Judgement] = (),
    fallible: Collection[str] = (),
    credit: Credit = own_verdict,
) -> Rewards:
    """Return the rewards of all proposals and rollouts of a step.

    A valid task is worth what `learner.teacher.reward` says of its solve rate over all attempts,
    its novelty and the base's judgement; nothing if its key is disputed, and then nobody learns
    from the attempts at it. `fallible` are the environments whose keys may be wrong. `credit` is
    the interaction's: what its texts are paid.

    Raises:
        KeyError: a valid proposal has no rollout.
    """
    rates = solve_rates(matches, rollouts)
    disputed = disputed_tasks(matches, proposals, rollouts, fallible)
    roots = {match.index: match.root for match in matches}
    qualities = {(item.match, item.task_id): item.quality for item in judgements}
    paid: list[float | None] = []
    posed: dict[int, Posed] = {}
    for number, proposal in enumerate(proposals):
        outcome = proposal.outcome
        if isinstance(outcome, Rejection):
            paid.append(rejection_reward(outcome, config))
            continue
        key = (proposal.match, outcome.id)
        paid.append(0.0 if key in disputed else None)
        if key not in disputed and (rate := rates[key]) is not None:
            posed[number] = Posed(rate, proposal.novelty, qualities.get(key))
    worth = config.teacher.reward.of_step([*posed.values()])
    for number, reward in zip(posed, worth, strict=True):
        paid[number] = reward
    values = [student_reward(r.verdict, r.partial_score, config) for r in rollouts]
    return Rewards(
        proposals=tuple(paid),
        rollouts=tuple(
            None if (roots[r.match], r.task_id) in disputed else value
            for r, value in zip(rollouts, credit(matches, rollouts, values), strict=True)
        ),
        disputed=disputed,
    )
