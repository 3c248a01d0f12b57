import ast
import math
import subprocess
import sys
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redqueen.sandbox.literals import (
    MAX_CHARS,
    MAX_DEPTH,
    canonical_repr,
    literals_equal,
    parse_arguments,
    parse_literal,
    parse_repr,
    plain_problem,
    render_literal,
    tells,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
KEYS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT | st.binary()
HASHABLE = st.recursive(KEYS, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=4)
# No literal holds the sign of a complex number's zero part: adding zero drops it.
COMPLEX = st.complex_numbers(allow_nan=False, allow_infinity=False).map(lambda z: z + 0j)
PLAIN = st.recursive(
    KEYS | COMPLEX,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(HASHABLE, inner, max_size=4)
        | st.sets(HASHABLE, max_size=4)
    ),
    max_leaves=12,
)


def nest(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


@given(PLAIN)
def test_rendering_comes_back_through_ast_and_is_stable(value: Any) -> None:
    text = render_literal(value)
    assert text is not None
    back = ast.literal_eval(text)
    assert back == value
    assert type(back) is type(value)
    assert parse_literal(text, 10**6) == (True, value)
    assert render_literal(back) == text


@given(PLAIN)
def test_text_made_by_repr_is_read_as_python_means_it(value: Any) -> None:
    ok, back = parse_repr(repr(value), 10**6)
    assert ok
    assert back == value


@given(PLAIN)
def test_a_repr_becomes_canonical_as_if_it_were_read_and_rendered(value: Any) -> None:
    assert canonical_repr(repr(value)) == render_literal(value)


SIMPLE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("ab'\"\\ ,é"),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)


@given(SIMPLE)
def test_simple_literals_are_read_as_python_reads_them(value: Any) -> None:
    for text in (repr(value), repr(value).replace(", ", ","), f"{value!r}, {value!r}"):
        expected = ast.literal_eval(text)
        assert repr(parse_literal(text)) == repr((True, expected))


@given(SIMPLE, SIMPLE)
def test_telling_texts_are_equal_exactly_when_their_values_are(left: Any, right: Any) -> None:
    texts = str(render_literal(left)), str(render_literal(right))
    if all(map(tells, texts)):
        assert (texts[0] == texts[1]) == literals_equal(left, right)


@pytest.mark.parametrize("text", ["True", "[1.0]", "{1: 2}", "{1}", "1e309", "'\\n'", "b'a'", "1j"])
def test_texts_with_several_ways_to_write_an_equal_value_do_not_tell(text: str) -> None:
    assert not tells(text)


@given(PLAIN, PLAIN)
def test_equality_is_pythons_when_there_is_no_nan(left: Any, right: Any) -> None:
    assert literals_equal(left, left)
    assert literals_equal(left, ast.literal_eval(str(render_literal(left))))
    assert literals_equal(left, right) == (left == right)
    assert literals_equal([left, (right,)], [left, (right,)])


