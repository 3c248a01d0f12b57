"""OlympiadBench: 675 open-ended problems in English, text only (He et al., arXiv 2402.14008)."""

from typing import Any, ClassVar

from redqueen.benchmarks.base import Row
from redqueen.benchmarks.maths import Maths


class OlympiadBench(Maths):
    """Numbers, expressions, tuples and intervals, sometimes several. A number may differ by the
    row's `error`, and by a hundred-millionth as in the benchmark's own judge."""

    label: ClassVar[str] = "olympiadbench"
    title: ClassVar[str] = "OlympiadBench"
    file: ClassVar[str] = "olympiadbench.jsonl"
    problem: ClassVar[str] = "question"
    solve_tokens: ClassVar[int] = 4096

    def key(self, row: Row, number: int) -> str:
        """Return the released number."""
        return str(row["id"])

    def reference(self, row: Row) -> str:
        """Return the answers, with commas between."""
        return ", ".join(row["final_answer"])

    def payload(self, row: Row) -> dict[str, Any]:
        """Return context and question as one problem, the answer and how it is compared."""
        context = f"{row['context']}\n" if row["context"] else ""
        return {
            "problem": f"{context}{row['question']}",
            "answer": self.reference(row),
            "several": bool(row["is_multiple_answer"]),
            "error": float(row["error"] or 1e-8),
        }
