"""What a valid task is worth to its teacher, as a function of its solve rate."""

from typing import Annotated, Any

from pydantic import Field

from redqueen.config.component import Component, Of


class TeacherReward(Component):
    """Base of what a config names as a teacher's reward."""

    def of(self, solve_rate: float) -> float:
        """Return the reward, in [0, 1], of a task with this solve rate in [0, 1]."""
        raise NotImplementedError

    def of_task(self, solve_rate: float, novelty: float) -> float:
        """Return the reward of a task that is also `novelty` in (0, 1] new; see `Proposal`."""
        return self.of(solve_rate)


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

    def of(self, solve_rate: float) -> float:
        """Return the reward of a task of a new cell."""
        return self.of_task(solve_rate, 1.0)

    def of_task(self, solve_rate: float, novelty: float) -> float:
        """Return (1 - w) r + w n if r > 0, else 0."""
        reward: float = self.by.of_task(solve_rate, novelty)
        return (1.0 - self.weight) * reward + self.weight * novelty if reward > 0.0 else 0.0
