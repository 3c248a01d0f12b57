"""What becomes of a step's texts: proposals are tasks or rejections, attempts have verdicts."""

from collections.abc import Sequence
from dataclasses import replace

from redqueen.benchmarks import Reserved
from redqueen.config import Config
from redqueen.curriculum.archive import Archive
from redqueen.curriculum.near_copies import CopyIndex
from redqueen.environments.base import Judgement
from redqueen.errors import InfrastructureError
from redqueen.learner import student_reward
from redqueen.types import Proposal, Rejection, Rollout, Task, Verdict


def sift(
    proposals: Sequence[Proposal],
    outcomes: Sequence[Task | Rejection],
    archive: Archive,
    copies: CopyIndex | None,
    held_out: Reserved,
) -> tuple[Proposal, ...]:
    """Proposals with their outcomes: tasks, or rejections with a name.

    What the archive or this step has already is a duplicate, or a near copy if `copies` says so.
    A task of an evaluation suite, should a teacher hit on it, is never trained on.

    Raises:
        InfrastructureError: the sandbox failed, and nothing became a task.
    """
    seen: set[str] = set()
    if copies is not None:
        copies.follow(archive.tasks)
    sifted = []
    for proposal, outcome in zip(proposals, outcomes, strict=True):
        result: Task | Rejection = outcome
        if not proposal.completion.finished:
            result = Rejection("unfinished", malformed=True)
        elif isinstance(outcome, Task):
            if held_out.holds(outcome):
                result = Rejection("held_out", malformed=False)
            elif outcome.id in seen or outcome.id in archive:
                result = Rejection("duplicate", malformed=False)
            elif copies is not None and copies.is_copy(outcome):
                result = Rejection("near_copy", malformed=False)
            elif copies is not None:
                copies.add(outcome)
            seen.add(outcome.id)
        sifted.append(replace(proposal, outcome=result))
    lost = sum(isinstance(p.outcome, Rejection) and p.outcome.infra for p in sifted)
    if lost and not any(isinstance(p.outcome, Task) for p in sifted):
        raise InfrastructureError(
            f"the sandbox failed on {lost} of {len(sifted)} proposals and none became a task; "
            "the last checkpoint is intact. Check `redqueen doctor`, then resume"
        )
    return tuple(sifted)


def grade(
    rollouts: Sequence[Rollout], judgements: Sequence[Judgement], config: Config
) -> tuple[Rollout, ...]:
    """Attempts with their verdicts and the students' rewards.

    Raises:
        InfrastructureError: the sandbox failed on all of them.
    """
    graded = []
    for rollout, judgement in zip(rollouts, judgements, strict=True):
        share = judgement.score if config.domain.code_f_partial_credit else None
        graded.append(
            replace(
                rollout,
                verdict=judgement.verdict,
                answer=judgement.answer,
                share=share,
                reward=student_reward(judgement.verdict, config.learner, share),
            )
        )
    broken = sum(rollout.verdict is Verdict.INFRA_ERROR for rollout in graded)
    if graded and broken == len(graded):
        raise InfrastructureError(
            f"the sandbox failed on all {broken} attempts of the step, retries included; "
            "the last checkpoint is intact. Check `redqueen doctor`, then resume"
        )
    return tuple(graded)
