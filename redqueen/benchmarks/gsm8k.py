"""GSM8K: 1,319 word problems of school (Cobbe et al., arXiv 2110.14168)."""

from typing import ClassVar

from redqueen.benchmarks.base import Hub, Row
from redqueen.benchmarks.maths import Maths


class Gsm8k(Maths):
    """Whole numbers as answers."""

    label: ClassVar[str] = "gsm8k"
    title: ClassVar[str] = "GSM8K"
    file: ClassVar[str] = "gsm8k.jsonl"
    hub: ClassVar[Hub | None] = Hub("openai/gsm8k", "main")
    problem: ClassVar[str] = "question"
    solve_tokens: ClassVar[int] = 1024

    def reference(self, row: Row) -> str:
        """Return what follows the four hashes of the worked solution."""
        return str(row["answer"]).rpartition("####")[2].strip().replace(",", "")
