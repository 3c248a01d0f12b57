"""What debates have in common: agents answer a task, read each other's answers, answer again."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from redqueen.rollouts.interactions.base import Fits, Posing
from redqueen.rollouts.interactions.script import (
    Question,
    Reply,
    Script,
    ScriptedInteraction,
    answered,
)
from redqueen.types import Messages, Verdict

SUMMARY = (
    "Sum up what these answers have in common, where they differ, and how each was reached. "
    "Do not answer the task yet."
)
REVISE = (
    "Weigh them against your own reasoning, and give your answer once more in the form that the "
    "task asks for."
)
Place = tuple[int, int]
"""An agent of the debate, and the debate's number."""
Agent = tuple[Posing, Posing]
"""Who gives its first answer, and who its further ones."""


class Discussion(ScriptedInteraction):
    """The protocol of Du et al. (arXiv 2305.14325, section 2): everybody answers; in each further
    round everybody reads the others' last answers beside its own and answers again.

    The prompt of a round has the task and the last answers alone; the paper's grows with each
    round. Each attempt at a task is a debate of its own.
    """

    rounds: int = Field(3, ge=2)
    """Answers of an agent in a debate."""
    reads: Literal["texts", "answers", "summary"] = "texts"
    """What is read of the others: their whole `texts`, the `answers` that were read of them, or a
    `summary` of the texts, written by who reads it and not trained on."""

    least_students: ClassVar[int] = 2

    def texts(self, students: int, attempts: int) -> int:
        """Return how many texts a task becomes, at most; who is alone does not debate."""
        return students * attempts * (1 + (self.rounds - 1) * self.step if students > 1 else 1)

    def agents(self, posings: Sequence[Posing]) -> list[Agent]:
        """Return who debates a task."""
        return [(posing, posing) for posing in posings]

    def goes_on_from_the_best(self) -> bool:
        """Whether all debates of a task go on from the best answers of the round before."""
        return False

    def number(self, place: Place, agents: int) -> int:
        """Return the number of the attempt that a text belongs to."""
        return place[1]

    def script(self, posings: Sequence[Posing], attempts: int, fits: Fits) -> Script:
        """Play the debates of one task side by side; who has no room for a prompt falls silent."""
        agents, one = self.agents(posings), self.goes_on_from_the_best()
        places = [(i, g) for i in range(len(agents)) for g in range(attempts)]
        asked = {(i, g): agents[i][0].prompt for i, g in places}
        latest: dict[Place, Reply] = {}
        for turn in range(0, self.step * (self.rounds if len(agents) > 1 else 1), self.step):
            if turn:
                asked = {place: self._read(place, agents, latest) for place in places}
                asked = {place: messages for place, messages in asked.items() if fits(messages)}
            if turn and self.reads == "summary":
                writers = {(i, 0 if one else g): messages for (i, g), messages in asked.items()}
                replies = yield self._questions(agents, writers, turn - 1, answers=False)
                written = dict(zip(writers, replies, strict=True))
                asked = {
                    (i, g): answered(messages, written[i, 0 if one else g].text, REVISE)
                    for (i, g), messages in asked.items()
                }
                asked = {place: messages for place, messages in asked.items() if fits(messages)}
            if not asked:
                return
            replies = yield self._questions(agents, asked, turn)
            latest |= zip(asked, replies, strict=True)

    @property
    def step(self) -> int:
        """Texts of an agent from one answer to the next."""
        return 2 if self.reads == "summary" else 1

    def _questions(
        self,
        agents: Sequence[Agent],
        asked: Mapping[Place, Messages],
        turn: int,
        answers: bool = True,
    ) -> list[Question]:
        return [
            Question(agents[i][turn > 0], messages, self.number((i, g), len(agents)), turn, answers)
            for (i, g), messages in asked.items()
        ]

    def _read(
        self, place: Place, agents: Sequence[Agent], latest: Mapping[Place, Reply]
    ) -> Messages:
        """Return the prompt of a further round: the task, the own answer, those of the others."""

        def last(agent: int) -> Reply:
            if not self.goes_on_from_the_best():
                return latest[agent, place[1]]
            return max((reply for (i, _), reply in latest.items() if i == agent), key=_quality)

        others = [last(agent) for agent in range(len(agents)) if agent != place[0]]
        shown = "\n\n".join(f"Another answer: {self._quote(reply)}" for reply in others)
        then = SUMMARY if self.reads == "summary" else REVISE
        return answered(agents[place[0]][1].prompt, last(place[0]).text, f"{shown}\n\n{then}")

    def _quote(self, reply: Reply) -> str:
        if self.reads != "answers" or reply.verification is None:
            return reply.text
        return reply.verification.answer or "none that could be read"


def _quality(reply: Reply) -> tuple[bool, float, bool]:
    """Return what the best of several answers is chosen by; the first of equals is taken."""
    score = reply.verification.partial_score if reply.verification else None
    return reply.verdict is Verdict.CORRECT, score or 0.0, reply.verdict is Verdict.WRONG
