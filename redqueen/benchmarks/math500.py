"""MATH-500: 500 problems of MATH's test set (Hendrycks et al., arXiv 2103.03874; the choice is that
of Lightman et al., arXiv 2305.20050)."""

from typing import ClassVar

from redqueen.benchmarks.base import Hub, Row
from redqueen.benchmarks.maths import Maths


class Math500(Maths):
    """Competition problems with answers in LaTeX."""

    label: ClassVar[str] = "math500"
    title: ClassVar[str] = "MATH-500"
    file: ClassVar[str] = "math500.jsonl"
    hub: ClassVar[Hub | None] = Hub("HuggingFaceH4/MATH-500")

    def key(self, row: Row, number: int) -> str:
        """Return the released name, as in `test/precalculus/807.json`."""
        return str(row["unique_id"])
