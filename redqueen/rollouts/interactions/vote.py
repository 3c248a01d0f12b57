"""Independent attempts, which an evaluation puts to the vote."""

from pydantic import Field

from redqueen.rollouts.interactions.independent import Independent


class Vote(Independent):
    """Self-consistency (Wang et al., arXiv 2203.11171, section 2): the most frequent answer counts.

    Training is that of `independent`. An evaluation makes at least `voters` attempts at temperature
    1 at each task, and measures the vote of each subject and that of all students together.
    """

    voters: int = Field(8, ge=2)
    """Attempts of each subject that are put to the vote."""

    def evaluation_votes(self) -> int:
        """Return `voters`."""
        return self.voters
