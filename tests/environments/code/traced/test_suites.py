"""The graded suites: each has what it says, with values that CPython gives too."""

import ast
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from recipes.seedling2.suites import CELLS, items
from redqueen.environments.base import Services
from redqueen.environments.code.config import Code
from redqueen.environments.code.echo import find_echoes
from redqueen.environments.code.environment import CodeEnvironment
from redqueen.environments.code.reading import parameters_of
from redqueen.environments.code.traced import BANDS, held_out_pairs
from redqueen.environments.code.traced.language import traced_functions
from redqueen.environments.code.traced.stored import Stored, read_suite
from redqueen.errors import ConfigError
from redqueen.sandbox import Sandbox
from redqueen.sandbox.differences import difference


def no_sandbox() -> Sandbox:
    raise AssertionError("the values are those of the runs, so that making tasks runs nothing")


@pytest.fixture(scope="module")
def code() -> CodeEnvironment:
    return Code().build(Services(no_sandbox, "seedling2"))


@pytest.mark.parametrize("suite", CELLS)
def test_a_stored_suite_is_what_the_recipe_draws(sandbox: Sandbox, suite: str) -> None:
    there = read_suite(suite)
    assert len(there) == sum(cell.count for cell in CELLS[suite])
    place = 0
    for cell in CELLS[suite]:
        few = replace(cell, count=1)
        assert list(items(suite, few, sandbox)) == [there[place]]
        place += cell.count


@pytest.mark.parametrize("suite", ["held-out", "middle"])
def test_no_input_is_found_by_repeating_the_output(sandbox: Sandbox, suite: str) -> None:
    asked = [
        (item.program, item.cases[0][1], len(parameters_of(item.program)))
        for item in read_suite(suite)
        if item.kind == "code_i"
    ]
    assert not any(find_echoes(sandbox, asked))


@pytest.mark.parametrize("suite", ["held-out-bool", "middle-bool"])
def test_predicates_are_as_often_true_as_false(suite: str) -> None:
    counts = Counter((item.band, item.cases[0][1]) for item in read_suite(suite))
    for (band, value), count in counts.items():
        assert value in ("True", "False")
        assert counts[band, "True"] == counts[band, "False"] == count


def test_a_run_on_predicates_has_suites_of_them(code: CodeEnvironment) -> None:
    config = Code(kinds=("code_o",), results=("bool",))
    sources = config.build(Services(no_sandbox, "seedling2")).sources
    for name, least in (("held-out", 400), ("middle", 400), ("far", 50)):
        outputs = Counter(task.payload["output"] for task in sources[name].tasks(1000, 5))
        assert set(outputs) == {"True", "False"}
        assert sum(outputs.values()) >= least
    assert {task.payload["output"] for task in sources["seed"].tasks(40, 5)} <= {"True", "False"}
    both = Code(kinds=("code_o",), results=("bool", "dict"))
    few = both.build(Services(no_sandbox, "seedling2")).sources["held-out"].tasks(1000, 5)
    assert {type(ast.literal_eval(task.payload["output"])) for task in few} == {bool, dict}


def test_a_suite_without_such_tasks_says_so() -> None:
    source = Stored("code", Code(kinds=("code_i",), results=("bool",)), "held-out")
    with pytest.raises(ConfigError, match=r"held-out has no task .*code_i.* with .*bool"):
        source.tasks(10, 0)


@pytest.mark.parametrize("suite", CELLS)
def test_values_are_those_of_cpython(suite: str) -> None:
    for item in read_suite(suite)[::7]:
        space: dict[str, Any] = {}
        exec(item.program, space)  # text of the repository
        for args, output in item.cases:
            assert repr(space["f"](*ast.literal_eval(f"({args},)"))) == output


@pytest.mark.parametrize("suite", CELLS)
def test_every_sandbox_can_judge_them(suite: str) -> None:
    assert {difference(item.program, ()) for item in read_suite(suite)[::4]} == {None}


def test_held_out_is_the_grammar() -> None:
    items = read_suite("held-out")
    assert {item.band for item in items} == set(BANDS)
    assert not any(held_out_pairs(item.program) for item in items)


def test_middle_has_unseen_pairs_or_unseen_lengths() -> None:
    for item in read_suite("middle"):
        assert (item.band > max(BANDS)) is not bool(held_out_pairs(item.program))


def test_kinds_and_bands_take_turns_in_an_order_of_the_seed(code: CodeEnvironment) -> None:
    source = code.sources["held-out"]
    tasks = source.tasks(48, 5)
    counts = Counter((task.kind, task.features["band"]) for task in tasks)
    assert set(counts.values()) == {4}
    assert len(counts) == 12
    assert source.tasks(20, 5) == tasks[:20]
    assert source.tasks(48, 6) != tasks
    assert {source.key(task) for task in tasks} == source.keys(48, 5)
    assert len(source.keys(10_000, 5)) == len(read_suite("held-out"))


def test_only_the_kinds_of_the_config() -> None:
    source = Stored("code", Code(kinds=("code_f",), code_f_inputs=4), "held-out")
    tasks = source.tasks(10, 0)
    assert {task.kind for task in tasks} == {"code_f"}
    for task in tasks:
        cases = task.payload["examples"] + task.payload["hidden"]
        assert len(cases) == 4
        assert len({output for _, output in cases}) > 1


def test_far_keeps_names_and_values(code: CodeEnvironment) -> None:
    functions = traced_functions()
    assert len(functions) > 180
    for item in functions:
        space: dict[str, Any] = {}
        exec(item.program, space)  # text of the repository
        for args, output in item.cases:
            assert repr(space["f"](*ast.literal_eval(f"({args},)"))) == output
    assert sum("numbers" in item.program for item in functions) > 5
    tasks = code.sources["far"].tasks(30, 5)
    assert len({task.payload["program"] for task in tasks}) >= 10
