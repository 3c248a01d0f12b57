"""Plain Python literals: parse, render and compare them without ever raising.

A *plain* value is built from None, bool, int, float (NaN excepted), complex, str, bytes, list,
tuple, dict and set, nested at most `MAX_DEPTH` deep. These are the values that have a literal,
so they are the only ones that tasks, answers and outcomes may hold. Infinity is plain: its
literal is `1e309`. Ellipsis, frozensets, NaN and lone surrogates are not.
"""

import ast
import cmath
import io
import json
import math
import re
import tokenize
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from redqueen.sandbox.syntax import parse_expression

MAX_DEPTH = 64
"""Deepest nesting of containers in a plain value; a scalar has depth 0, `[1]` depth 1."""
MAX_CHARS = 20_000
"""Longest text that is parsed."""
MAX_INT_BITS = 14_000
"""Largest integer (about 4,200 decimal digits: CPython refuses to print more than 4,300)."""

_INFINITY = "1e309"
_CONTAINERS = frozenset({list, tuple, set, dict})
_JSON = re.compile(r"(?:[\[\], 0-9-]|'[ !#-&(-\[\]-~]*+')*+")
"""Whole numbers, simple strings and lists: read as JSON, if it is JSON, four times as fast."""
_SIMPLE = r"[\[\](), ]|-?[0-9]++|'[ -&(-\[\]-~]*+'|None"
_TELLING = re.compile(f"(?:{_SIMPLE})*+")
_CANONICAL = re.compile(f"(?:{_SIMPLE}|True|False)*+")
"""What a repr of whole numbers, simple strings, lists and tuples is made of."""
_CANONICAL_CHARS = 1000
_FAILURES = (SyntaxError, ValueError, TypeError, MemoryError, RecursionError, OverflowError)


def plain_problem(value: object) -> str | None:
    """Say why `value` is not plain, or None if it is. Never recurses and calls no foreign code."""
    stack: list[tuple[Iterable[Any], int]] = [((value,), 0)]
    while stack:
        items, depth = stack.pop()
        for item in items:
            if type(item) in _CONTAINERS:
                if depth == MAX_DEPTH:
                    return f"nested deeper than {MAX_DEPTH}"
                stack.append((item, depth + 1))
                if type(item) is dict:
                    stack.append((item.values(), depth + 1))
            else:
                problem = _scalar_problem(item)
                if problem is not None:
                    return problem
    return None


def _scalar_problem(item: object) -> str | None:
    if type(item) is int:
        return "integer too large" if item.bit_length() > MAX_INT_BITS else None
    if item is None or type(item) in (bool, bytes):
        return None
    if type(item) is float:
        return "nan has no literal" if math.isnan(item) else None
    if type(item) is complex:
        finite = math.isfinite(item.real) and math.isfinite(item.imag)
        return None if finite else "complex infinity or nan has no literal"
    if type(item) is str:
        try:
            item.encode("utf-8")
        except UnicodeEncodeError:
            return "string with a lone surrogate"
        return None
    return f"{type(item).__name__} has no literal"


def parse_literal(text: str, max_chars: int = MAX_CHARS) -> tuple[bool, Any]:
    """Parse untrusted text as one plain literal: `(True, value)`, or `(False, None)`.

    Nothing is executed, no exception is raised and no warning is printed.
    """
    return evaluate_literal(text.strip()) if len(text) <= max_chars else (False, None)


def evaluate_literal(source: str | ast.expr) -> tuple[bool, Any]:
    """Return `(True, value)` for the text or the syntax tree of one plain literal, else
    `(False, None)`. Never raises."""
    try:
        value = _read(source) if isinstance(source, str) else ast.literal_eval(source)
    except _FAILURES:
        return False, None
    return (True, value) if plain_problem(value) is None else (False, None)


def _read(text: str) -> Any:
    if _JSON.fullmatch(text):
        with suppress(ValueError):  # `[1,]` and `- 1` are literals all the same
            items = json.loads(f"[{text}]".replace("'", '"'))
            if items:
                return items[0] if len(items) == 1 else tuple(items)
    return ast.literal_eval(parse_expression(text))


def parse_repr(text: str, max_chars: int = MAX_CHARS) -> tuple[bool, Any]:
    """Like `parse_literal` for text made by `repr`: also reads `inf` and `-inf`."""
    if len(text) > max_chars:
        return False, None
    ok, value = evaluate_literal(text)
    if ok or "inf" not in text:
        return ok, value
    try:
        tree = _NameInfinity().visit(parse_expression(text))
    except _FAILURES:
        return False, None
    return evaluate_literal(tree.body)


class _NameInfinity(ast.NodeTransformer):
    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(math.inf) if node.id == "inf" else node


def parse_arguments(text: str, arity: int, max_chars: int = MAX_CHARS) -> tuple[Any, ...] | None:
    """Parse the arguments of one call of a function with `arity` parameters, else None.

    Arity 1: the whole literal is the argument, so `(1, 2)` is one tuple; `1, 2` without
    parentheses would be two arguments and is None. Arity above 1: `1, 2` or `(1, 2)`, of exactly
    that length. Arity 0: nothing, or `()`. Names, calls, keywords, stars, comments and anything
    besides a single expression are None.
    """
    text = text.strip()
    if arity == 0 and text in ("", "()"):
        return ()
    ok, value = parse_literal(text, max_chars)
    if not ok or ("#" in text and _has_comment(text)):
        return None
    if arity == 1:
        return None if isinstance(value, tuple) and not _parenthesised(text) else (value,)
    if isinstance(value, tuple) and len(value) == arity:
        return value
    return None


