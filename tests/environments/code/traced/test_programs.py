"""Programs of the dial: within their band, varied, and the same in the sandbox as in the trace."""

import ast
from collections import Counter
from random import Random

import pytest

from redqueen.environments.code.analysis import parse_program
from redqueen.environments.code.language import GenerationError
from redqueen.environments.code.traced import (
    BANDS,
    BEYOND,
    Program,
    constructs,
    draw_program,
    more_inputs,
)
from redqueen.environments.code.traced.expressions import Scope
from redqueen.environments.code.traced.messages import blurred_message, full_message
from redqueen.environments.code.traced.programs import (
    DIALS,
    EXPRESSION,
    copied,
    draw_helper,
    without_idle_statements,
)
from redqueen.environments.code.traced.trace import trace_call
from redqueen.environments.code.traced.trace_lines import TraceError
from redqueen.environments.code.traced.values import KEYS, TYPES, random_name, random_value
from redqueen.sandbox import Call, Outcome, OutcomeKind, Sandbox, render_literal


@pytest.fixture(scope="module")
def programs() -> list[Program]:
    rng = Random(21)
    counts = {band: 30 if band < 4 else 6 if band in BANDS else 2 for band in (*BANDS, *BEYOND)}
    return [draw_program(band, rng) for band, count in counts.items() for _ in range(count)]


@pytest.mark.slow
def test_programs_keep_to_their_band(programs: list[Program]) -> None:
    for item in programs:
        low, high = DIALS[item.band].steps
        assert low <= len(item.trace.lines) <= high
        assert len(item.trace.text) <= DIALS[item.band].chars


@pytest.mark.slow
def test_programs_pass_the_policy_in_canonical_text(programs: list[Program]) -> None:
    for item in programs:
        parsed = parse_program(item.source, 2000)
        assert not isinstance(parsed, str), item.source
        assert parsed.source == item.source
        assert parsed.arity == len(item.types)


def test_the_sandbox_agrees(programs: list[Program], sandbox: Sandbox) -> None:
    outcomes = sandbox.run([Call(item.source, "f", item.args) for item in programs])
    for item, outcome in zip(programs, outcomes, strict=True):
        expected = Outcome(OutcomeKind.VALUE, render_literal(item.trace.value))
        assert (outcome.kind, outcome.text) == (expected.kind, expected.text), item.source


def test_the_same_seed_gives_the_same_program() -> None:
    assert draw_program(3, Random(5)) == draw_program(3, Random(5))


PYTHON = {"int": int, "bool": bool, "str": str, "ints": list, "strs": list, "pair": tuple,
          "table": dict}  # fmt: skip


@pytest.mark.parametrize("kind", PYTHON)
def test_values_have_the_type_that_is_asked_for(kind: str) -> None:
    rng = Random(4)
    for band in (EXPRESSION, 1, 2):
        for _ in range(6):
            value = draw_program(band, rng, results=(kind,)).trace.value
            assert type(value) is PYTHON[kind]


def test_the_lowest_band_returns_one_expression() -> None:
    rng = Random(2)
    for _ in range(60):
        item = draw_program(EXPRESSION, rng)
        body = ast.parse(item.source).body[-1].body  # type: ignore[attr-defined]
        assert [type(node) for node in body] == [ast.Return]
        assert not isinstance(body[0].value, ast.Name)


def test_helpers_return_the_type_that_the_program_takes_them_for() -> None:
    """Else a list gets another list for a number, at worst itself, and has no literal."""
    rng, seen = Random(7), 0
    while seen < 300:
        scope = Scope({})
        source = draw_helper(scope, rng)
        (name, (types, result)), *_ = scope.helpers.items()
        args = [random_value(kind, rng) for kind in types]
        try:
            value = trace_call(source.replace(f"def {name}(", "def f("), args).value
        except TraceError:
            continue
        assert type(value) is PYTHON[result], source
        assert render_literal(value) is not None
        seen += 1


@pytest.mark.slow
def test_the_grammar_is_spanned() -> None:
    rng = Random(8)
    seen: Counter[str] = Counter()
    for _ in range(400):
        seen.update(constructs(draw_program(3, rng).source))
    rare = {"while", "for_range", "for_each", "enumerate", "items", "if", "else", "elif", "helper",
            "comprehension", "boolop", "ternary", "slice", "setitem", "swap", "pair", "table",
            "augment", "break", "append", "sorted", "early_return", "str_method"}  # fmt: skip
    assert not {name for name in rare if seen[name] < 2}


def test_more_inputs(programs: list[Program]) -> None:
    made = 0
    for item in programs[:40]:
        try:
            runs = more_inputs(item, 4, Random(1), tries=40)
        except GenerationError:  # a program of few inputs, such as f(flag: bool)
            continue
        made += 1
        assert runs[0] == (item.args, item.trace.value)
        assert len({repr(args) for args, _ in runs}) == 4
        assert len({repr(value) for _, value in runs}) > 1
    assert made > 30


def test_idle_statements_are_taken_out() -> None:
    source = (
        "def f(a):\n    b = a + 1\n    a += 2\n    for x in range(3):\n        b = x\n    return a"
    )
    assert without_idle_statements(source, [[1], [2]]) == "def f(a):\n    a += 2\n    return a"


def test_copies_of_arguments_are_their_own() -> None:
    args = ([1], {"a": 1}, "x")
    copies = copied(args)
    copies[0].append(2)
    copies[1].clear()
    assert args == ([1], {"a": 1}, "x")


@pytest.mark.parametrize("kind", TYPES)
def test_values_are_literals_of_their_type(kind: str) -> None:
    rng = Random(2)
    values = [random_value(kind, rng) for _ in range(200)]
    assert all(ast.literal_eval(repr(value)) == value for value in values)
    python = {"ints": list, "strs": list, "pair": tuple, "table": dict, "int": int, "bool": bool,
              "str": str}[kind]  # fmt: skip
    assert {type(value) for value in values} == {python}
    if kind == "table":
        assert {key for value in values for key in value} == set(KEYS)


def test_names_are_new_identifiers() -> None:
    rng, names = Random(0), set[str]()
    for _ in range(300):
        names.add(random_name(rng, frozenset(names)))
    assert len(names) == 300
    assert all(name.isidentifier() for name in names)
    assert not names & {"f", "len", "if", "in"}


def test_messages_name_the_operations_in_order() -> None:
    source = (
        "def g(u):\n    return u + 1\n\ndef f(a, n):\n    for x in a[1:]:\n"
        "        if x > n and len(a) != 2:\n            n -= g(x)\n    return [n, n % 2]"
    )
    assert full_message(source) == "+ for [:] if and > len != -= def %"
    assert set(blurred_message(source, Random(1)).split()) <= set(full_message(source).split())
    assert full_message("def f(a):\n    return a") == "none"
