"""Small functions as people write them, with nothing of the generator: a suite and seed tasks.

`exercises/` (the suite) and `seeds/` (for chat models) hold one Python file for each theme. They
are data: parsed with `ast`, never imported and never run by us. A function's docstring has a
sentence on what it does and several calls with their values in doctest's form. The values are
stored, not computed when tasks are made: a reader sees what is asked, `python -m doctest` checks a
file, building needs no sandbox, and a suite cannot change under another interpreter. The tests
compare every value with CPython and with the sandbox.
"""

import ast
import doctest
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from random import Random
from typing import TYPE_CHECKING

from redqueen.environments.code.normal_form import normal_form
from redqueen.environments.code.tasks import written_task
from redqueen.environments.code.texts import arguments_text, fit_results, value_text
from redqueen.rng import derive_seed
from redqueen.sandbox import parse_module
from redqueen.types import Task

if TYPE_CHECKING:
    from redqueen.environments.code.config import Code

_CASES = {"code_o": (0, 2, 4), "code_i": (1, 3)}
"""Which of a function's calls become tasks of a kind; `code_f` has one task of all of them."""
_OTHER_CASES = (1, 3, 5)
"""Those of `code_i` with the guard `echo`: the first two that their output does not solve."""


@dataclass(frozen=True, slots=True)
class Exercise:
    """One function: `program` is its text with `f` for its name, in `ast.unparse`'s layout."""

    name: str
    theme: str
    program: str
    message: str
    cases: tuple[tuple[str, str], ...]
    """Arguments and value of each call, as canonical literals."""
    echoes: frozenset[int] = frozenset()
    """Places of the calls whose value, put in for every argument, gives itself."""


class _Renamed(ast.NodeTransformer):
    """Gives a function the name `f`, and on demand every name of its own one letter."""

    def __init__(self, function: ast.FunctionDef, letters: bool):
        self.names = {function.name: "f"}
        if letters:
            self._letters(function)

    def _letters(self, function: ast.FunctionDef) -> None:
        self.spare = {"arg": iter("abcde"), "item": iter("vwxyz"), "local": iter("ghijklmnopqrstu")}
        for arg in function.args.args:
            self._name(arg.arg, "arg")
        for node in ast.walk(function):
            if isinstance(node, ast.comprehension | ast.Lambda):
                inner = node.target if isinstance(node, ast.comprehension) else node.args
                for name in ast.walk(inner):
                    if isinstance(name, ast.Name | ast.arg):
                        self._name(name.id if isinstance(name, ast.Name) else name.arg, "item")
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self._name(node.id, "local")

    def _name(self, name: str, kind: str) -> None:
        if name not in self.names:
            self.names[name] = next(self.spare[kind])

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """The function itself."""
        node.name = self.names[node.name]
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """A variable, or a recursive call."""
        return ast.Name(self.names.get(node.id, node.id), node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        """A parameter."""
        return ast.arg(self.names.get(node.arg, node.arg))


def _case(example: doctest.Example) -> tuple[str, str]:
    call = ast.parse(example.source.strip(), mode="eval").body
    if not isinstance(call, ast.Call) or call.keywords:
        raise ValueError(f"{example.source!r} is not a plain call")
    args = [ast.literal_eval(item) for item in call.args]
    return arguments_text(args), value_text(ast.literal_eval(example.want.strip()))


def read_exercises(text: str, theme: str, letters: bool = True) -> list[Exercise]:
    """Return the functions of one file, in order; `letters`: their variables have one letter each.

    Raises:
        SyntaxError, ValueError: `text` is not Python, or an example is not a call of literals.
    """
    read = []
    parser = doctest.DocTestParser()
    for node in ast.parse(text).body:
        if not isinstance(node, ast.FunctionDef):
            continue
        notes = ast.get_docstring(node) or ""
        name, node.body = node.name, node.body[1:]
        program = ast.unparse(ast.fix_missing_locations(_Renamed(node, letters).visit(node)))
        summary = notes.partition("\n")[0].rstrip(".")
        message = summary[:1].lower() + summary[1:]
        cases = tuple(_case(example) for example in parser.get_examples(notes))
        read.append(Exercise(name, theme, program, message, cases))
    return read


@cache
def exercises() -> tuple[Exercise, ...]:
    """Return all functions of the suite, by theme and in the order of the files."""
    return read_folder("exercises", letters=True)


@cache
def seed_functions() -> tuple[Exercise, ...]:
    """Return all functions that seed tasks are made of; they keep the names of their variables."""
    return read_folder("seeds", letters=False)


def read_folder(name: str, letters: bool) -> tuple[Exercise, ...]:
    """Return the functions of all files of a folder, in order; see `read_exercises`."""
    folder = files("redqueen.environments.code").joinpath(name)
    paths = sorted((p for p in folder.iterdir() if p.name.endswith(".py")), key=lambda p: p.name)
    echoes = json.loads(folder.joinpath("echoes.json").read_text(encoding="utf-8"))
    return tuple(
        replace(item, echoes=frozenset(echoes.get(item.name, ())))
        for path in paths
        for item in read_exercises(
            path.read_text(encoding="utf-8"), path.name.removesuffix(".py"), letters
        )
    )


Functions = Callable[[], Sequence[Exercise]]


class Handwritten:
    """Functions as a source of tasks; see `redqueen.environments.base.KeyedSource`."""

    def __init__(self, environment: str, config: "Code", functions: Functions = exercises) -> None:
        self._environment, self._config, self._functions = environment, config, functions

    def tasks(self, count: int, seed: int) -> list[Task]:
        """Return the first `count` tasks of the suite (all of them if there are fewer).

        Functions come in an order drawn from `seed`. Each gives one task of every kind before the
        second round of `code_o` and `code_i` begins, so that a part of the suite has as many
        functions as it can.
        """
        order = list(self._functions())
        Random(derive_seed(seed, "handwritten")).shuffle(order)
        made: list[tuple[int, Task]] = []
        for item in order:
            for kind in self._config.kinds:
                made += enumerate(self._tasks_of(item, kind))
        made.sort(key=lambda pair: pair[0])
        return [task for _, task in made][:count]

    def _tasks_of(self, item: Exercise, kind: str) -> list[Task]:
        """Return the tasks of one kind, at most three."""
        if kind == "code_f":
            groups = [item.cases[: self._config.code_f_inputs]]
        else:
            places: Sequence[int] = _CASES[kind]
            if kind == "code_i" and "echo" in self._config.guards:
                places = [place for place in _OTHER_CASES if place not in item.echoes][:2]
            groups = [item.cases[place : place + 1] for place in places]
        return [
            written_task(self._environment, kind, item.program, cases, item.message)
            for cases in groups
            if fit_results((value for _, value in cases), self._config.results)
        ]

    def key(self, task: Task) -> str | None:
        """Return the normal form of the program, whatever the task's kind and input."""
        program = task.payload.get("program")
        return None if program is None else normal_form(parse_module(program))

    def keys(self, count: int, seed: int) -> frozenset[str]:
        """Return the keys of all functions: a teacher may hit on any under other names."""
        return frozenset(normal_form(ast.parse(item.program)) for item in self._functions())
