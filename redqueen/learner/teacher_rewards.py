"""What a valid task is worth to its teacher, as a function of its solve rate."""

from redqueen.config.component import Component


class TeacherReward(Component):
    """Base of what a config names as a teacher's reward."""

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
