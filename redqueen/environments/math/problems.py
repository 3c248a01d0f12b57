"""Reading a teacher's problem: a text, a program or expression, and whether their numbers agree."""

import ast
import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from redqueen.environments.code.policy import Profile
from redqueen.environments.json_texts import is_text
from redqueen.environments.math.expressions import LARGEST, MOST_NODES, Tree, read_expression
from redqueen.look_alikes import folded, visible
from redqueen.sandbox import parse_expression, parse_module

FUNCTION = "answer"
PROGRAM, EXPRESSION = "program", "expression"
"""Forms of a key."""
_TAG = re.compile(r"</?(?:problem|program|expression)>")
_NUMBER = re.compile(r"(?<![\w.])\d{1,3}(?:,\d{3})+(?:\.\d+)?|(?<![\w.])\d*\.?\d+", re.ASCII)
_DIGIT = re.compile(r"\d")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
WORDS: dict[str, Fraction] = {
    **{word: Fraction(value) for value, word in enumerate(_ONES)},
    **{word: Fraction(10 * value) for value, word in enumerate(_TENS, 2)},
    **{
        f"{ten}-{one}": Fraction(10 * tens + ones)
        for tens, ten in enumerate(_TENS, 2)
        for ones, one in enumerate(_ONES[1:10], 1)
    },
    "half": Fraction(1, 2), "third": Fraction(1, 3), "quarter": Fraction(1, 4),
    "twice": Fraction(2), "double": Fraction(2), "triple": Fraction(3), "dozen": Fraction(12),
    "hundred": Fraction(100), "thousand": Fraction(1000),
}  # fmt: skip
"""Numbers in words -> what they are."""
_TIMES = {"dozen": 12, "hundred": 100, "thousand": 1000, "million": 10**6}
_PARTS = {
    "halves": 2, "thirds": 3, "quarters": 4, "fourths": 4, "fifths": 5, "sixths": 6, "sevenths": 7,
    "eighths": 8, "ninths": 9, "tenths": 10, "twelfths": 12,
}  # fmt: skip
COMMON = frozenset(map(Fraction, (0, 1, 2, 3, 4, 7, 10, 12, 24, 60, 100, 365, 1000, 3600)))
"""Numbers that a program may have without the text: of units, of counting, of formulas."""
LONGEST = 30
"""Characters of a number."""
DECIMALS = 4
"""Decimal places of an answer, at most; what has more is said as a fraction."""
NOISE = 1e-15
"""What a sum of decimals may differ from 0 by."""
_FRACTION = re.compile(r"-?\d{1,15}/\d{1,15}", re.ASCII)
_SIGNS = re.compile(r"(?<![^\W_])(?<![)\]}])[^\W\d_]{1,15}(?![^\W\d_])")
_MIXED = re.compile(r"(\d{1,15})([¼-¾⅐-⅞])")
_OTHERWISE = re.compile(
    r"(?<![\w.])(?:(\d{1,15}(?:\.\d{1,15})?e[+-]?\d{1,2})|(0x[\da-f]{1,12}|0b[01]{1,48}))(?!\w)",
    re.ASCII | re.IGNORECASE,
)


_SHARE = re.compile(
    r"(?<![\w.])(\d{1,15})\s?/\s?(0*[1-9]\d{0,14})|frac\s*\{(\d{1,15})\}\s*\{(0*[1-9]\d{0,14})\}"
)
_BELOW_ZERO = re.compile(r"[-\u2212\u2013]\s?\\?\w|minus|negative", re.IGNORECASE)


