"""The hand-written suite: small functions as people write them, with nothing of the generator.

`exercises/` holds one Python file for each theme. They are data: parsed with `ast`, never
imported and never run by us. A function's docstring has a sentence on what it does and several
calls with their values in doctest's form. The values are stored, not computed when a suite is
built: a reader sees what is asked, `python -m doctest` checks a file, building needs no sandbox,
and a suite cannot change under another interpreter. The tests compare every value with CPython
and with the sandbox.
"""

import ast
import doctest
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from random import Random

from redqueen.environments.base import Domain
from redqueen.environments.code.environment import CodeDomain, arguments_text, value_text
from redqueen.errors import ConfigError
from redqueen.rng import derive_seed
from redqueen.types import Task

_CASES = {"code_o": (0, 2, 4), "code_i": (1, 3)}
"""Which of a function's calls become tasks of a kind; `code_f` has one task of all of them."""


@dataclass(frozen=True, slots=True)
class Exercise:
    """One function: `program` is its text with `f` for its name, in `ast.unparse`'s layout."""

    name: str
    theme: str
    program: str
    message: str
    cases: tuple[tuple[str, str], ...]
    """Arguments and value of each call, as canonical literals."""


class _Letters(ast.NodeTransformer):
    """Gives every name of a function's own one letter, and the function itself the name `f`."""

    def __init__(self, function: ast.FunctionDef):
        self.names = {function.name: "f"}
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
        return ast.arg(self.names[node.arg])


def _case(example: doctest.Example) -> tuple[str, str]:
    call = ast.parse(example.source.strip(), mode="eval").body
    if not isinstance(call, ast.Call) or call.keywords:
        raise ValueError(f"{example.source!r} is not a plain call")
    args = [ast.literal_eval(item) for item in call.args]
    return arguments_text(args), value_text(ast.literal_eval(example.want.strip()))


def read_exercises(text: str, theme: str) -> list[Exercise]:
    """The functions of one file, in order.

    Raises:
        SyntaxError, ValueError: `text` is not Python, or an example is not a call of literals.
    """
    found = []
    parser = doctest.DocTestParser()
    for node in ast.parse(text).body:
        if not isinstance(node, ast.FunctionDef):
            continue
        notes = ast.get_docstring(node) or ""
        name, node.body = node.name, node.body[1:]
        program = ast.unparse(ast.fix_missing_locations(_Letters(node).visit(node)))
        summary = notes.partition("\n")[0].rstrip(".")
        message = summary[:1].lower() + summary[1:]
        cases = tuple(_case(example) for example in parser.get_examples(notes))
        found.append(Exercise(name, theme, program, message, cases))
    return found


@cache
def exercises() -> tuple[Exercise, ...]:
    """All functions, by theme and in the order of the files."""
    folder = files("redqueen.environments.code").joinpath("exercises")
    paths = sorted((p for p in folder.iterdir() if p.name.endswith(".py")), key=lambda p: p.name)
    return tuple(
        item
        for path in paths
        for item in read_exercises(path.read_text(encoding="utf-8"), path.name.removesuffix(".py"))
    )


def _tasks_of(domain: CodeDomain, item: Exercise, kind: str) -> list[Task]:
    """The tasks of one kind, at most three."""
    groups: Sequence[Sequence[tuple[str, str]]]
    if kind == "code_f":
        groups = [item.cases[: domain.config.code_f_inputs]]
    else:
        groups = [item.cases[i : i + 1] for i in _CASES[kind]]
    return [domain.written_task(kind, item.program, cases, item.message) for cases in groups]


def handwritten_tasks(domain: Domain, count: int, seed: int) -> list[Task]:
    """The first `count` tasks of the suite (all of them if there are fewer).

    Functions come in an order drawn from `seed`; each gives one task of every kind before the
    second round of `code_o` and `code_i` begins, so a larger suite begins with the smaller one
    and a part of the suite has as many functions as it can.

    Raises:
        ConfigError: the domain is not that of code.
    """
    if not isinstance(domain, CodeDomain):
        raise ConfigError(
            f"the handwritten suite is made of code; the domain {domain.name!r} has other tasks"
        )
    order = list(exercises())
    Random(derive_seed(seed, "handwritten")).shuffle(order)
    made: list[tuple[int, Task]] = []
    for item in order:
        for kind in domain.kinds:
            made += enumerate(_tasks_of(domain, item, kind))
    made.sort(key=lambda pair: pair[0])
    return [task for _, task in made][:count]
