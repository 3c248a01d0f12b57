"""What a verdict is worth (Absolute Zero Reasoner, arXiv 2505.03335, equations 4 to 6; PopuLoRA).

None stands for "not trained on": a failure of ours says nothing about the member.
"""

import math
from collections.abc import Callable, Sequence

from redqueen.config import LearnerConfig
from redqueen.types import Rejection, Task, Verdict


def student_reward(
    verdict: Verdict, config: LearnerConfig, share: float | None = None
) -> float | None:
    """Correct +1, wrong but well-formed -0.5, malformed -1 (the latter two from the config).

    With partial credit, `share` in [0, 1] is the share of hidden cases passed, and a wrong answer
    gets its share of the way from the reward of a wrong to that of a correct one.
    """
    if verdict is Verdict.INFRA_ERROR:
        return None
    if verdict is Verdict.MALFORMED:
        return config.malformed_reward
    credit = 1.0 if verdict is Verdict.CORRECT else share or 0.0
    return config.student_wrong_reward + credit * (1.0 - config.student_wrong_reward)


def solve_rate(
    verdicts: Sequence[Verdict], shares: Sequence[float | None] | None = None
) -> float | None:
    """Mean score of the attempts at one task, in [0, 1]; None if no attempt counts.

    Infrastructure errors do not count. A correct attempt scores 1, any other 0, or its `shares`
    entry where the domain gives partial credit.
    """
    scores = [
        1.0 if verdict is Verdict.CORRECT else share or 0.0
        for verdict, share in zip(verdicts, shares or [None] * len(verdicts), strict=True)
        if verdict is not Verdict.INFRA_ERROR
    ]
    return math.fsum(scores) / len(scores) if scores else None


def one_minus(s: float) -> float:
    """1 - s, and 0 for a task that nobody solves (PopuLoRA, arXiv 2605.16727)."""
    return 1.0 - s if s > 0.0 else 0.0


def azr(s: float) -> float:
    """Learnability: 0 at s = 0 and at s = 1, else 1 - s (arXiv 2505.03335, equation 4).

    Equal to `one_minus`, whose 1 - s is 0 at s = 1 anyway; here under the name of its paper.
    """
    return 0.0 if s in (0.0, 1.0) else 1.0 - s


def variance(s: float) -> float:
    """4 s (1 - s): the variance of one attempt's success, scaled to 1 at its peak s = 1/2.

    s (1 - s) is the learnability of Rutherford et al., "No Regrets: Investigating and Improving
    Regret Approximations for Curriculum Discovery", NeurIPS 2024 (arXiv 2408.15099).
    """
    return 4.0 * s * (1.0 - s)


TEACHER_REWARDS: dict[str, Callable[[float], float]] = {
    "one_minus": one_minus,
    "azr": azr,
    "variance": variance,
}
"""Name -> reward of a valid task by its solve rate s in [0, 1]; all rewards are in [0, 1]."""


def teacher_reward(
    outcome: Task | Rejection, rate: float | None, config: LearnerConfig
) -> float | None:
    """What `learner.teacher_reward` says of a task's solve rate; the penalty of a rejection.

    `rate` is the `solve_rate` of all attempts at the task, None if there is none.
    """
    if isinstance(outcome, Rejection):
        if outcome.infra:
            return None
        return config.malformed_reward if outcome.malformed else config.invalid_reward
    return None if rate is None else TEACHER_REWARDS[config.teacher_reward](rate)
