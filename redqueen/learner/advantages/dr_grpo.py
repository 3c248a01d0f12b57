"""Group-relative advantages without the division by the deviation."""

from redqueen.learner.advantages.base import Floats, GroupScheme


class DrGrpo(GroupScheme):
    """A_i = r_i - mean(r) within a group (Dr. GRPO, arXiv 2503.20783, section 3.2).

    Dividing by the deviation would favour tasks that are nearly always or nearly never solved. The
    paper's other change, no division by a sequence's own length, is `learner.loss_norm = "token"`.
    """

    def compare(self, rewards: Floats) -> Floats:
        """Return the advantages of one group; see the class."""
        advantages: Floats = rewards - rewards.mean()
        return advantages
