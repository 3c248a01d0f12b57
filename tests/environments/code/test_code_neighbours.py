"""Neighbours of an input, and the verdict on constant functions, against CPython."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redqueen.environments.base import Draft
from redqueen.environments.code.neighbours import (
    ENOUGH,
    FAR,
    NEAR,
    Probe,
    find_constant,
    neighbours,
)
from redqueen.environments.code.texts import value_text
from redqueen.sandbox import Call, Outcome, OutcomeKind
from redqueen.types import Rejection
from tests.code_cases import FakeSandbox, cpython, make_code, value

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-50, 50), st.floats(-50, 50), st.text(max_size=6),
    st.binary(max_size=6), st.complex_numbers(max_magnitude=50, allow_nan=False),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(st.integers(0, 9), st.text(max_size=3)), inner, max_size=3),
        st.sets(st.one_of(st.integers(0, 9), st.text(max_size=3)), max_size=4),
    ),
    max_leaves=8,
)


def shape_kept(old: Any, new: Any) -> bool:
    """Whether types are preserved: of tuples place by place, of lists and sets by what occurs."""
    if type(old) is not type(new):
        return False
    if isinstance(old, tuple):
        return len(old) == len(new) and all(map(shape_kept, old, new))
    if isinstance(old, dict):
        return all(key in old and shape_kept(old[key], item) for key, item in new.items())
    if isinstance(old, list | set):
        known = list(old) or [0]
        return all(any(shape_kept(one, item) for one in known) for item in new)
    return True


@settings(max_examples=200, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=3).map(tuple), st.booleans(), st.integers(0, 99))
def test_neighbours_are_new_inputs_of_the_same_types(
    args: tuple[Any, ...], far: bool, seed: int
) -> None:
    before = value_text(args)
    made = neighbours(args, 6, Random(seed), far)
    assert value_text(args) == before
    texts = [value_text(item) for item in made]
    assert texts == [value_text(item) for item in neighbours(args, 6, Random(seed), far)]
    assert len({*texts, before}) == len(made) + 1
    assert len(made) <= 6
    for item in made:
        assert shape_kept(args, item)
        changed = sum(value_text(a) != value_text(b) for a, b in zip(args, item, strict=True))
        assert far or changed == 1


@pytest.mark.parametrize("value", [3, -40, 2.5, "abc", b"ab", [1, 2], (1, "a"), {"k": 1}, {4, 5}])
def test_plain_values_have_plenty_of_neighbours(value: Any) -> None:
    assert len(neighbours((value,), 4, Random(0))) == 4
    assert len(neighbours((value,), 8, Random(0), far=True)) == 8


def test_near_integers_move_by_three_at_most_and_each_argument_in_turn() -> None:
    made = neighbours((10, 20), 8, Random(1))
    assert {(a - 10, b - 20) for a, b in made} <= {
        pair for step in (-3, -2, -1, 1, 2, 3) for pair in ((step, 0), (0, step))
    }
    assert sum(a == 10 for a, _ in made) == sum(b == 20 for _, b in made) == 4


def test_what_has_no_neighbour_is_not_called_constant() -> None:
    assert neighbours((None,), 4, Random(0)) == []
    fake = FakeSandbox(lambda call, n: value("1"))
    assert find_constant(fake, [Probe("", (None, ()), "1")]) == [False]


def answering(rule: Callable[[Call, int], Outcome], args: tuple[Any, ...] = (5,)) -> Any:
    fake = FakeSandbox(rule)
    return find_constant(fake, [Probe("p", args, "1")]), len(fake.calls)


BOOM = Outcome(OutcomeKind.EXCEPTION, exception="ValueError")
LATE = Outcome(OutcomeKind.TIMEOUT)
LOST = Outcome(OutcomeKind.INFRA_ERROR, message="worker died")


def test_the_second_round_runs_only_without_a_sign_of_life() -> None:
    assert answering(lambda call, n: value("1")) == ([True], NEAR + FAR)
    assert answering(lambda call, n: value("1.0")) == ([True], NEAR + FAR)
    assert answering(lambda call, n: value("2" if n == 0 else "1")) == ([False], NEAR)
    assert answering(lambda call, n: value("2" if n == NEAR else "1")) == ([False], NEAR + FAR)


def test_neighbours_that_fail_do_not_count() -> None:
    def rule(returned: int) -> Callable[[Call, int], Outcome]:
        return lambda call, n: value("1") if n < returned else BOOM

    assert answering(rule(ENOUGH)) == ([True], NEAR + FAR)
    assert answering(rule(ENOUGH - 1)) == ([False], NEAR + FAR)
    assert answering(lambda call, n: BOOM) == ([False], NEAR + FAR)


def test_a_neighbour_out_of_time_ends_the_search() -> None:
    assert answering(lambda call, n: LATE if n == 0 else value("1")) == ([False], NEAR)


def test_a_failure_of_the_sandbox_is_no_verdict() -> None:
    assert answering(lambda call, n: LOST if n == 1 else value("1")) == ([LOST], NEAR)
    fake = FakeSandbox(lambda call, n: LOST if n == 2 else value("1"))
    environment = make_code(fake, "compact", guards=("constant",))
    text = "def f(a):\n    return a * 0 + 1\n<input>\n3"
    assert environment.validate([Draft("code_o", text, (), 0, 0)]) == [
        Rejection("infra_error", malformed=False, infra=True, detail="worker died")
    ]


def test_verdicts_belong_to_their_programs() -> None:
    programs = [
        "def f(a):\n    return a + 1",
        "def f(a):\n    return a - a",
        "def f(a):\n    return a * 3",
        "def f(a):\n    return len([a])",
    ]
    fake = FakeSandbox(lambda call, n: value(repr(cpython(call.code, call.args))))
    probes = [Probe(text, (4,), repr(cpython(text, (4,)))) for text in programs]
    assert find_constant(fake, probes) == [False, True, False, True]
    assert len(fake.calls) == 4 * NEAR + 2 * FAR
    assert find_constant(fake, probes[::-1]) == [True, False, True, False]
    assert find_constant(fake, []) == []
