"""Minerva: 272 problems of university courses (OCWCourses; Lewkowycz et al., arXiv 2206.14858)."""

from typing import ClassVar

from redqueen.benchmarks.base import Hub, Row
from redqueen.benchmarks.maths import Maths
from redqueen.environments.math.reading import boxes
from redqueen.errors import ConfigError


class Minerva(Maths):
    """Numbers with units, symbolic results, equations. A number may differ by a ten-thousandth, as
    in Qwen2.5-Math's evaluation: results are rounded."""

    label: ClassVar[str] = "minerva"
    title: ClassVar[str] = "Minerva"
    file: ClassVar[str] = "minerva_math.jsonl"
    hub: ClassVar[Hub | None] = Hub("math-ai/minervamath")
    tolerance: ClassVar[float] = 1e-4

    def reference(self, row: Row) -> str:
        """Return the solution's last box, or the column `answer` of the hub's rows."""
        if "answer" in row:
            return str(row["answer"])
        boxed = boxes(row["solution"])
        if not boxed:
            raise ConfigError(f"minerva: a solution without a box: {row['solution'][-80:]!r}")
        return boxed[-1][1]

    def payload(self, row: Row) -> dict[str, str]:
        """Return problem and answer; the hub calls the problem a question."""
        problem = row["problem"] if "problem" in row else row["question"]
        return {"problem": problem, "answer": self.reference(row)}
