"""AMC 23: 40 problems of the American Mathematics Competitions 12 of 2023."""

from typing import ClassVar

from redqueen.benchmarks.base import Hub, Row
from redqueen.benchmarks.maths import Maths


class Amc23(Maths):
    """Numbers as answers; the choices of the competition are left out."""

    label: ClassVar[str] = "amc23"
    title: ClassVar[str] = "AMC 2023"
    file: ClassVar[str] = "amc23.jsonl"
    hub: ClassVar[Hub | None] = Hub("math-ai/amc23")
    problem: ClassVar[str] = "question"
    solve_tokens: ClassVar[int] = 4096

    def reference(self, row: Row) -> str:
        """Return the number; whole ones come as `27.0`."""
        answer = row["answer"]
        whole = isinstance(answer, float) and answer.is_integer()
        return str(int(answer) if whole else answer)
