"""What the mathematics benchmarks share: the prompt, and verdicts by `environments.math`."""

from collections.abc import Sequence
from typing import Any, ClassVar

from redqueen.benchmarks.base import Benchmark, BenchmarkEnvironment, Row
from redqueen.environments.base import Attempt, Verification
from redqueen.environments.math import (
    INSTRUCTION,
    MathGrader,
    Question,
    read_answer,
    verifications,
)
from redqueen.types import Messages, Task, user


class Maths(Benchmark):
    """Find the answer of a problem. Each of the files names its columns."""

    problem: ClassVar[str] = "problem"
    """Column with the problem."""
    tolerance: ClassVar[float] = 0.0
    """By how much a number may differ, relative to the reference."""

    def reference(self, row: Row) -> str:
        """Return the answer of a row."""
        return str(row["answer"])

    def payload(self, row: Row) -> dict[str, Any]:
        """Return problem and answer."""
        return {"problem": row[self.problem], "answer": self.reference(row)}

    def prompt(self, task: Task) -> Messages:
        """Return the problem, then the instruction."""
        return user(f"{task.payload['problem']}\n{INSTRUCTION}")

    def verify(
        self, attempts: Sequence[Attempt], environment: BenchmarkEnvironment
    ) -> list[Verification]:
        """Return whether the answers agree with the references."""
        grader = environment.services.shared(MathGrader)
        answers = [
            read_answer(a.text, several=a.task.payload.get("several", False)) for a in attempts
        ]
        questions = [
            None
            if answer is None
            else Question(
                attempt.task.payload["answer"],
                answer,
                self.tolerance,
                attempt.task.payload.get("error", 0.0),
            )
            for attempt, answer in zip(attempts, answers, strict=True)
        ]
        return verifications(grader, questions)
