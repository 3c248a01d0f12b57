"""Values as canonical texts, as tasks keep and prompts show them, and ids made of content."""

import functools
import hashlib
import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from redqueen.sandbox import literals_equal, parse_literal, render_literal, tells

TOLERANCE = 1e-9
"""How far a float may be from the right one: another order of the same sums is as good."""


def value_text(value: Any) -> str:
    """Return the canonical literal of a plain value: the same in every process, readable again.

    Raises:
        ValueError: the value has no literal.
    """
    text = render_literal(value)
    if text is None:
        raise ValueError(f"{type(value).__name__} has no literal")
    return text


def arguments_text(args: Sequence[Any]) -> str:
    """Return the arguments of a call as prompts show them; `parse_arguments` reads them again."""
    return ", ".join(map(value_text, args))


def result_type(text: str) -> str:
    """Return the type of the value that a literal stands for, as `results` names it."""
    value = parse_literal(text)[1]
    return "none" if value is None else type(value).__name__


def fit_results(outputs: Iterable[str], results: Collection[str]) -> bool:
    """Return whether all values are of types in `results`; if that is empty, any type will do."""
    return not results or all(result_type(text) in results for text in outputs)


def same_value(left: str, right: str) -> bool:
    """Return whether two texts are literals of equal values."""
    (left_reads, a), (right_reads, b) = parse_literal(left), parse_literal(right)
    return left_reads and right_reads and literals_equal(a, b)


@functools.lru_cache(4096)
def expected_output(text: str) -> tuple[Any, bool]:
    """Return the value of a task's output, and whether its text is canonical and `tells`.

    The value is NaN, which equals nothing, if the text is no literal.
    """
    readable, value = parse_literal(text)
    return value if readable else math.nan, tells(text) and render_literal(value) == text


def repeated(output: str, arity: int) -> tuple[Any, ...]:
    """Return the input that has the value of `output` for every argument, an object each."""
    return tuple(parse_literal(output)[1] for _ in range(arity))


def is_output(returned: str, output: str) -> bool:
    """Return whether a returned literal, in canonical text, equals a task's output; floats may
    differ in their last digits."""
    value, telling = expected_output(output)
    if telling and tells(returned):
        return returned == output
    readable, result = parse_literal(returned)
    return readable and literals_equal(result, value, TOLERANCE)


def task_id(kind: str, payload: Mapping[str, Any]) -> str:
    """Return a hash of the content: equal tasks have equal ids."""
    text = json.dumps([kind, payload], sort_keys=True)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()
