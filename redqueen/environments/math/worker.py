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
_ASSIGNED = re.compile(
    r"(?:[a-zA-Z\\_{}]{1,12}(?:\([a-zA-Z,]*\))?)?(?:=(?!=)|\\approx|\\in(?![a-z]))(.+)"
)
_SET = re.compile(r"\\\{(.+)\\\}")
_DOTS = re.compile(r"\\[lc]?dots")
_IN_BASE = re.compile(r"\w+_(\d+)")
_SCIENTIFIC = re.compile(r"(?<![\w.])([+-]?(?:\d+\.?\d*|\.\d+))e([+-]?\d{1,3})(?![\w.])")


def agree(reference: str, answer: str, tolerance: float, absolute: float) -> bool:
    """Return whether an answer agrees with the reference.

    Numbers may differ by `tolerance` times the reference, or by `absolute`. Lists agree in any
    order. `x = 3` agrees with `3`, `25 %` with `25` and with `0.25`, and what is denied only with
    what is. Of several answers, joined by `or`, all must agree.
    """
    if ("\\not" in reference) != ("\\not" in answer):
        return False
    return any(
        _same(left, right, tolerance, absolute)
        for left in _variants(tidy(reference))
        for right in _variants(tidy(answer))
    )


def _variants(text: str) -> Iterator[str]:
    """Yield a tidy text, and what is in it: the right side of `x =`, the items of a set."""
    yield text
    match = _ASSIGNED.fullmatch(text) or _SET.fullmatch(text)
    if match:
        yield from _variants(match[1].strip())


def _same(reference: str, answer: str, tolerance: float, absolute: float) -> bool:
    if not answer or not reference:
        return False
    if reference == answer:
        return True
    left, right = number(reference), number(answer)
    if left is not None and right is not None:
        return near(left, right, tolerance, absolute)
    if reference.endswith("%") != answer.endswith("%"):
        return any(
            _same(a, b, tolerance, absolute)
            for a in _without_percent(reference)
            for b in _without_percent(answer)
        )
    bases = [_IN_BASE.fullmatch(text) for text in (reference, answer)]
    if bases[0] and bases[1] and bases[0][1] != bases[1][1]:
        return False  # math-verify leaves bases out
    if _of_other_kind(reference, answer):
        return False
    if "\\lor" in reference + answer:
        return _one_of(reference, answer, tolerance, absolute)
    expected_parts, parts = split_list(reference), split_list(answer)
    if max(len(expected_parts), len(parts)) > 1 and "\\pm" not in reference + answer:
        same_length = len(parts) == len(expected_parts)
        return same_length and _matched(expected_parts, parts, tolerance, absolute)
    return _verified(reference, answer, tolerance, absolute)


def _without_percent(text: str) -> list[str]:
    """Return what a number with a percent sign may mean: `25`, and `0.25`."""
    if not text.endswith("%"):
        return [text]
    value = number(text[:-1])
    return [text[:-1], f"{text[:-1]}/100" if value is None else str(float(value / 100))]


def _of_other_kind(reference: str, answer: str) -> bool:
    """Whether math-verify would take two texts for equal that say different things: a number of
    which the rest is left out, numbers said to be equal, a set for a pair."""
    dots = [_DOTS.search(text) is not None for text in (reference, answer)]
    sums = {number(part) for part in answer.split("=")} - {None}
    pair = reference.startswith(("(", "[")) and _SET.fullmatch(answer)
    return dots[0] != dots[1] or len(sums) > 1 or bool(pair)


def _one_of(reference: str, answer: str, tolerance: float, absolute: float) -> bool:
    """Return whether answers that are joined by `or` are the reference's, or are all the same as
    its only one."""
    expected, said = (
        [part for item in text.split("\\lor") for part in split_list(_right_side(item))]
        for text in (reference, answer)
    )
    if len(expected) == 1 and "\\cup" in reference:
        expected = reference.split("\\cup")
    if len(expected) == 1:
        return all(agree(reference, item, tolerance, absolute) for item in said)
    return len(said) == len(expected) and _matched(expected, said, tolerance, absolute)


def _right_side(text: str) -> str:
    return match[1] if (match := _ASSIGNED.fullmatch(text.strip())) else text


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
    if verify(gold, said, allow_set_relation_comp=True, timeout_seconds=None):
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
