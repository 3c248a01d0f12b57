"""The language of puzzles: types, limits, values against a slow loop, and near copies."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redqueen.environments.logic.language import (
    OPERATORS,
    PuzzleError,
    parse_puzzle,
    render,
)
from redqueen.environments.logic.sources import assignments, solutions

VARIABLES = {
    "a": [1, 4],
    "b": [0, 3],
    "wet": "bool",
    "hat": ["red", "blue"],
    "cap": ["red", "blue"],
}
TIES = [["=", name, name] for name in VARIABLES]


def python(said: Any, values: dict[str, Any]) -> Any:
    """The value of an expression, by Python's own operators and as a reader would say it."""
    if not isinstance(said, list):
        return values.get(said, said) if isinstance(said, str) else said
    head, *rest = said[0], *(python(item, values) for item in said[1:])
    symbol = {"=": "==", "mod": "%"}.get(head, head)
    match head:
        case "distinct":
            return len(set(rest)) == len(rest)
        case "count":
            return sum(rest)
        case "=>":
            return not rest[0] or rest[1]
        case "abs":
            return abs(rest[0])
        case "not":
            return not rest[0]
    return eval(f" {symbol} ".join(map(repr, rest)), {})  # numbers and words of this test alone


@pytest.mark.parametrize(
    "said",
    [
        ["=", ["+", "a", "b", 1], 5],
        ["<", ["-", "a", "b"], ["*", "b", 2]],
        [">=", ["abs", ["-", "b", "a"]], 2],
        ["=", ["mod", ["-", "b", "a"], 3], 1],
        ["or", ["<=", "a", 1], [">", "b", 2], "wet"],
        ["=>", "wet", ["=", "hat", "red"]],
        ["!=", "blue", "cap"],
        ["and", ["not", "wet"], ["distinct", "hat", "cap"]],
        ["=", ["count", "wet", ["=", "a", 1], ["=", "hat", "cap"]], 2],
        ["=", "wet", ["<", "a", "b"]],
        ["distinct", "a", "b", 3],
        ["!=", "wet", True],
    ],
)
def test_solutions_are_those_of_a_slow_loop(said: list[Any]) -> None:
    puzzle = parse_puzzle(VARIABLES, [said, *TIES])
    space = assignments(puzzle.domains)
    written = list(product(range(1, 5), range(4), (False, True), *2 * (("red", "blue"),)))
    right = [bool(python(said, dict(zip(VARIABLES, row, strict=True)))) for row in written]
    assert solutions(puzzle).tolist() == right
    one_by_one = [
        bool(puzzle.satisfied({name: int(column[i]) for name, column in space.items()}))
        for i in range(len(right))
    ]
    assert one_by_one == right


def test_numbers_have_no_limit_once_an_answer_is_checked() -> None:
    deep: Any = "a"
    for _ in range(4):
        deep = ["*", deep, deep]
    puzzle = parse_puzzle({"a": [1, 1000]}, [["!=", ["+", deep, 1], deep]])
    assert puzzle.satisfied({"a": 1000})
    # Truth values that are counted are numbers without a limit too.
    ones = ["count", ["or", ["=", "a", 7], ["=", "a", 1000]], ["not", ["=", "a", 1]]]
    two = ["=", ["*", ones, deep], ["*", 2, deep]]
    sum_ = ["=", ["-", ["+", ones, deep], deep], 2]
    for said in (two, sum_, ["distinct", ["*", ones, deep], ["+", ones, deep]]):
        puzzle = parse_puzzle({"a": [1, 1000]}, [said])
        assert puzzle.satisfied({"a": 1000})
    assert not parse_puzzle({"a": [1, 1000]}, [two]).satisfied({"a": 999})


@pytest.mark.parametrize(
    ("variables", "said", "reason"),
    [
        ({}, ["=", 1, 1], "too_large"),
        ([], ["=", 1, 1], "unparsable"),
        ({"and": [1, 2]}, "and", "unparsable"),
        ({"a b": [1, 2]}, ["=", "a b", 1], "unparsable"),
        ({"a": [2, 1]}, ["=", "a", 1], "too_large"),
        ({"a": [1, 10**9]}, ["=", "a", 1], "too_large"),
        ({"a": [1, 2.5]}, ["=", "a", 1], "unparsable"),
        ({"a": ["x", "x"]}, ["=", "a", "x"], "too_large"),
        ({"a": ["x", "a"]}, ["=", "a", "x"], "ill_typed"),
        ({"a": [True, False]}, "a", "unparsable"),
        ({"a": [1, 2]}, "a", "ill_typed"),
        ({"a": [1, 2]}, 7, "ill_typed"),
        ({"a": [1, 2]}, [], "unparsable"),
        ({"a": [1, 2]}, None, "unparsable"),
        ({"a": [1, 2]}, ["=", "a", 1.5], "unparsable"),
        ({"a": [1, 2]}, ["=", "a", "x"], "unknown_name"),
        ({"a": [1, 2]}, ["=", "x", "y"], "unknown_name"),
        ({"a": [1, 2]}, ["eval", "a"], "unknown_name"),
        ({"a": [1, 2]}, ["=", "a"], "ill_typed"),
        ({"a": [1, 2]}, ["=", ["mod", "a", 0], 1], "ill_typed"),
        ({"a": [1, 2]}, ["=", ["mod", 1, "a"], 1], "ill_typed"),
        ({"a": [1, 2], "c": "bool"}, ["=", "a", "c"], "ill_typed"),
        ({"a": [1, 2], "c": ["x", "y"]}, ["<", "a", "c"], "ill_typed"),
        ({"a": ["x", "y"], "c": ["x", "z"]}, ["=", "a", "c"], "ill_typed"),
        ({"a": [1, 2], "c": [1, 2]}, ["=", "a", 1], "unused_variable"),
        ({"a": [1, 2]}, ["=", "a", 10**6], "too_large"),
        ({"a": [1, 2]}, ["and", *20 * [["=", "a", 1]]], "ill_typed"),
    ],
)
def test_what_is_no_puzzle(variables: Any, said: Any, reason: str) -> None:
    with pytest.raises(PuzzleError) as error:
        parse_puzzle(variables, [said])
    assert error.value.reason == reason


def test_depth_and_length_have_limits() -> None:
    deep: Any = ["=", "a", 1]
    for _ in range(100):
        deep = ["not", deep]
    for constraints in ([deep], [["=", ["+", *9 * ["a"]], 1]] * 24):
        with pytest.raises(PuzzleError) as error:
            parse_puzzle({"a": [1, 2]}, constraints)
        assert error.value.reason == "too_large"


json_values = st.recursive(
    st.one_of(st.integers(-2000, 2000), st.booleans(), st.none(), st.floats(), st.text(max_size=3),
              st.sampled_from([*OPERATORS, *VARIABLES, "red"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
)  # fmt: skip


@settings(max_examples=50)
@given(json_values, json_values)
def test_any_json_is_a_puzzle_or_is_none(variables: Any, said: Any) -> None:
    for first in (variables, VARIABLES):
        try:
            puzzle = parse_puzzle(first, [said, *TIES])
        except PuzzleError:
            continue
        assert isinstance(solutions(puzzle), np.ndarray)
        assert render(said)


def test_a_constraint_in_the_usual_notation() -> None:
    assert render(["=", ["+", "y", "z"], 7]) == "(y + z) = 7"
