"""A program with one statement added, removed or swapped: small steps away from the archive."""

import ast
import builtins
import copy
from collections.abc import Callable, Iterator, Sequence

import numpy as np

Body = list[ast.stmt]


def _bodies(tree: ast.Module) -> list[Body]:
    """Return all lists of statements inside functions, outermost first."""
    return [
        body
        for node in ast.walk(tree)
        for name in ("body", "orelse")
        if not isinstance(node, ast.Module) and isinstance(body := getattr(node, name, None), list)
    ]


def _movable(body: Body) -> list[int]:
    return [i for i, item in enumerate(body) if not isinstance(item, ast.Return | ast.FunctionDef)]


def _names(tree: ast.AST) -> list[str]:
    """Return the names that a program binds, sorted."""
    names = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    names |= {n.id for n in _all_names(tree) if isinstance(n.ctx, ast.Store)}
    return sorted(names)


def _all_names(tree: ast.AST) -> Iterator[ast.Name]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Name))


def _remove(tree: ast.Module, donors: Sequence[ast.Module], rng: np.random.Generator) -> bool:
    places = [(body, i) for body in _bodies(tree) if len(body) > 1 for i in _movable(body)]
    if places:
        body, i = places[int(rng.integers(len(places)))]
        del body[i]
    return bool(places)


def _swap(tree: ast.Module, donors: Sequence[ast.Module], rng: np.random.Generator) -> bool:
    places = [
        (body, i)
        for body in _bodies(tree)
        for i in _movable(body)
        if i + 1 < len(body) and not isinstance(body[i + 1], ast.Return)
    ]
    if places:
        body, i = places[int(rng.integers(len(places)))]
        body[i], body[i + 1] = body[i + 1], body[i]
    return bool(places)


def _add(tree: ast.Module, donors: Sequence[ast.Module], rng: np.random.Generator) -> bool:
    """Insert a donor's statement, its names replaced by names of the program."""
    offered = [body[i] for donor in donors for body in _bodies(donor) for i in _movable(body)]
    bodies, names = [body for body in _bodies(tree) if body], _names(tree)
    if not offered or not bodies or not names:
        return False
    statement = copy.deepcopy(offered[int(rng.integers(len(offered)))])
    renamed: dict[str, str] = {}
    for node in _all_names(statement):
        if not hasattr(builtins, node.id):
            drawn = names[int(rng.integers(len(names)))]
            node.id = renamed.setdefault(node.id, drawn)
    body = bodies[int(rng.integers(len(bodies)))]
    last = len(body) - isinstance(body[-1], ast.Return)
    body.insert(int(rng.integers(last + 1)), statement)
    return True


CHANGES: tuple[Callable[[ast.Module, Sequence[ast.Module], np.random.Generator], bool], ...] = (
    _add, _remove, _swap,
)  # fmt: skip


def vary_program(program: str, donors: Sequence[str], rng: np.random.Generator) -> str | None:
    """Return the program with one statement changed, by a kind of change drawn from `CHANGES`.

    Nothing is run: whether the result still works must be found out. None: no place for the change
    that was drawn.
    """
    tree = ast.parse(program)
    change = CHANGES[int(rng.integers(len(CHANGES)))]
    if not change(tree, [ast.parse(donor) for donor in donors], rng):
        return None
    varied = ast.unparse(tree)
    return None if varied == ast.unparse(ast.parse(program)) else varied
