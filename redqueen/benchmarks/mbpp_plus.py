"""MBPP+: 378 functions of MBPP (Austin et al., arXiv 2108.07732) with EvalPlus' tests.

The released inputs are JSON. Some tasks take tuples, sets or complex numbers; which, and which
answers count besides the released solution's, is as in EvalPlus 0.3.1.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

from redqueen.benchmarks.base import Row
from redqueen.benchmarks.evalplus import EvalPlus, Oracle

_Converter = Callable[[Any], Any]


def _tuples(depth: int) -> _Converter:
    """Return what makes tuples of the lists that lie `depth` levels down."""
    if depth == 0:
        return tuple
    inner = _tuples(depth - 1)
    return lambda value: [inner(item) for item in value]


def _tuples_from(depth: int, levels: int) -> _Converter:
    """The same for lists at `levels` levels from `depth` on."""
    if levels == 1:
        return _tuples(depth)
    inner = _tuples_from(0, levels - 1)
    if depth == 0:
        return lambda value: tuple(inner(item) for item in value)
    outer = _tuples_from(depth - 1, levels)
    return lambda value: [outer(item) for item in value]


def _deep(value: Any) -> Any:
    return tuple(map(_deep, value)) if isinstance(value, list) else value


def _first(convert: _Converter) -> _Converter:
    """Return what converts the first argument only."""
    return lambda args: [convert(args[0]), *args[1:]]


def _sets(value: Any) -> Any:
    return [set(item) if isinstance(item, list) and item else {} for item in value]


def _mixed(value: Any) -> Any:
    return tuple(tuple(item) if isinstance(item, list) else item for item in value)


_CONVERTERS: dict[_Converter, str] = {
    _tuples(1): "2 116 132 143 222 261 273 394 399 421 424 429 470 560 579 596 616 630 726 740 744 "
    "809",
    _tuples(2): "63 64 70 94 120 237 272 299 400 409 417 438 473 614 780",
    _first(_tuples(1)): "75 413 444 753",
    lambda args: [args[0], tuple(args[1])]: "106 750",
    _first(_sets): "115",
    lambda args: [float(args[0]), complex(args[1])]: "124",
    _first(tuple): "250 307 405 446 617 720 763 808",
    _first(complex): "252",
    _tuples_from(1, 2): "259 401 445",
    _first(_mixed): "278",
    _first(lambda table: {key: tuple(value) for key, value in table.items()}): "722",
    lambda args: list(_deep(args)): "580 615 791",
}
_CONVERTER_OF = {
    f"Mbpp/{number}": convert
    for convert, numbers in _CONVERTERS.items()
    for number in numbers.split()
}


def _any_value(args: Sequence[Any], value: Any, expected: Any, tolerance: float) -> bool:
    """Mbpp/164: the released solution is wrong, so nothing is compared."""
    return True


def _or_zero(args: Sequence[Any], value: Any, expected: Any, tolerance: float) -> bool | None:
    """Mbpp/295: the sum of the divisors of 1 may be 0."""
    return True if value == 0 else None


def _surface(args: Sequence[Any], value: Any, expected: Any, tolerance: float) -> bool | None:
    """Mbpp/581: the height may be the pyramid's, not a side's."""
    base, height = args
    area = round(base**2 + 2 * base * math.sqrt((base / 2) ** 2 + height**2))
    return True if abs(value - area) <= tolerance else None


def _digits(args: Sequence[Any], value: Any, expected: Any, tolerance: float) -> bool | None:
    """Mbpp/558: the digits may be compared place by place from the right."""
    left, right = (str(number) for number in args)
    size = max(len(left), len(right))
    pairs = zip(left.zfill(size), right.zfill(size), strict=True)
    return True if value == sum(abs(int(a) - int(b)) for a, b in pairs) else None


class MbppPlus(EvalPlus):
    """Write a Python function from a sentence and an assertion."""

    label: ClassVar[str] = "mbpp+"
    title: ClassVar[str] = "MBPP+"
    file: ClassVar[str] = "mbppplus.jsonl"
    oracles: ClassVar[Mapping[str, Oracle]] = {
        "are_equivalent": _any_value,
        "sum_div": _or_zero,
        "surface_Area": _surface,
        "digit_distance_nums": _digits,
    }
    reports: ClassVar[Mapping[str, Literal["set", "not_none"]]] = {
        **dict.fromkeys(
            (
                "similar_elements",
                "find_char_long",
                "common_in_nested_lists",
                "extract_singly",
                "larg_nnum",
                "intersection_array",
                "find_dissimilar",
                "Diff",
            ),
            "set",
        ),
        **dict.fromkeys(("check_str", "text_match_three", "text_starta_endb"), "not_none"),
    }

    def inputs(self, row: Row, which: Literal["base", "plus"]) -> list[Any]:
        """Return the arguments in the types that the task takes."""
        convert = _CONVERTER_OF.get(row["task_id"])
        arguments: list[Any] = super().inputs(row, which)
        return [convert(args) for args in arguments] if convert else arguments
