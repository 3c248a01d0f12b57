"""Answer, hear of it, and answer again."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from redqueen.rollouts.interactions.base import Fits, Posing
from redqueen.rollouts.interactions.credit import Values, with_corrections
from redqueen.rollouts.interactions.script import (
    Question,
    Reply,
    Script,
    ScriptedInteraction,
    answered,
)
from redqueen.types import Match, Rollout, Verdict

AGAIN = (
    "Look at the task once more, find what may be wrong, and give a new answer in the same form."
)


class Refine(ScriptedInteraction):
    """A student's answer is followed by what the verifier may say of it, and by another answer.

    With v_t what the verdict on answer t is worth, and c_t = 1 if it is right, else 0:

        r_0 = v_0,    r_t = v_t + correction * (c_t - c_{t-1})

    The second term is the progress bonus of SCoRe (arXiv 2409.12917, section 5.2), with which a
    first answer that is spoiled costs as much as one that is mended gains. SCoRe trains on two
    answers without feedback (`says = "nothing"`). Every answer is compared with those of the same
    student, task and turn; from the second on their prompts differ by what was said before.
    """

    answers: int = Field(2, ge=2)
    """Answers of an attempt, at most."""
    says: Literal["nothing", "verdict", "score"] = "verdict"
    """What a student hears: `nothing`, and everybody answers again; the `verdict`, and who is right
    is done; or with it the `score`, where the environment gives partial credit."""
    correction: float = Field(0.5, ge=0)
    """Added to the reward of an answer that mends the one before, taken off one that spoils it."""

    def texts(self, students: int, attempts: int) -> int:
        """Return how many texts a task becomes, at most."""
        return students * attempts * self.answers

    def script(self, posings: Sequence[Posing], attempts: int, fits: Fits) -> Script:
        """Ask each attempt again until it is right, its answers are up or its prompt too long."""
        asked = [Question(p, p.prompt, number) for p in posings for number in range(attempts)]
        for turn in range(1, self.answers + 1):
            replies = yield asked
            asked = [
                Question(question.posing, messages, question.attempt, turn)
                for question, reply in zip(asked, replies, strict=True)
                if turn < self.answers and not self._is_over(reply)
                for messages in [answered(question.messages, reply.text, self._comment(reply))]
                if fits(messages)
            ]
            if not asked:
                return

    def _is_over(self, reply: Reply) -> bool:
        over = reply.verdict in (Verdict.CORRECT, Verdict.INFRA_ERROR)
        return over and self.says != "nothing"

    def _comment(self, reply: Reply) -> str:
        """Return what the student is told; nothing that gives the right answer away."""
        said = reply.verification
        if self.says == "nothing" or said is None:
            return AGAIN
        if said.verdict is Verdict.MALFORMED:
            return f"Your answer could not be read. {AGAIN}"
        passed = ""
        if self.says == "score" and said.partial_score is not None:
            passed = f" {said.partial_score:.0%} of the checks passed."
        return f"Your answer is wrong.{passed} {AGAIN}"

    def credit(
        self, matches: Sequence[Match], rollouts: Sequence[Rollout], values: Values
    ) -> list[float | None]:
        """Return r_t; see the class."""
        return with_corrections(rollouts, values, self.correction)
