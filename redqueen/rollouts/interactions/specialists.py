"""Some students answer first, others criticise, and each learns from its own successes alone."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from redqueen.rollouts.interactions.base import Posing
from redqueen.rollouts.interactions.credit import Values, conversations
from redqueen.rollouts.interactions.discussion import Agent, Discussion, Place
from redqueen.types import Match, Rollout, Verdict


class Specialists(Discussion):
    """Multiagent finetuning (Subramaniam et al., arXiv 2501.05707, section 2 and algorithm 1).

    Of a task's k students, in the order of their slots, the first half (rounded up, at least two)
    are generators, the others critics. Agent i gives its first answer y_1 by generator i and its
    further ones y_2 .. y_M by critic i; who has no critic criticises itself. With `all` students at
    each task the parts never change.

    A generator learns from its right first answers alone, the paper's D_G. A critic learns from
    what it wrote in debates whose last answer is right: those that it repaired (y_1 was not right,
    D_C-) weigh w, those that it kept right (D_C+) 1 - w. Nothing is learnt from the others. The
    rewards are these weights, so that `learner.student.advantage` must be "imitation": an update is
    one of supervised finetuning on the texts.

    Two things differ from the paper: what is right is the verifier's word, not the majority of the
    last answers; and texts are used once, while the members that wrote them are as they were.
    """

    repaired: float = Field(0.5, ge=0, le=1)
    """Weight w of the answers in debates that a critic repaired."""
    compared_texts: int = Field(4, ge=0)
    """First answers of each generator that all others score in a step, to measure diversity: the
    metrics `diversity/student/nll` and `kl`; 0: none."""

    student_advantage: ClassVar[str] = "imitation"

    def texts(self, students: int, attempts: int) -> int:
        """Return how many texts a task becomes, at most: a debate of the generators."""
        return super().texts(max(2, (students + 1) // 2), attempts)

    def agents(self, posings: Sequence[Posing]) -> list[Agent]:
        """Return the generators, each with its critic."""
        ordered = sorted(posings, key=lambda posing: posing.student.slot)
        generators = ordered[: max(2, (len(ordered) + 1) // 2)]
        critics = [*ordered[len(generators) :], *generators[len(ordered) - len(generators) :]]
        return list(zip(generators, critics, strict=True))

    def number(self, place: Place, agents: int) -> int:
        """Return a number for each agent of each debate, which its generator and critic share."""
        agent, debate = place
        return debate * agents + agent

    def texts_to_compare(self) -> int:
        """Return `compared_texts`."""
        return self.compared_texts

    def credit(
        self, matches: Sequence[Match], rollouts: Sequence[Rollout], values: Values
    ) -> list[float | None]:
        """Return the weight of each answer that is learnt from; see the class."""
        paid: list[float | None] = [None] * len(rollouts)
        for agent in conversations(matches, rollouts):
            answers = [place for place in agent if rollouts[place].verdict is not None]
            answers.sort(key=lambda place: rollouts[place].turn)
            first, *later = answers
            right = {place: rollouts[place].verdict is Verdict.CORRECT for place in answers}
            if right[first]:
                paid[first] = 1.0
            if right[answers[-1]] and values[first] is not None:
                for place in later:
                    if values[place] is not None:
                        paid[place] = 1.0 - self.repaired if right[first] else self.repaired
        return paid
