"""Values as canonical texts, as tasks keep and prompts show them, and ids made of content."""

import functools
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from redqueen.sandbox import literals_equal, parse_literal, render_literal, tells


def value_text(value: Any) -> str:
    """The canonical literal of a plain value: the same in every process, and readable again.

    Raises:
        ValueError: the value has no literal.
    """
    text = render_literal(value)
    if text is None:
        raise ValueError(f"{type(value).__name__} has no literal")
    return text


def arguments_text(args: Sequence[Any]) -> str:
    """The arguments of a call as text, as prompts show them; `parse_arguments` gives them back."""
    return ", ".join(map(value_text, args))


def same_value(left: str, right: str) -> bool:
    """Whether two texts are literals of equal values."""
    (left_known, a), (right_known, b) = parse_literal(left), parse_literal(right)
    return left_known and right_known and literals_equal(a, b)


@functools.lru_cache(4096)
def known_output(text: str) -> tuple[Any, bool]:
    """The value of a task's output, which every attempt meets again, and whether the text is
    canonical and `tells`. NaN, which equals nothing, if it is no literal."""
    known, value = parse_literal(text)
    return value if known else math.nan, tells(text) and render_literal(value) == text


def is_output(returned: str, output: str) -> bool:
    """Whether a returned literal, in canonical text, is equal to a task's output."""
    value, telling = known_output(output)
    if telling and tells(returned):
        return returned == output
    known, found = parse_literal(returned)
    return known and literals_equal(found, value)


def task_id(kind: str, payload: Mapping[str, Any]) -> str:
    """Content hash: equal tasks have equal ids."""
    text = json.dumps([kind, payload], sort_keys=True)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()
