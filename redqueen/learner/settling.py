"""How a step ends for its teachers and matches, and the step in numbers."""

from collections.abc import Sequence
from dataclasses import replace

from redqueen.config import LearnerConfig
from redqueen.learner.rewards import solve_rate, teacher_reward
from redqueen.population import Population, RatingSystem
from redqueen.types import (
    Match,
    MatchResult,
    Proposal,
    Rejection,
    Rollout,
    Task,
    Verdict,
)


def settle(
    ratings: RatingSystem,
    population: Population,
    matches: Sequence[Match],
    proposals: Sequence[Proposal],
    rollouts: Sequence[Rollout],
    config: LearnerConfig,
) -> tuple[tuple[Proposal, ...], tuple[MatchResult, ...]]:
    """The proposals with the teachers' rewards, and who won each match.

    A teacher's reward is of all attempts at its task, a match is decided by those of its own
    student. Every valid proposal needs at least one rollout, found by match and task id.
    """
    roots = {match.index: match.root for match in matches}
    by_task: dict[tuple[int, str], list[Rollout]] = {}
    by_student: dict[tuple[int, str], list[Rollout]] = {}
    for rollout in rollouts:
        by_task.setdefault((roots[rollout.match], rollout.task_id), []).append(rollout)
        by_student.setdefault((rollout.match, rollout.task_id), []).append(rollout)
    settled = []
    for proposal in proposals:
        rate = None
        if isinstance(proposal.outcome, Task):
            rate = _rate(by_task[proposal.match, proposal.outcome.id])
        settled.append(replace(proposal, reward=teacher_reward(proposal.outcome, rate, config)))
    rates: dict[int, list[float | None]] = {match.index: [] for match in matches}
    for (index, _), group in by_student.items():
        rates[index].append(_rate(group))
    results = []
    for match in matches:
        own = [p.outcome for p in settled if p.match == match.index]
        lost = sum(isinstance(outcome, Rejection) and outcome.infra for outcome in own)
        results.append(
            ratings.judge(
                population, match, rates[match.index], proposed=len(own), infra_rejections=lost
            )
        )
    return tuple(settled), tuple(results)


def _rate(attempts: Sequence[Rollout]) -> float | None:
    """The solve rate of attempts at one task."""
    return solve_rate([r.verdict for r in attempts], [r.share for r in attempts])


def step_metrics(proposals: Sequence[Proposal], rollouts: Sequence[Rollout]) -> dict[str, float]:
    """Shares of valid proposals and of solved attempts, failures of ours left out; token count.

    `infra_rate` is the share of proposals and attempts that were lost to failures of ours; a rate
    without anything to count is missing.
    """
    texts = [p.completion for p in proposals] + [r.completion for r in rollouts]
    judged = [
        p.outcome for p in proposals if not (isinstance(p.outcome, Rejection) and p.outcome.infra)
    ]
    counted = [r.verdict for r in rollouts if r.verdict is not Verdict.INFRA_ERROR]
    metrics = {
        "sampled_tokens": float(sum(len(text.token_ids) for text in texts)),
        "infra_rate": 1.0 - (len(judged) + len(counted)) / max(1, len(texts)),
    }
    if judged:
        metrics["valid_rate"] = sum(isinstance(item, Task) for item in judged) / len(judged)
    if counted:
        metrics["solve_rate"] = sum(v is Verdict.CORRECT for v in counted) / len(counted)
    return metrics
