"""Students answer a task, read each other's answers, answer again, and learn from all of it."""

import math
from collections.abc import Sequence

from pydantic import Field

from redqueen.rollouts.interactions.credit import Values, conversations, with_corrections
from redqueen.rollouts.interactions.discussion import Discussion
from redqueen.types import Match, Rollout


class Debate(Discussion):
    """The k students that a task goes to (`rollout.students_per_task`) debate it.

    The reward of student i's answer in round t of T is the influence-aware verification reward of
    MAPoRL (arXiv 2502.18439, section 3), with v what a verdict is worth and k answering students:

        r_it = [v_it + sum over u > t of g^(u-t) * (1/k) * sum over j of v_ju] / sum over u >= t of
               g^(u-t),    plus correction * (c_it - c_i,t-1),  c = 1 if right, else 0

    so that an answer is also paid for what the others make of it. The last term stands for the
    paper's incentives, of which it keeps the one for mending an own answer, and turns it round for
    spoiling one. Sums leave out infrastructure errors; the paper's v is a learnt verifier's score.

    Answers are compared with those of the same student, task and round, the groups of AT-GRPO
    (arXiv 2510.11062). Those have one prompt, because there the G answers of a turn go on from one
    state, the best answer of the turn before. That is `tree = true`: one debate, each student
    answers a round G times and goes on, as the others read it, from the best. As the other answers
    have no future, a reward is then v_it alone. Without it the G debates are independent, and from
    the second round on the prompts of a group differ.
    """

    discount: float = Field(0.3, ge=0, le=1)
    """Weight g of a round for the reward of the round before."""
    correction: float = Field(0.5, ge=0)
    """Added to the reward of an answer that mends the one before, taken off one that spoils it."""
    tree: bool = False
    """One debate that goes on from each round's best answers, instead of G that go on alone."""

    def goes_on_from_the_best(self) -> bool:
        """Return `tree`."""
        return self.tree

    def credit(
        self, matches: Sequence[Match], rollouts: Sequence[Rollout], values: Values
    ) -> list[float | None]:
        """Return r_it; see the class."""
        if self.tree:
            return list(values)
        paid = list(values)
        for debate in conversations(matches, rollouts):
            of_turn: dict[int, list[float]] = {}
            for place in debate:
                value = values[place]
                if value is not None:
                    of_turn.setdefault(rollouts[place].turn, []).append(value)
            team = {turn: math.fsum(some) / len(some) for turn, some in of_turn.items()}
            for place in debate:
                value, now = values[place], rollouts[place].turn
                if value is not None:
                    later = {(u - now) // self.step: mean for u, mean in team.items() if u > now}
                    weights = {gap: self.discount**gap for gap in later}
                    total = math.fsum([value, *(weights[gap] * later[gap] for gap in later)])
                    paid[place] = total / math.fsum([1.0, *weights.values()])
        return with_corrections(rollouts, paid, self.correction)