def _has_comment(text: str) -> bool:
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (*_FAILURES, tokenize.TokenError):
        return True
    return any(token.type == tokenize.COMMENT for token in tokens)


def canonical_repr(text: str) -> str | None:
    """Canonical text (see `render_literal`) of the value whose `repr` is `text`, None if it is not
    plain. The value's depth must be known to be at most `MAX_DEPTH`."""
    if len(text) <= _CANONICAL_CHARS and _CANONICAL.fullmatch(text):
        return text  # read and rendered again it would be the same
    ok, value = parse_repr(text)
    return render_literal(value) if ok else None


def tells(canonical: str) -> bool:
    """Whether a canonical text is one of those that are the same just when their values are equal.

    `True` is not, which is equal to `1`; nor are floats, sets and dicts.
    """
    return _TELLING.fullmatch(canonical) is not None


def _parenthesised(text: str) -> bool:
    """Whether tuple literal `text` has its own parentheses: then it is one item of a list."""
    try:
        wrapped = parse_expression(f"[{text}\n]").body
    except _FAILURES:
        return False
    trailing = text.rstrip().endswith(",")
    return isinstance(wrapped, ast.List) and len(wrapped.elts) == 1 and not trailing


def render_literal(value: object) -> str | None:
    """Canonical text of a plain value with `ast.literal_eval(text) == value`; None if not plain.

    It is `repr`, except that infinity is `1e309` and that sets are sorted by their items' text:
    the order of a set of strings differs between processes. The sign of a complex number's zero
    part is lost on the way back, as no literal holds it.
    """
    if plain_problem(value) is not None:
        return None
    return _render(value)


def _render(value: object) -> str:
    # Depth is at most MAX_DEPTH here, so recursion is safe.
    if isinstance(value, float) and math.isinf(value):
        return _INFINITY if value > 0 else f"-{_INFINITY}"
    if isinstance(value, complex):
        # No literal holds the sign of a zero part, so none is written.
        return repr(complex(value.real + 0.0, value.imag + 0.0))
    if isinstance(value, list):
        return f"[{', '.join(map(_render, value))}]"
    if isinstance(value, tuple):
        return (
            f"({_render(value[0])},)" if len(value) == 1 else f"({', '.join(map(_render, value))})"
        )
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_render(k)}: {_render(v)}' for k, v in value.items())}}}"
    if isinstance(value, set):
        return f"{{{', '.join(sorted(map(_render, value)))}}}" if value else "set()"
    return repr(value)


def literals_equal(left: object, right: object, tolerance: float = 0.0) -> bool:
    """Python's `==` on literals, except that NaN equals nothing, however deep it sits.

    With a `tolerance`, floats are equal too that differ by no more than it, relative to the larger,
    or near zero by a thousandth of it; a float and an integer, if they differ by no more than it;
    not so keys of dicts and items of sets.

    `1 == 1.0 == True`; a list never equals a tuple. Never raises and never recurses; shared and
    cyclic structures are compared once for each pair of objects, so it cannot hang on them.
    Two objects of any other type than those of plain values (and frozenset) are unequal.
    """
    stack: list[tuple[object, object]] = [(left, right)]
    seen: set[tuple[int, int]] = set()
    while stack:
        a, b = stack.pop()
        if isinstance(a, list | tuple | dict | set | frozenset):
            pair = (id(a), id(b))
            if pair in seen:
                continue
            seen.add(pair)
        try:
            children = _pairs(a, b, tolerance)
        except _FAILURES:
            return False
        if children is None:
            return False
        stack += children
    return True


def _pairs(a: object, b: object, tolerance: float) -> list[tuple[object, object]] | None:
    """Pairs that must be equal for `a` to equal `b`; None when they differ at this level."""
    if isinstance(a, bool | int | float | complex) and isinstance(b, bool | int | float | complex):
        return [] if a == b or _close(a, b, tolerance) else None
    if isinstance(a, set | frozenset) and isinstance(b, set | frozenset):
        return [] if a == b and not _holds_nan(a) else None
    if type(a) is not type(b):
        return None
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return list(zip(a, b, strict=True)) if len(a) == len(b) else None
    if isinstance(a, dict) and isinstance(b, dict):
        if len(a) != len(b) or _holds_nan(a) or any(key not in b for key in a):
            return None
        return [(value, b[key]) for key, value in a.items()]
    if a is None or isinstance(a, str | bytes):
        return [] if a == b else None
    return None


def _close(a: complex, b: complex, tolerance: float) -> bool:
    if tolerance == 0 or {type(a), type(b)} <= {int, bool}:
        return False
    if isinstance(a, int) or isinstance(b, int):
        return abs(a - b) <= tolerance
    return cmath.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance / 1000)


def _holds_nan(items: Iterable[object]) -> bool:
    """Whether NaN sits among hashable `items` (set members or dict keys), in tuples too."""
    stack = list(items)
    seen: set[int] = set()
    while stack:
        item = stack.pop()
        if isinstance(item, tuple | frozenset):
            if id(item) not in seen:
                seen.add(id(item))
                stack += item
        elif isinstance(item, float | complex) and item != item:
            return True
    return False
