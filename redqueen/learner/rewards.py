"""What a verdict is worth (Absolute Zero Reasoner, arXiv 2505.03335, equations 4 to 6; PopuLoRA).

None stands for "not trained on": a failure of ours says nothing about the member.
"""

import math
from collections.abc import Sequence

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


def teacher_reward(
    outcome: Task | Rejection, rate: float | None, config: LearnerConfig
) -> float | None:
    """1 - s for a task of solve rate s > 0, else 0; a rejected proposal gets its penalty.

    `rate` is the matched student's `solve_rate`, None if there is none.
    """
    if isinstance(outcome, Rejection):
        if outcome.infra:
            return None
        return config.malformed_reward if outcome.malformed else config.invalid_reward
    if rate is None:
        return None
    return 1.0 - rate if rate > 0.0 else 0.0
