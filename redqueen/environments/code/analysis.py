"""What a program's syntax tree shows: what `f` needs of it, whether it keeps to a profile, and its
features.
"""

import ast
import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from redqueen.environments.code.policy import PURE, STDLIB, Profile, bound_names
from redqueen.sandbox import State, parse_module

MAX_DEPTH = 50
"""Deepest syntax tree that is read. Far below the interpreter's recursion limit, so that what is
accepted does not depend on how deep the caller stands."""

_BRANCHES = (ast.If, ast.For, ast.While, ast.IfExp, ast.ExceptHandler, ast.Assert, ast.match_case)
_NO_LEVELS = frozenset({
    "ctx", "op", "ops", "id", "attr", "arg", "asname", "module", "level", "kind", "type_comment",
    "lineno", "conversion",
})  # fmt: skip
"""Fields of nodes that hold an expression's context, operators, or no nodes at all."""
_CHILDREN: dict[type, tuple[str, ...]] = {
    kind: tuple(name for name in kind._fields if name not in _NO_LEVELS)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}
"""The other fields, by the type of the node."""
_ONE_FUNCTION = re.compile(r"def f\([\w, /]*\):[ -~]*(?:\n(?: [ -~]*)?)*", re.ASCII)
TYPES = (int, bool, str, list, tuple, dict)
"""The types that are features of a task."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A program that is syntactically fine: its tree and its canonical text."""

    tree: ast.Module
    source: str
    arity: int


def parse_program(text: str, max_chars: int, profile: Profile = PURE) -> Parsed | str:
    """Parse a program whose entry point is a function `f`; or name what is wrong with it.

    What `f` does not need, tests and example calls say, is left out. Returns one of the reasons
    `too_long`, `too_deep`, `syntax_error`, `no_function`, `forbidden` instead of raising. `f` is
    defined once and takes one or more plain positional arguments. `max_chars` limits the text and
    its canonical form.
    """
    read = _read_program(text, max_chars)
    if isinstance(read, str):
        return read
    tree, nodes = read
    arity = _arity(tree)
    if arity is None:
        return "no_function"
    if profile.broken_by(tree, nodes):
        return "forbidden"
    source = ast.unparse(tree)
    return "too_long" if len(source) > max_chars else Parsed(tree, source, arity)


@dataclass(frozen=True, slots=True)
class Runnable:
    """A program to run as an answer, and where it may keep something from call to call."""

    source: str
    state: State


def runnable(text: str, max_chars: int) -> Runnable | str:
    """Return an answer's program, or the reason why it is none; see `parse_program`.

    It may use all of the profile `stdlib`, and `f` may have any parameters. Making the canonical
    text takes as long as all the rest, so one function in plain ASCII runs as it is. Only other
    characters may be read differently by two parsers.
    """
    read = _read_program(text, max_chars)
    if isinstance(read, str):
        return read
    tree, nodes = read
    if STDLIB.broken_by(tree, nodes):
        return "forbidden"
    source = text if _ONE_FUNCTION.fullmatch(text) else ast.unparse(tree)
    return Runnable(source, _state(source, tree, nodes))


@functools.lru_cache(4096)
def state_of(program: str) -> State:
    """Return where a task's program may keep something from call to call."""
    tree = parse_module(program)
    return _state(program, tree, list(ast.walk(tree)))


def _state(source: str, tree: ast.Module, nodes: Sequence[ast.AST]) -> State:
    """A program that keeps to the profile `pure` has no state but its own."""
    if PURE.broken_by(tree, nodes):
        return State.INTERPRETER
    return State.NONE if is_one_function(source) else State.NAMESPACE


def is_one_function(program: str) -> bool:
    """Return whether a program that has passed the policy is just `f`, without annotations and
    `:=`: then its namespace holds nothing that a call could change.

    Its lines tell: a second statement of the module could not be indented. In some places
    (defaults of inner functions, what `except` catches) monty takes `:=` for the module's.
    """
    return ":=" not in program and _ONE_FUNCTION.fullmatch(program) is not None


def _read_program(text: str, max_chars: int) -> tuple[ast.Module, list[ast.AST]] | str:
    """Return what `f` needs of a program, and all nodes of it; or the reason why it is none."""
    if len(text) > max_chars:
        return "too_long"
    try:
        tree = parse_module(text)
    except (RecursionError, MemoryError):
        return "too_deep"
    except (SyntaxError, ValueError):
        return "syntax_error"
    tree = essential(tree)
    if not tree.body:
        return "no_function"
    nodes: list[ast.AST] = []
    for number, level in enumerate(_levels(tree)):
        if number == MAX_DEPTH:
            return "too_deep"
        nodes += level
    return tree, nodes


