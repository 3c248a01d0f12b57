"""A pipeline of three parts: one student generates, one verifies, one refines."""

import math
from collections.abc import Sequence

from pydantic import Field

from redqueen.rollouts.interactions.base import Fits, Posing
from redqueen.rollouts.interactions.credit import Values
from redqueen.rollouts.interactions.script import (
    Question,
    Script,
    ScriptedInteraction,
    answered,
)
from redqueen.types import Match, Messages, Rollout

REVIEW = (
    "Check this answer step by step. Say what is right in it and what is wrong, and why, without "
    "giving a new answer."
)
REFINE = "Take this review into account, and answer the task in the form that it asks for."


class Malt(ScriptedInteraction):
    """Multi-agent LLM training (Motwani et al., arXiv 2412.01928, section 4).

    A task's students, in the order of their slots, form teams of three: generator, verifier and
    refiner. In a team of fewer the last one takes the parts that are left; with three students and
    `all` of them at each task the parts never change. Each of G answers (`rollout.attempts`) of the
    generator is reviewed n times and each review followed by n refined answers: the paper's tree of
    G n^2 paths, there with G = n. Only refined answers are graded; values go up the tree as means:

        V(refined) = what its verdict is worth,    V(review) = mean over its n refined answers,
        V(answer) = mean over its n reviews                  (the paper's equations for value
                                                              iteration, section 4.3)

    and are the rewards. With `threshold` they are made 1 and -1 by V > threshold, as the paper does
    at one half of values in [0, 1]. There, texts of label 1 are finetuned on and pairs of both
    labels after the same prompt go to DPO; here the learner compares the texts after the same
    prompt with each other, on-policy. Values leave out infrastructure errors.
    """

    branches: int = Field(2, ge=1)
    """Reviews of each answer, and refined answers after each review: n."""
    threshold: float | None = None
    """Value above which a text is rewarded with 1, else with -1; left out: with its value."""

    def texts(self, students: int, attempts: int) -> int:
        """Return how many texts a task becomes, at most: a tree for each team and attempt."""
        return -(-students // 3) * attempts * (1 + self.branches + self.branches**2)

    def script(self, posings: Sequence[Posing], attempts: int, fits: Fits) -> Script:
        """Play the teams of one task side by side; a branch whose prompt is too long ends."""
        ordered = sorted(posings, key=lambda posing: posing.student.slot)
        teams = [ordered[start : start + 3] for start in range(0, len(ordered), 3)]

        def put(number: int, turn: int, messages: Messages, parent: int | None) -> Question:
            team = teams[number // (attempts * self.branches**turn)]
            member = team[min(turn, len(team) - 1)]
            return Question(member, messages, number, turn, turn != 1, parent)

        asked = [put(n, 0, ordered[0].prompt, None) for n in range(len(teams) * attempts)]
        for turn, then in ((1, REVIEW), (2, REFINE)):
            replies = yield asked
            asked = [
                put(number, turn, messages, above.attempt)
                for above, reply in zip(asked, replies, strict=True)
                for messages in [answered(above.messages, reply.text, then)]
                if fits(messages)
                for number in self._below(above.attempt)
            ]
            if not asked:
                return
        yield asked

    def _below(self, number: int) -> range:
        """Return the numbers of the texts that go on from text `number` of the turn before."""
        return range(number * self.branches, (number + 1) * self.branches)

    def credit(
        self, matches: Sequence[Match], rollouts: Sequence[Rollout], values: Values
    ) -> list[float | None]:
        """Return the value of each text, or what `threshold` makes of it; see the class."""
        roots = {match.index: match.root for match in matches}
        below: dict[tuple[int, str, int, int], list[float]] = {}
        paid: list[float | None] = [None] * len(rollouts)
        for place in sorted(range(len(rollouts)), key=lambda place: -rollouts[place].turn):
            text, value = rollouts[place], values[place]
            root, turn, number = roots[text.match], text.turn, text.attempt
            if turn < 2:
                some = below.get((root, text.task_id, turn, number))
                value = math.fsum(some) / len(some) if some else None
            if value is not None:
                above = (root, text.task_id, turn - 1, number // self.branches)
                below.setdefault(above, []).append(value)
                paid[place] = value
        if self.threshold is not None:
            return [v if v is None else 1.0 if v > self.threshold else -1.0 for v in paid]
        return paid
