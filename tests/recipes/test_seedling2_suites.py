"""The graded suites: each has what it says, with values that CPython gives too."""

import ast
from itertools import islice
from typing import Any

import pytest

from recipes.seedling2.suites import SOURCES, handwritten
from redqueen.environments.base import Services
from redqueen.environments.code.config import Code
from redqueen.environments.code.environment import CodeEnvironment
from redqueen.environments.code.traced import BANDS, held_out_pairs
from redqueen.sandbox import Sandbox
from redqueen.types import Task


def no_sandbox() -> Sandbox:
    raise AssertionError("the values are those of the runs, so that making tasks runs nothing")


@pytest.fixture(scope="module")
def code() -> CodeEnvironment:
    return Code().build(Services(no_sandbox, "seedling2"))


def first(code: CodeEnvironment, suite: str, kind: str, count: int) -> list[Task]:
    return list(islice(SOURCES[suite](code, kind, 5), count))


@pytest.mark.parametrize("kind", ["code_o", "code_i", "code_f"])
def test_near_is_the_grammar(code: CodeEnvironment, kind: str) -> None:
    tasks = first(code, "near", kind, 10)
    assert {task.features["band"] for task in tasks} <= set(BANDS)
    assert not any(held_out_pairs(task.payload["program"]) for task in tasks)
    assert [task.id for task in tasks] == [task.id for task in first(code, "near", kind, 10)]


def test_middle_has_unseen_pairs_and_unseen_lengths(code: CodeEnvironment) -> None:
    tasks = first(code, "middle", "code_o", 6)
    assert all(held_out_pairs(task.payload["program"]) for task in tasks[::2])
    assert {task.features["band"] for task in tasks[1::2]} == {6.0, 7.0}
    pairs = first(code, "middle", "code_f", 4)
    assert all(held_out_pairs(task.payload["program"]) for task in pairs)


def test_far_keeps_names_and_values(code: CodeEnvironment) -> None:
    items = handwritten()
    assert len(items) > 180
    for item in items:
        space: dict[str, Any] = {}
        exec(item.program, space)  # text of the repository
        for args, output in item.cases:
            assert repr(space["f"](*ast.literal_eval(f"({args},)"))) == output
    assert sum("numbers" in item.program for item in items) > 5
    tasks = first(code, "far", "code_o", 30)
    assert len({task.payload["program"] for task in tasks}) == 30
    assert len(list(SOURCES["far"](code, "code_f", 5))) == len(items)
