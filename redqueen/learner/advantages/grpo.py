"""Group-relative advantages."""

from redqueen.learner.advantages.base import EPSILON, Floats, GroupScheme


class Grpo(GroupScheme):
    """A_i = (r_i - mean(r)) / std(r) within a group (GRPO: DeepSeekMath, arXiv 2402.03300, 4.1.2).

    The deviation is the unbiased one.
    """

    def compare(self, rewards: Floats) -> Floats:
        """Return the advantages of one group; see the class."""
        advantages: Floats = (rewards - rewards.mean()) / (rewards.std(ddof=1) + EPSILON)
        return advantages