class ProblemError(Exception):
    """A proposal that is no task; `reason` is a rejection's."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Problem:
    """A text and what computes its answer."""

    text: str
    program: str
    """A program, or the text of an expression."""
    operations: int
    """Arithmetic and comparisons in the program, and calls."""
    tree: Tree | None = None
    """Of an expression; None: it is a program."""


def read_problem(text: str, profile: Profile, max_chars: int) -> Problem:
    """Return the last problem of a proposal whose numbers and program's numbers agree.

    Raises:
        ProblemError: there is none, or one that breaks a rule.
    """
    problem, form, program = _last_parts(text)
    if not problem or len(problem) > max_chars or len(program) > max_chars:
        raise ProblemError("too_large")
    marked = "boxed" in problem or "<" in problem
    if marked or not outline(problem) or not is_text(problem + program):
        raise ProblemError("unparsable", "the problem has markup, or no word")
    try:
        module = parse_expression(program) if form == EXPRESSION else parse_module(program)
        nodes = list(ast.walk(module))
        tree = _tree(module, nodes) if isinstance(module, ast.Expression) else None
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ProblemError("unparsable", str(error)) from error
    if isinstance(module, ast.Module):
        _check_program(module, nodes, profile)
    _compare(problem, nodes)
    counted = (ast.BinOp, ast.AugAssign, ast.Compare, ast.Call)
    return Problem(problem, program, sum(isinstance(node, counted) for node in nodes), tree)


def _last_parts(text: str) -> tuple[str, str, str]:
    """Return text, form and key of the last problem.

    Tags are found one by one: a pattern of them all takes hours over white space without end.
    """
    tags = list(_TAG.finditer(text))
    shifted = (tags[first:] for first in range(4))
    for opening, closing, begin, end in reversed([*zip(*shifted, strict=False)]):
        form = begin[0][1:-1]
        said = "".join(tag[0] for tag in (opening, closing, begin, end))
        between = text[closing.end() : begin.start()]
        if said == f"<problem></problem><{form}></{form}>" and not between.strip():
            key = text[begin.end() : end.start()].strip()
            key = key.removeprefix("```python\n").removeprefix("```\n").removesuffix("```")
            return text[opening.end() : closing.start()].strip(), form, key.strip()
    raise ProblemError("unparsable")


def _tree(expression: ast.Expression, nodes: list[ast.AST]) -> Tree:
    if len(nodes) > MOST_NODES:
        raise ProblemError("too_large", "the expression is too long")
    return read_expression(expression.body)


def _check_program(module: ast.Module, nodes: list[ast.AST], profile: Profile) -> None:
    if not any(isinstance(n, ast.FunctionDef) and n.name == FUNCTION for n in module.body):
        raise ProblemError("unparsable", f"no function {FUNCTION}")
    if profile.broken_by(module, nodes):
        raise ProblemError("forbidden")


def numbers_of(text: str) -> set[Fraction]:
    """Return the numbers that a text writes in digits, of any alphabet.

    Raises:
        ProblemError: one is too long.
    """
    text = _DIGIT.sub(lambda match: str(unicodedata.decimal(match[0])), visible(text))
    items = [item.replace(",", "") for item in _NUMBER.findall(text)]
    if max(map(len, items), default=0) > LONGEST:
        raise ProblemError("too_large", "a number is too long")
    return set(map(Fraction, items))


def words_of(text: str) -> set[Fraction]:
    """Return the numbers that a text writes in words: `twenty`, and `one hundred and twenty`."""
    text = folded(text)
    words = re.findall(r"[a-z]+(?:-[a-z]+)?", text)
    return {WORDS[word] for word in words if word in WORDS} | set(_compounds(text))


def _compounds(text: str) -> Iterator[Fraction]:
    """Yield the numbers of several words, and parts of one such as `three quarters`."""
    total = group = 0
    last = ""
    for word in (*re.findall(r"[a-z]+", text), ""):
        value = int(WORDS[word]) if word in _ONES or word in _TENS else None
        if value is not None and (last in _ONES or (last in _TENS and not 0 < value < 10)):
            yield Fraction(total + group)
            total = group = 0
        if value is not None:
            group += value
        elif last and word == "hundred":
            group *= _TIMES[word]
        elif last and word in _TIMES:
            total, group = total + group * _TIMES[word], 0
        elif last and word == "and":
            continue
        elif last:
            number, total, group = Fraction(total + group), 0, 0
            yield number / _PARTS[word] if word in _PARTS else number
        last = word if value is not None or (last and word in _TIMES) else ""


def outline(text: str) -> list[str]:
    """Return the words of a text in small letters, and its numbers in one form each."""
    return [
        _plain(word) if word[0].isdigit() else word
        for word in re.findall(r"[^\W\d_]+|\d[\d.,]*\b", folded(text))
    ]


def _plain(number: str) -> str:
    """Return a number without grouping and idle zeros; as it is, if it is none or too long."""
    try:
        return number if len(number) > LONGEST else str(Fraction(number.replace(",", "")))
    except ValueError:
        return number


def _signs_of(text: str) -> Iterator[Fraction]:
    """Yield the numbers that a text writes in other signs than digits: in circles, raised or
    lowered, as one fraction, by a power of ten, to another base. Exponents are none."""
    for run in _SIGNS.findall(visible(text)):
        values = [unicodedata.numeric(sign, -1.0) for sign in run]
        if min(values) >= 0:
            digits = [unicodedata.digit(sign, -1) for sign in run]
            if len(run) > 1 and min(digits) >= 0:
                yield Fraction("".join(map(str, digits)))
            else:
                yield from (Fraction(value).limit_denominator(1000) for value in values)
    for match in _MIXED.finditer(text):
        yield int(match[1]) + Fraction(unicodedata.numeric(match[2])).limit_denominator(1000)
    for match in _OTHERWISE.finditer(text):
        yield Fraction(match[1]) if match[1] else Fraction(int(match[2], 0))


def _constants(nodes: list[ast.AST]) -> Iterator[Fraction]:
    for value in (node.value for node in nodes if isinstance(node, ast.Constant)):
        if isinstance(value, str):
            yield from numbers_of(value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            if abs(value) > LARGEST:
                raise ProblemError("too_large", "a number is too large")
            yield Fraction(repr(value))


def _compare(problem: str, nodes: list[ast.AST]) -> None:
    """Check that text and program have the same numbers; a percentage may be a share of 1."""
    written, program = numbers_of(problem), set(_constants(nodes))
    said = written | words_of(problem)
    missing = {n for n in written if n not in program and n / 100 not in program}
    added = {n for n in program if n not in said | COMMON and 100 * n not in said}
    if missing or added:
        which = f"{(missing and 'the program lacks') or 'the text lacks'} {min(missing or added)}"
        raise ProblemError("numbers_differ", which)


def key_of(value: object) -> str:
    """Return the answer that a program's value stands for, as text.

    Raises:
        ProblemError: it is no number, not exact, or too large.
    """
    if isinstance(value, str) and _FRACTION.fullmatch(value):
        above, below = map(int, value.split("/"))
        if below == 0:
            raise ProblemError("no_number", value)
        return key_text(Fraction(above, below))
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) <= LARGEST:
        raise ProblemError("no_number", str(value)[:60])
    exact = Fraction(repr(round(float(value), 10))) if isinstance(value, float) else Fraction(value)
    small = isinstance(value, float) and not math.isclose(value, exact, abs_tol=NOISE)
    if small or 10**DECIMALS % exact.denominator:
        raise ProblemError("inexact", repr(value))
    return key_text(exact)


def key_text(value: Fraction) -> str:
    """Return a number as a whole number or a short decimal if it is one, else as a fraction."""
    if value.denominator == 1 or 10**DECIMALS % value.denominator:
        return str(value)
    return f"{float(value):.{DECIMALS}f}".rstrip("0")


def _is_rational(key: str) -> bool:
    """Return whether an answer is a number in digits or a fraction, and no closed form."""
    return bool(_FRACTION.fullmatch(key) or _NUMBER.fullmatch(key.removeprefix("-")))


def stands_in(key: str, text: str) -> bool:
    """Return whether a text has an answer: as a number in digits, words or other signs, as a
    fraction or below zero, or as it is written."""
    if not _is_rational(key):
        spelt = r"\s*".join(map(re.escape, key.split()))
        return re.search(rf"(?<!\w){spelt}(?!\w)", text) is not None
    value = Fraction(key)
    if value < 0 and not _BELOW_ZERO.search(text):
        return False
    shares = (Fraction(int(m[1] or m[3]), int(m[2] or m[4])) for m in _SHARE.finditer(text))
    return abs(value) in {*numbers_of(text), *words_of(text), *shares, *_signs_of(text)}
