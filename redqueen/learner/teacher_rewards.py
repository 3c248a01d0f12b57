"""What a valid task is worth to its teacher, as a function of its solve rate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from redqueen.config.component import Component, Of


@dataclass(frozen=True, slots=True)
class Posed:
    """What a teacher's reward may read of a valid task."""

    solve_rate: float
    """In [0, 1], over all attempts."""
    novelty: float = 1.0
    """In (0, 1]; see `Proposal`."""
    quality: float | None = None
    """In [0, 1], by the judge; None: not judged, or its text cannot be read."""


class TeacherReward(Component):
    """Base of what a config names as a teacher's reward."""

    @property
    def judge_tokens(self) -> int:
        """Tokens that the base may write to judge a task; 0: tasks are not judged."""
        return 0

    def of_step(self, tasks: Sequence[Posed]) -> list[float]:
        """Return the rewards of all valid tasks of a step; by default each on its own."""
        return [self.of(task.solve_rate) for task in tasks]

    def of(self, solve_rate: float) -> float:
        """Return the reward, in [0, 1], of a task with this solve rate in [0, 1]."""
        raise NotImplementedError


class OneMinus(TeacherReward):
    """1 - s, and 0 for a task that nobody solves.

    PopuLoRA (arXiv 2605.16727), and the Absolute Zero Reasoner's learnability (arXiv 2505.03335,
    equation 4), which spells out a 0 at s = 1 that 1 - s has anyway.
    """

    def of(self, solve_rate: float) -> float:
        """Return 1 - s if s > 0, else 0."""
        return 1.0 - solve_rate if solve_rate > 0.0 else 0.0


class Variance(TeacherReward):
    """4 s (1 - s): the variance of one attempt's success, scaled to 1 at its peak s = 1/2.

    s (1 - s) is the learnability of Rutherford et al., "No Regrets: Investigating and Improving
    Regret Approximations for Curriculum Discovery", NeurIPS 2024 (arXiv 2408.15099).
    """

    def of(self, solve_rate: float) -> float:
        """Return 4 s (1 - s)."""
        return 4.0 * solve_rate * (1.0 - solve_rate)


class Novelty(TeacherReward):
    """(1 - w) r + w n for a task of reward r > 0 and novelty n, else 0.

    n = 1 / sqrt(1 + archived tasks in its cell), a count-based bonus (Strehl and Littman, "An
    analysis of model-based interval estimation", 2008; Bellemare et al., arXiv 1606.01868). A task
    that teaches nothing earns nothing by being new.
    """

    by: Annotated[Any, Of("teacher_reward")] = Field("one_minus")
    """The reward r by the solve rate."""
    weight: float = Field(0.25, ge=0, le=1)
    """The share w of novelty."""

    @property
    def judge_tokens(self) -> int:
        """Return what r asks for."""
        tokens: int = self.by.judge_tokens
        return tokens

    def of(self, solve_rate: float) -> float:
        """Return the reward of a task of a new cell."""
        return self._with_bonus(self.by.of(solve_rate), 1.0)

    def of_step(self, tasks: Sequence[Posed]) -> list[float]:
        """Return (1 - w) r + w n for each task with r > 0, else 0."""
        rewards = self.by.of_step(tasks)
        return [self._with_bonus(r, t.novelty) for r, t in zip(rewards, tasks, strict=True)]

    def _with_bonus(self, reward: float, novelty: float) -> float:
        return (1.0 - self.weight) * reward + self.weight * novelty if reward > 0.0 else 0.0


class Guided(TeacherReward):
    """R_solve x R_guide, scaled linearly to [0, 1] within the step (arXiv 2604.20209, section 3).

    R_solve is 1 - s, but 0 for a task that nobody solves and for the step's easiest. R_guide is the
    quality that the untrained base sees in the task beside its references; a judgement that cannot
    be read counts as the mean of the others. Products that are all equal stay as they are.
    """

    easy: float = Field(0.3, ge=0, le=1)
    """Tasks whose solve rate is above all but this share of the step's earn nothing."""
    tokens: int = Field(256, ge=16)
    """That the base may write to judge one task."""

    @property
    def judge_tokens(self) -> int:
        """Return `tokens`."""
        return self.tokens

    def of(self, solve_rate: float) -> float:
        """Return R_solve of a task that is not among the step's easiest."""
        return 1.0 - solve_rate if solve_rate > 0.0 else 0.0

    def of_step(self, tasks: Sequence[Posed]) -> list[float]:
        """Return the scaled products."""
        if not tasks:
            return []
        rates = sorted(task.solve_rate for task in tasks)
        limit = rates[max(0, math.ceil((1.0 - self.easy) * len(rates)) - 1)]
        read = [task.quality for task in tasks if task.quality is not None]
        mean = math.fsum(read) / len(read) if read else 0.0
        products = [
            0.0
            if task.solve_rate > limit
            else self.of(task.solve_rate) * (mean if task.quality is None else task.quality)
            for task in tasks
        ]
        least, most = min(products), max(products)
        if least == most:
            return products
        return [(product - least) / (most - least) for product in products]
