"""Values as canonical texts, as tasks keep and prompts show them, and ids made of content."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from redqueen.sandbox import literals_equal, parse_literal, render_literal


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


def task_id(kind: str, payload: Mapping[str, Any]) -> str:
    """Content hash: equal tasks have equal ids."""
    text = json.dumps([kind, payload], sort_keys=True)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()
