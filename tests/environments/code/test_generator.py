"""Generated programs, against CPython."""

import ast
import hashlib
from itertools import pairwise
from random import Random
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redqueen.environments.code.analysis import Parsed, parse_program
from redqueen.environments.code.generator import (
    BANDS,
    BEYOND,
    OPERATIONS,
    generate_program,
    more_inputs,
    random_value,
)
from redqueen.environments.code.program import (
    MAX_EVENTS,
    Assign,
    For,
    GenerationError,
    Program,
    While,
    execute,
    in_range,
    most_events,
)
from tests.code_cases import cpython

SEEDS = st.integers(0, 2**32)
bands = st.sampled_from(BANDS + BEYOND)


@settings(max_examples=300, deadline=None)
@given(bands, SEEDS)
def test_programs_do_what_cpython_does(band: int, seed: int) -> None:
    program, args = generate_program(band, Random(seed))
    assert ast.unparse(ast.parse(program.source)) == program.source
    parsed = parse_program(program.source, 1200)
    assert isinstance(parsed, Parsed)
    assert parsed.arity == len(program.parameters) == len(args)
    value, events = execute(program, args)
    assert repr(value) == repr(cpython(program.source, args))
    assert len(events) <= most_events(band)
    assert band in BEYOND or most_events(band) == MAX_EVENTS
    assert all(in_range(event.value) for event in events if event.kind == "assign")
    assert in_range(value)
    assert program.band == band
    assert program.result not in program.parameters


@settings(max_examples=150, deadline=None)
@given(bands, SEEDS)
def test_every_step_is_a_true_equation(band: int, seed: int) -> None:
    program, args = generate_program(band, Random(seed))
    _, events = execute(program, args)
    names = dict(zip(program.parameters, args, strict=True))
    for event in events:
        if event.kind == "for":
            assert event.shown == repr(event.value)
            if event.value:
                names[event.target] = event.value[0]
            continue
        by_name = eval(event.source, dict(names))
        by_value = eval(event.shown)
        assert by_name == by_value == event.value
        if event.kind == "assign":
            names[event.target] = event.value


@settings(max_examples=50, deadline=None)
@given(bands, SEEDS)
def test_same_seed_same_program(band: int, seed: int) -> None:
    assert generate_program(band, Random(seed)) == generate_program(band, Random(seed))


@settings(max_examples=80, deadline=None)
@given(st.sampled_from((1, 2, 3)), SEEDS, st.integers(2, 8))
def test_more_inputs(band: int, seed: int, count: int) -> None:
    rng = Random(seed)
    program, _ = generate_program(band, rng)
    try:
        found = more_inputs(program, count, rng)
    except GenerationError:
        return
    assert len({repr(args) for args, _ in found}) == len(found) == count
    assert len({repr(value) for _, value in found}) > 1
    for args, value in found:
        assert repr(cpython(program.source, args)) == repr(value)


def test_more_inputs_mostly_succeeds() -> None:
    rng, failed = Random(1), 0
    for _ in range(100):
        program, _ = generate_program(2, rng)
        try:
            more_inputs(program, 6, rng)
        except GenerationError:
            failed += 1
    assert failed < 40


def test_more_inputs_names_its_failures() -> None:
    constant = Assign("g", "len({a})", ("a",), "len")
    of_tuple = Program(1, ("a",), ("tuple",), (constant,), "g", ("len",))
    with pytest.raises(GenerationError, match="constant"):
        more_inputs(of_tuple, 4, Random(0))
    of_bool = Program(1, ("a",), ("bool",), (constant,), "g", ("len",))
    with pytest.raises(GenerationError, match="too few inputs"):
        more_inputs(of_bool, 4, Random(0))


def _sample(band: int, count: int = 150) -> list[tuple[int, int, bool]]:
    rng = Random(band)
    found = []
    for _ in range(count):
        program, args = generate_program(band, rng)
        events = execute(program, args)[1]
        loops = any(isinstance(item, For | While) for item in program.body)
        found.append((len(events), len(program.source.splitlines()), loops))
    return found


