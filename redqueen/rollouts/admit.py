"""What becomes of a step's attempts: verdicts and rewards."""

from collections.abc import Sequence
from dataclasses import replace

from redqueen.config import Config
from redqueen.environments.base import Judgement
from redqueen.errors import InfrastructureError
from redqueen.learner import student_reward
from redqueen.types import Rollout, Verdict


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
