"""HumanEval+: HumanEval's 164 functions (Chen et al., arXiv 2107.03374) with EvalPlus' tests."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from redqueen.benchmarks.evalplus import EvalPlus, Oracle, polynomial


def _is_zero(args: Sequence[Any], value: Any, expected: Any, tolerance: float) -> bool:
    """HumanEval/32 asks for any zero of a polynomial."""
    return abs(polynomial(args[0], value)) <= tolerance


class HumanEvalPlus(EvalPlus):
    """Complete a Python function from its signature and docstring."""

    label: ClassVar[str] = "humaneval+"
    title: ClassVar[str] = "HumanEval+"
    file: ClassVar[str] = "humanevalplus.jsonl"
    oracles: ClassVar[Mapping[str, Oracle]] = {"find_zero": _is_zero}
