"""The process that compares answers: `python -m redqueen.environments.math.worker`.

It imports math-verify and SymPy, which may take any time and memory over an answer; see
`redqueen.environments.workers`. Only LaTeX is parsed (by a grammar): no answer reaches SymPy's
parser of Python expressions.
"""

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from redqueen.environments.math.answers import near, number, split_list, tidy
from redqueen.environments.workers import serve

MEMORY_BYTES = 4 << 30
_ASSIGNED = re.compile(r"[a-zA-Z\\_{}]{1,12}(?:\([a-zA-Z,]*\))?=(?!=)(.+)")
_SET = re.compile(r"\\\{(.+)\\\}")
_IN_BASE = re.compile(r"\w+_(\d+)")
_SCIENTIFIC = re.compile(r"(?<![\w.])([+-]?(?:\d+\.?\d*|\.\d+))e([+-]?\d{1,3})(?![\w.])")


def agree(reference: str, answer: str, tolerance: float, absolute: float) -> bool:
    """Return whether an answer agrees with the reference.

    Numbers may differ by `tolerance` times the reference, or by `absolute`. Lists agree in any
    order. `x = 3` agrees with `3`, and what is denied only with what is.
    """
    return ("\\not" in reference) == ("\\not" in answer) and any(
        _same(left, right, tolerance, absolute)
        for left in _variants(reference)
        for right in _variants(answer)
    )


def _variants(text: str) -> Iterator[str]:
    plain = tidy(text)
    yield plain
    if match := _ASSIGNED.fullmatch(plain) or _SET.fullmatch(plain):
        yield match[1]


def _same(reference: str, answer: str, tolerance: float, absolute: float) -> bool:
    if not answer or not reference:
        return False
    if reference == answer:
        return True
    left, right = number(reference), number(answer)
    if left is not None and right is not None:
        return near(left, right, tolerance, absolute)
    bases = [_IN_BASE.fullmatch(text) for text in (reference, answer)]
    if bases[0] and bases[1] and bases[0][1] != bases[1][1]:
        return False  # math-verify leaves bases out
    expected_parts, parts = split_list(reference), split_list(answer)
    if max(len(expected_parts), len(parts)) > 1 and "\\pm" not in reference + answer:
        same_length = len(parts) == len(expected_parts)
        return same_length and _matched(expected_parts, parts, tolerance, absolute)
    return _verified(reference, answer, tolerance, absolute)


def _matched(references: list[str], answers: list[str], tolerance: float, absolute: float) -> bool:
    """Return whether every reference has an answer of its own."""
    left = list(answers)
    for reference in references:
        match = next((item for item in left if agree(reference, item, tolerance, absolute)), None)
        if match is None:
            return False
        left.remove(match)
    return True


def _verified(reference: str, answer: str, tolerance: float, absolute: float) -> bool:
    """Return what math-verify says, without its timers, which need signals."""
    from math_verify import LatexExtractionConfig, parse, verify

    gold, said = (
        parse(
            f"\\boxed{{{_SCIENTIFIC.sub(_power, text)}}}",
            [LatexExtractionConfig(boxed_match_priority=0)],
            fallback_mode="no_fallback",
            parsing_timeout=None,
        )
        for text in (reference, answer)
    )
    if not gold or not said:
        return False
    if verify(gold, said, timeout_seconds=None):
        return True
    if not (tolerance or absolute):
        return False
    try:
        left, right = (Fraction(float(item[0].evalf())) for item in (gold, said))
    except (TypeError, ValueError, AttributeError, OverflowError):
        return False
    return near(left, right, tolerance, absolute)


def _power(match: re.Match[str]) -> str:
    return f"{match[1]}\\times 10^{{{match[2]}}}"


def answer(question: dict[str, Any]) -> bool:
    """Return the verdict on the fields of a `Question`."""
    try:
        return agree(**question)
    except (MemoryError, RecursionError, ArithmeticError, ValueError, TypeError):
        return False  # no value that could be compared


if __name__ == "__main__":
    import math_verify  # noqa: F401  before the first question, whose time is limited

    serve(answer, MEMORY_BYTES)