@given(st.text(max_size=60) | st.text("[](){}'\"\\,:#-+.0123456789abef_jx \n\t*=", max_size=60))
def test_parsing_agrees_with_literal_eval_and_never_raises(text: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ok, value = parse_literal(text)
        for arity in range(4):
            arguments = parse_arguments(text, arity)
            assert arguments is None or len(arguments) == arity
    assert caught == []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = ast.literal_eval(text.strip())
        except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
            assert not ok
            return
    assert ok == (plain_problem(expected) is None)
    if ok:
        assert repr(value) == repr(expected)


@given(st.lists(PLAIN, max_size=4).map(tuple))
def test_rendered_arguments_come_back_one_by_one(arguments: tuple[Any, ...]) -> None:
    text = ", ".join(str(render_literal(value)) for value in arguments)
    assert parse_arguments(text, len(arguments), 10**6) == arguments


@pytest.mark.parametrize(
    ("text", "arity", "expected"),
    [
        ("1", 1, (1,)),
        (" [1, 2] \n", 1, ([1, 2],)),
        ("[1, 2], 3", 2, ([1, 2], 3)),
        ("([1, 2], 3)", 2, ([1, 2], 3)),
        ("1, 2,", 2, (1, 2)),
        ("(1, 2)", 1, ((1, 2),)),
        ("((1, 2))", 1, ((1, 2),)),
        ("()", 1, ((),)),
        ("(1,)", 1, ((1,),)),
        ("'#', 1", 2, ("#", 1)),
        ("'a' 'b'", 1, ("ab",)),
        ("set(), {1}", 2, (set(), {1})),
        ("-1, 1e309", 2, (-1, math.inf)),
        ("[\n1,\n2]", 1, ([1, 2],)),
        ("", 0, ()),
        ("()", 0, ()),
        ("1, 2", 1, None),
        ("1,", 1, None),
        ("(1), (2)", 1, None),
        ("(1, 2), (3, 4)", 1, None),
        ("(1, 2),", 1, None),
        ("1, 2, 3", 2, None),
        ("1", 2, None),
        ("1", 0, None),
        ("", 1, None),
        ("f(0); import os", 1, None),
        ("0); import os; (0", 1, None),
        ("1], [2", 1, None),
        ("1), (2", 2, None),
        ("1 # , 2", 1, None),
        ("[1, # hidden\n2]", 1, None),
        ("x=1", 1, None),
        ("1, x=2", 2, None),
        ("*[1, 2]", 2, None),
        ("*[1, 2], 3", 3, None),
        ("**{'a': 1}", 1, None),
        ("x", 1, None),
        ("print(1)", 1, None),
        ("__import__('os')", 1, None),
        ("[x for x in [1]]", 1, None),
        ("lambda: 1", 1, None),
        ("f'{1}'", 1, None),
        ("(x := 1)", 1, None),
        ("1\n2", 1, None),
        ("1;", 1, None),
        ("1 + 1", 1, None),
        ("...", 1, None),
        ("nan", 1, None),
        ("inf", 1, None),
        ("frozenset({1})", 1, None),
        ("[[1], {}", 1, None),
        ("{[1]: 2}", 1, None),
        ("'\\ud800'", 1, None),
        ("'\ud800'", 1, None),
        ("'a\x00'", 1, None),
        ("{**{1: 2}}", 1, None),
        ("1 if 1 else 2", 1, None),
        ("9" * 5000, 1, None),
        ("0x" + "f" * 5000, 1, None),
        ("1," * MAX_CHARS, 1, None),
        ("(" * 5000 + ")" * 5000, 1, None),
        ("-" * 10_000 + "1", 1, None),
        ("[" * 100 + "]" * 100, 1, None),
        ("1+" * 8000 + "1j", 1, None),
    ],
)
def test_arguments_of_one_call(text: str, arity: int, expected: tuple[Any, ...] | None) -> None:
    assert parse_arguments(text, arity) == expected


def test_nesting_limit_is_exact() -> None:
    for depth, plain in [(MAX_DEPTH, True), (MAX_DEPTH + 1, False)]:
        text = "[" * depth + "0" + "]" * depth
        assert parse_literal(text) == ((True, nest(depth)) if plain else (False, None))
        assert (render_literal(nest(depth)) == text) is plain


def test_length_limit_is_exact() -> None:
    assert parse_literal("'aa'", 4) == (True, "aa")
    assert parse_literal("'aa'", 3) == (False, None)


def test_integers_that_cannot_be_printed_have_no_literal() -> None:
    assert render_literal(10**4200) is not None
    assert render_literal([10**5000]) is None


def test_sets_render_the_same_in_every_process() -> None:
    code = (
        "from redqueen.sandbox import render_literal;"
        "print(render_literal([{'b', 'a', 'c', 'dd'}, {3, 1, 2}, set(), {('x',), ('y',)}]))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert texts == {"[{'a', 'b', 'c', 'dd'}, {1, 2, 3}, set(), {('x',), ('y',)}]\n"}


NAN = float("nan")


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (1, 1.0, True),
        (1, True, True),
        (0.0, -0.0, True),
        ([1, {"a": (2.0,)}], [True, {"a": (2,)}], True),
        ({1: "a"}, {True: "a"}, True),
        ({1: "a", 2: "b"}, {2: "b", 1: "a"}, True),
        ({1, 2}, {2.0, 1.0}, True),
        (10**400, 1e308, False),
        (math.inf, math.inf, True),
        ([1], (1,), False),
        ("1", 1, False),
        ("a", b"a", False),
        ("é", "e\u0301", False),
        ([1, 2], [1], False),
        ({1: 1}, {1: 1, 2: 2}, False),
        ({1: 1}, {2: 1}, False),
        (None, 0, False),
        (None, None, True),
        ({}, [], False),
        (set(), {}, False),
        (NAN, NAN, False),
        ([NAN], [NAN], False),
        (((1, NAN),), ((1, NAN),), False),
        ({"a": NAN}, {"a": NAN}, False),
        ({NAN}, {NAN}, False),
        ({(1, NAN)}, {(1, NAN)}, False),
        ({NAN: 1}, {NAN: 1}, False),
        ({(NAN,): 1}, {(NAN,): 1}, False),
        (complex(0, NAN), complex(0, NAN), False),
        (object, object, False),
    ],
)
def test_equality_of_literals(left: object, right: object, equal: bool) -> None:
    assert literals_equal(left, right) is equal
    assert literals_equal(right, left) is equal
    assert literals_equal([left], [right]) is equal


def test_equality_survives_deep_shared_and_cyclic_structures() -> None:
    assert literals_equal(nest(100_000), nest(100_000))
    wide_left: list[Any] = [0]
    wide_right: list[Any] = [0]
    cycle_left: list[Any] = []
    cycle_left.append(cycle_left)
    cycle_right: list[Any] = []
    cycle_right.append(cycle_right)
    for _ in range(60):
        wide_left, wide_right = [wide_left, wide_left], [wide_right, wide_right]
    assert literals_equal(wide_left, wide_right)
    assert literals_equal(cycle_left, cycle_right)
    assert not literals_equal(cycle_left, [[1]])
