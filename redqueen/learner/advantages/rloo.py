"""REINFORCE with the other attempts as the baseline."""

from redqueen.learner.advantages.base import Floats, GroupScheme


class Rloo(GroupScheme):
    """A_i = r_i - sum over j != i of r_j / (k - 1) in a group of k (RLOO, arXiv 2402.14740, 2.3).

    The baseline does not contain the sample itself, so that the gradient is unbiased. A sample
    alone in its group has nothing to be compared with: 0.
    """

    def compare(self, rewards: Floats) -> Floats:
        """Return the advantages of one group; see the class."""
        advantages: Floats = rewards - (rewards.sum() - rewards) / (len(rewards) - 1)
        return advantages