def test_the_dial_makes_programs_harder() -> None:
    dial = BANDS + BEYOND
    samples = {band: _sample(band) for band in dial}
    steps = [mean(events for events, _, _ in samples[band]) for band in dial]
    lines = [mean(length for _, length, _ in samples[band]) for band in dial]
    loops = [mean(loop for _, _, loop in samples[band]) for band in dial]
    assert all(low + 0.5 < high for low, high in pairwise(steps)), steps
    assert all(low + 0.5 < high for low, high in pairwise(lines)), lines
    assert loops[:3] == [0, 0, 0]
    assert 0.5 < loops[3] < loops[4]


@pytest.mark.parametrize("band", [0, 8, -1])
def test_unknown_bands(band: int) -> None:
    with pytest.raises(ValueError, match="band must be one of"):
        generate_program(band, Random(0))


def test_the_first_five_bands_are_what_they_were() -> None:
    """The seedling, archives and the held-out suite are made of them."""
    digest = hashlib.blake2b(digest_size=16)
    for band in BANDS:
        for seed in range(60):
            program, args = generate_program(band, Random(seed))
            digest.update(repr((program.source, program.message, args)).encode())
    assert digest.hexdigest() == "ec77002145d2142fb88815cc3e55f200"


def test_beyond_has_what_no_lower_band_has() -> None:
    """An if inside an if, a loop with an else, composed expressions: each within 40 programs."""
    for band in BEYOND:
        texts = [generate_program(band, Random(seed))[0].source for seed in range(40)]
        for mark in ("\n        if ", "\n        else:", "sorted(", "[::-1]\n"):
            assert any(mark in text for text in texts), mark
        bodies = [ast.parse(text).body[0] for text in texts]
        ifs = [node for body in bodies for node in ast.walk(body) if isinstance(node, ast.If)]
        assert any(isinstance(node.body[0], ast.If) and node.body[0].orelse for node in ifs)


def test_unknown_types() -> None:
    with pytest.raises(ValueError, match="unknown type 'set'"):
        random_value("set", Random(0))


@pytest.mark.parametrize("kind", ["int", "list", "str", "bool", "tuple", "dict"])
def test_random_values_are_small_and_of_their_type(kind: str) -> None:
    rng = Random(0)
    values = [random_value(kind, rng) for _ in range(50)]
    assert {type(value).__name__ for value in values} == {kind}
    assert all(in_range(value) for value in values)
    assert len({repr(value) for value in values}) > 1


@pytest.mark.parametrize(
    ("value", "small"),
    [
        (99, True), (100, False), (-99, True), (-100, False), (True, True),
        ("a" * 8, True), ("a" * 9, False), ([1] * 6, True), ([1] * 7, False), ([100], False),
        ((1, 100), False), ({"a": 100}, False), ({"a": 1}, True), ([["a" * 9]], False),
    ],
)  # fmt: skip
def test_in_range(value: object, small: bool) -> None:
    assert in_range(value) is small


def test_runs_that_lead_nowhere_are_named() -> None:
    def program(template: str, *types: str) -> Program:
        names = tuple("ab"[: len(types)])
        return Program(1, names, types, (Assign("g", template, names, "x"),), "g", ("x",))

    with pytest.raises(GenerationError, match="out of range"):
        execute(program("{a} * 20", "int"), (9,))
    with pytest.raises(GenerationError, match="index out of range"):
        execute(program("{a}[5]", "list"), ([1],))
    endless = While("{a} > 0", ("a",), (Assign("g", "{a}", ("a",), "x"),))
    with pytest.raises(GenerationError, match="too long"):
        execute(Program(1, ("a",), ("int",), (endless,), "g", ()), (1,))


def test_every_operation_is_drawn() -> None:
    rng, seen = Random(0), set()
    for index in range(1500):
        seen.update(generate_program(1 + index % 5, rng)[0].operations)
    names = {name for item in seen for name in item.removeprefix("if, ").split(", ")}
    assert names >= {name for op in OPERATIONS for name in op.name.split(", ")} | {"loop", "while"}
