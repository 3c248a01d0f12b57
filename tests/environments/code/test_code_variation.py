"""Variants of programs: one statement apart, by the generator alone, and valid when taken."""

import ast
from collections import Counter

import numpy as np

from redqueen.environments.base import Varies
from redqueen.environments.code.environment import CodeEnvironment
from redqueen.environments.code.variation import vary_program
from redqueen.sandbox import parse_literal

PROGRAM = """\
def f(a, b):
    c = a + b
    if c > 3:
        c = c - 1
        b = c * 2
    for i in range(b):
        a = a + i
    return a - c"""
DONOR = "def f(x):\n    y = max(x, 4)\n    return y"


def statements(program: str) -> list[str]:
    """Every statement with all that it holds, in order."""
    return [ast.unparse(n) for n in ast.walk(ast.parse(program)) if isinstance(n, ast.stmt)]


def variants(count: int = 300) -> list[str]:
    rng = np.random.default_rng(3)
    made = [vary_program(PROGRAM, [DONOR], rng) for _ in range(count)]
    return [item for item in made if item is not None]


def test_a_variant_is_one_statement_away() -> None:
    sizes = Counter()
    simple = Counter(s for s in statements(PROGRAM) if "\n" not in s)
    for variant in variants():
        assert ast.unparse(ast.parse(variant)) == variant
        now = Counter(s for s in statements(variant) if "\n" not in s)
        more, less = (now - simple).total(), (simple - now).total()
        # A loop or branch goes with what it holds.
        assert (more, less > 0) in {(1, False), (0, True), (0, False)}
        sizes["added" if more else "removed" if less else "swapped"] += 1
        assert variant.splitlines()[-1] == "    return a - c"
    assert min(sizes[name] for name in ("added", "removed", "swapped")) > 60


def test_added_statements_speak_of_the_programs_own_names() -> None:
    for variant in variants():
        assert {n.id for n in ast.walk(ast.parse(variant)) if isinstance(n, ast.Name)} <= {
            "a", "b", "c", "i", "range", "max",
        }  # fmt: skip


def test_the_generator_alone_decides() -> None:
    assert variants() == variants()


def test_a_program_without_room_has_no_variant() -> None:
    rng = np.random.default_rng(0)
    assert {vary_program("def f(a):\n    return a", [], rng) for _ in range(30)} == {None}


def test_a_varied_task_is_valid_and_new(environment: CodeEnvironment) -> None:
    assert isinstance(environment, Varies)
    rng, made = np.random.default_rng(2), []
    archived = environment.sources["seed"].tasks(12, 1)
    for task in archived:
        variant = environment.vary(task, archived[:3], rng)
        if variant is None:
            continue
        made.append(variant)
        payload = variant.payload
        assert variant.kind == "code_o"
        assert payload["program"] != task.payload["program"]
        space: dict[str, object] = {}
        exec(payload["program"], space)  # trusted: the generator's own statements
        readable, output = parse_literal(payload["output"])
        assert readable
        assert eval(f"f({payload['input']})", space) == output
    assert len(made) > len(archived) / 2
