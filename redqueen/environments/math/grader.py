"""Whether answers agree with references: numbers here, everything else in worker processes.

A worker gets `SECONDS` of processor time for a question. If it takes longer, it is killed and the
answer is wrong, as with the graders' own timers. A machine that gives a worker no time is an
infrastructure error.
"""

import importlib.util
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from redqueen.closing import Closing
from redqueen.config.sandbox import SandboxConfig
from redqueen.environments.base import Verification
from redqueen.environments.math.answers import near, number, tidy
from redqueen.environments.workers import NoReply, WorkerPool
from redqueen.errors import ConfigError
from redqueen.types import Verdict

MOST_CHARS = 1000
"""Of an answer, beyond those of its reference."""
SECONDS = 5.0
"""Processor time for a question."""


_WORD = re.compile(r"[A-Za-z]{3,}")


@dataclass(frozen=True, slots=True)
class Question:
    """Does `answer` agree with `reference`? Numbers may differ by `tolerance` times the reference,
    or by `absolute`."""

    reference: str
    answer: str
    tolerance: float = 0.0
    absolute: float = 0.0


class MathGrader(Closing):
    """Compares answers, in `config.processes` processes that start when they are first needed."""

    def __init__(self, config: SandboxConfig, seconds: float = SECONDS) -> None:
        self._pool = WorkerPool("redqueen.environments.math.worker", config.processes, seconds)

    def judge(self, questions: Sequence[Question]) -> list[bool | None]:
        """Return for each question whether the answer agrees; None: the machine failed.

        Raises:
            ConfigError: math-verify is needed and not installed.
        """
        said: dict[Question, bool | None] = {q: _plainly(q) for q in dict.fromkeys(questions)}
        hard = [question for question, right in said.items() if right is None]
        if hard and importlib.util.find_spec("math_verify") is None:
            raise ConfigError(
                "answers in mathematics need math-verify: pip install 'redqueen[benchmarks]'"
            )
        replies = self._pool.ask([asdict(question) for question in hard])
        said.update(zip(hard, map(_verdict, replies), strict=True))
        return [said[question] for question in questions]

    def close(self) -> None:
        """End all workers."""
        self._pool.close()


def verifications(grader: MathGrader, questions: Sequence[Question | None]) -> list[Verification]:
    """Return the verifications of answers; None stands for a text without one."""
    said = iter(grader.judge([question for question in questions if question is not None]))
    return [
        Verification(Verdict.MALFORMED)
        if question is None
        else Verification(_VERDICTS[next(said)], question.answer)
        for question in questions
    ]


_VERDICTS = {True: Verdict.CORRECT, False: Verdict.WRONG, None: Verdict.INFRA_ERROR}


def _verdict(reply: bool | NoReply) -> bool | None:
    if isinstance(reply, NoReply):
        return False if reply is NoReply.RAN_AWAY else None
    return reply


def _plainly(question: Question) -> bool | None:
    """Return the answer where both are the same text, or both are numbers; else None."""
    reference, answer = tidy(question.reference), tidy(question.answer)
    if reference == answer:
        return bool(reference)
    if _WORD.fullmatch(reference) and reference.casefold() == answer.casefold():
        return True
    if len(answer) > MOST_CHARS + len(reference):
        return False
    left, right = number(reference), number(answer)
    if left is None or right is None:
        return None
    return near(left, right, question.tolerance, question.absolute)