def essential(tree: ast.Module) -> ast.Module:
    """Return the statements of a module that its function `f` needs, in order; none without `f`.

    A statement is needed that gives a needed name to something, or changes what has one. Tests,
    example calls and blocks for the main program are not. Docstrings are: they are in `f`.
    """
    if len(tree.body) == 1 and getattr(tree.body[0], "name", "") == "f":
        return tree
    needed, kept, before = {"f"}, set[int](), -1
    while len(kept) != before:
        before = len(kept)
        for node in tree.body:
            if id(node) not in kept and _makes(node, needed):
                kept.add(id(node))
                loads = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
                local = bound_names(node) if isinstance(node, ast.FunctionDef) else set[str]()
                needed |= loads - local
    return ast.Module([_narrowed(node, needed) for node in tree.body if id(node) in kept], [])


def _narrowed(node: ast.stmt, needed: set[str]) -> ast.stmt:
    """Return an import without the names that are not needed."""
    if not isinstance(node, ast.Import | ast.ImportFrom) or len(node.names) == 1:
        return node
    names = [item for item in node.names if bound_names(item) & needed]
    if isinstance(node, ast.Import):
        return ast.Import(names)
    return node if node.module == "__future__" else ast.ImportFrom(node.module, names, node.level)


def _makes(node: ast.stmt, needed: set[str]) -> bool:
    """Whether a statement of a module makes something of a needed name."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return name in needed
        case ast.ImportFrom(module="__future__") | ast.ImportFrom(names=[ast.alias(name="*")]):
            return True
        case ast.Import() | ast.ImportFrom():
            return bool(bound_names(node) & needed)
        case ast.Assert():
            return False
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
            return False
    return bool((bound_names(node) | _changed_names(node)) & needed - {"f"}) or (
        isinstance(node, ast.Assign | ast.AnnAssign) and "f" in bound_names(node)
    )


def _changed_names(node: ast.AST) -> set[str]:
    """The names whose values a statement may change: `a[0] = 1`, `a.b = 1`, `a.append(1)`."""
    changed = set()
    for item in ast.walk(node):
        owner: ast.AST = item
        if isinstance(item, ast.Expr) and isinstance(item.value, ast.Call):
            owner = item.value.func
        elif isinstance(getattr(item, "ctx", None), ast.Load | None):
            continue
        while isinstance(owner, ast.Subscript | ast.Attribute):
            owner = owner.value
        if isinstance(owner, ast.Name) and owner is not getattr(item, "func", None):
            changed.add(owner.id)
    return changed


def _arity(tree: ast.Module) -> int | None:
    """Return the number of arguments of `f`; None unless it is defined once, with plain ones."""
    entry = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "f"]
    bindings = sum("f" in bound_names(node) for node in tree.body)
    if len(entry) != 1 or bindings != 1 or entry[0].decorator_list:
        return None
    taken = entry[0].args
    if taken.vararg or taken.kwarg or taken.kwonlyargs or taken.defaults:
        return None
    return len(taken.posonlyargs) + len(taken.args) or None


def cyclomatic(tree: ast.AST) -> int:
    """McCabe's number: one plus the decisions (each boolean operator and comprehension too)."""
    total = 1
    for node in ast.walk(tree):
        if isinstance(node, _BRANCHES):
            total += 1
        elif isinstance(node, ast.BoolOp):
            total += len(node.values) - 1
        elif isinstance(node, ast.comprehension):
            total += 1 + len(node.ifs)
    return total


def depth(tree: ast.AST) -> int:
    """Levels of the syntax tree, expression contexts and operators left out."""
    return sum(1 for _ in _levels(tree))


def _levels(tree: ast.AST) -> Iterator[list[ast.AST]]:
    """The nodes of the syntax tree level by level, expression contexts and operators left out."""
    level = [tree]
    while level:
        yield level
        below: list[Any] = []
        for node in level:
            for name in _CHILDREN[type(node)]:
                child = getattr(node, name)
                if type(child) is list:
                    below += child
                else:
                    below.append(child)
        level = [child for child in below if type(child) in _CHILDREN]


def types_in(values: Iterable[object]) -> dict[str, float]:
    """Return which of `TYPES` the values hold at any depth (`type_int` … 1 or 0), and how many."""
    present: set[type] = set()
    level = list(values)
    while level:
        present.update(map(type, level))
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                below += [*item, *item.values()]
            elif isinstance(item, list | tuple | set):
                below += item
        level = below
    flags = {f"type_{kind.__name__}": float(kind in present) for kind in TYPES}
    return {"types": sum(flags.values()), **flags}


def features(parsed: Parsed, values: Iterable[object]) -> dict[str, float]:
    """Return the numbers that describe a task; `values` are arguments and results of its calls."""
    return {
        "ast_depth": float(depth(parsed.tree)),
        "cyclomatic": float(cyclomatic(parsed.tree)),
        "lines": float(len(parsed.source.splitlines())),
        **types_in(values),
    }
