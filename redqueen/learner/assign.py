"""All rewards of a step, assigned once, when every verdict is in.

Absolute Zero Reasoner (arXiv 2505.03335, equations 4 to 6) and PopuLoRA (arXiv 2605.16727). None
stands for "not trained on": a failure of ours says nothing about the member.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redqueen.config.learner import LearnerConfig
from redqueen.population.ratings import solve_rate
from redqueen.types import Match, Proposal, Rejection, Rollout, Task, Verdict

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


def teacher_reward(
    outcome: Task | Rejection, rate: float | None, config: LearnerConfig, novelty: float = 1.0
) -> float | None:
    """Return what `learner.teacher.reward` says of a task's solve rate, or a rejection's penalty.

    `rate` is that of all attempts at the task; None: no attempt counts. `novelty` is the task's.
    """
    if isinstance(outcome, Rejection):
        if outcome.infra:
            return None
        return config.malformed_reward if outcome.malformed else config.teacher.invalid_reward
    if rate is None:
        return None
    reward: float = config.teacher.reward.of_task(rate, novelty)
    return reward


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
    credit: Credit = own_verdict,
) -> Rewards:
    """Return the rewards of all proposals and rollouts of a step.

    `credit` is the interaction's: what an answer is paid besides its own verdict.

    Raises:
        KeyError: a valid proposal has no rollout.
    """
    rates = solve_rates(matches, rollouts)
    values = [student_reward(r.verdict, r.partial_score, config) for r in rollouts]
    return Rewards(
        proposals=tuple(
            teacher_reward(
                p.outcome,
                rates[p.match, p.outcome.id] if isinstance(p.outcome, Task) else None,
                config,
                p.novelty,
            )
            for p in proposals
        ),
        rollouts=tuple(credit(matches, rollouts, values)),
    )
