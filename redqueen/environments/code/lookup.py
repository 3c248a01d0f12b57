"""The guard `lookup`: programs whose answer only a table could give.

A *path* of `f` is a way to its value: a `return`, an arm of a conditional expression, a binding of
the name that is returned, an entry of a table that is read with a parameter. A path is

- an *entry* if its value is a literal, chosen because a parameter equals a literal (`==`, `is`,
  `in` a display of literals, a literal `case`, a key or index of a display of literals);
- a *default* if its value is a literal or a bare parameter, chosen by nothing or by an equality
  that failed;
- *computed* otherwise, also when a literal is chosen by any other test (`a > 3`, `a % 2 == 0`).
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from redqueen.environments.code.guards import entry, is_literal, own_nodes, parameters
from redqueen.sandbox import literals_equal

MIN_ENTRIES = 3
"""Fewer entries are base cases or exceptions, not a table."""
ENTRIES_FOR_ONE = 4
"""A program with computed paths is a table from this many entries for each of them on."""


class _Chosen(Enum):
    """Why a path is taken."""

    ALWAYS = "always"
    EQUAL = "equal"
    OTHERWISE = "otherwise"


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths of a program: the keys of its entries (several may lead to one), and counts."""

    keys: tuple[tuple[Any, ...], ...]
    defaults: int
    computed: int


@dataclass(frozen=True, slots=True)
class _Path:
    kind: str
    keys: tuple[Any, ...] = ()


def is_table(tree: ast.Module) -> bool:
    """Whether a program is a table with at most a few computed paths beside it."""
    paths = paths_of(tree)
    return len(paths.keys) >= max(MIN_ENTRIES, ENTRIES_FOR_ONE * paths.computed)


def hides_entries(tree: ast.Module, hidden: Sequence[tuple[Any, ...]]) -> bool:
    """Whether half or more of a `code_f` task's hidden inputs hit entries of a table: their
    outputs cannot be inferred from other examples."""
    keys = paths_of(tree).keys
    if len(keys) < MIN_ENTRIES:
        return False
    literals = [key for item in keys for key in item]
    hit = sum(any(literals_equal(arg, key) for arg in args for key in literals) for args in hidden)
    return 2 * hit >= len(hidden)


def paths_of(tree: ast.Module) -> Paths:
    """The paths of `f`; functions that it defines or calls are computed."""
    function = entry(tree)
    reader = _Reader(function)
    paths = list(reader.block(function.body, _Chosen.ALWAYS, ()))
    kinds = [path.kind for path in paths]
    keys = tuple(path.keys for path in paths if path.kind == "entry")
    return Paths(keys, kinds.count("default"), kinds.count("computed"))


class _Reader:
    def __init__(self, function: ast.FunctionDef):
        self.parameters = set(parameters(function))
        self.nodes = list(own_nodes(function))
        returned = {
            node.value.id
            for node in self.nodes
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Name)
        }
        # A returned name stands for its bindings, if they are all plain.
        self.results = {name for name in returned - self.parameters if self._plain(name)}

    def _bindings(self, name: str) -> list[ast.Assign]:
        return [
            node
            for node in self.nodes
            if isinstance(node, ast.Assign)
            and any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
        ]

    def _plain(self, name: str) -> bool:
        """Whether a name is bound by `name = value` only, and read in returns only."""
        returns = {id(node.value) for node in self.nodes if isinstance(node, ast.Return)}
        stores = sum(
            isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
            for node in self.nodes
        )
        read = any(
            isinstance(node, ast.Name)
            and node.id == name
            and isinstance(node.ctx, ast.Load)
            and id(node) not in returns
            for node in self.nodes
        )
        return not read and stores == len(self._bindings(name)) > 0

    def block(
        self, body: Sequence[ast.stmt], chosen: _Chosen | None, keys: tuple[Any, ...]
    ) -> Iterator[_Path]:
        """The paths in a block that is entered for the reason `chosen` (None: any other test)."""
        for node in body:
            match node:
                case ast.Return(value=ast.Name(id=name)) if name in self.results:
                    continue
                case ast.Return(value=value):
                    yield from self.value(value, chosen, keys)
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in self.results:
                    yield from self.value(value, chosen, keys)
                case ast.If(test=test, body=then, orelse=otherwise):
                    compared = self.equality(test)
                    inner = None if compared is None else _Chosen.EQUAL
                    yield from self.block(then, inner, compared or ())
                    below = None if compared is None else _Chosen.OTHERWISE
                    yield from self.block(otherwise, below, ())
                case ast.Match(subject=subject, cases=cases):
                    yield from self.cases(subject, cases)
                case ast.For() | ast.While() | ast.Try():
                    for inside in ast.iter_child_nodes(node):
                        if isinstance(inside, ast.stmt):
                            yield from self.block([inside], None, ())
                        elif isinstance(inside, ast.ExceptHandler):
                            yield from self.block(inside.body, None, ())

    def cases(self, subject: ast.expr, cases: Sequence[ast.match_case]) -> Iterator[_Path]:
        for case in cases:
            keys = _pattern_keys(case.pattern) if self.is_parameter(subject) else None
            if case.guard is not None or keys is None:
                yield from self.block(case.body, None, ())
            else:
                reason = _Chosen.EQUAL if keys else _Chosen.OTHERWISE
                yield from self.block(case.body, reason, keys)

    def value(
        self, node: ast.expr | None, chosen: _Chosen | None, keys: tuple[Any, ...]
    ) -> Iterator[_Path]:
        """The paths of an expression that becomes the result."""
        if isinstance(node, ast.IfExp):
            compared = self.equality(node.test)
            inner = None if compared is None else _Chosen.EQUAL
            yield from self.value(node.body, inner, compared or ())
            yield from self.value(node.orelse, None if compared is None else _Chosen.OTHERWISE, ())
            return
        table = self.table(node)
        if table is not None:
            yield from (_Path("entry", (key,)) for key in table)
        elif is_literal(node) and chosen is _Chosen.EQUAL:
            yield _Path("entry", keys)
        elif chosen is not None and (is_literal(node) or self.is_parameter(node)):
            yield _Path("default")
        else:
            yield _Path("computed")

    def table(self, node: ast.expr | None) -> list[Any] | None:
        """The keys of a display of literals that is read with a parameter."""
        default: ast.expr | None = None
        match node:
            case ast.Subscript(value=owner, slice=key) if self.is_parameter(key):
                pass
            case ast.Call(func=ast.Attribute(value=owner, attr="get"), args=[key, *rest]):
                if not self.is_parameter(key) or len(rest) > 1:
                    return None
                default = rest[0] if rest else None
            case _:
                return None
        if isinstance(owner, ast.Name):
            bound = self._bindings(owner.id)
            owner = bound[0].value if len(bound) == 1 else owner
        if not is_literal(owner) or not (is_literal(default) or self.is_parameter(default)):
            return None
        value = ast.literal_eval(owner)
        if isinstance(value, dict):
            return list(value)
        return list(range(len(value))) if isinstance(value, list | tuple) else None

    def is_parameter(self, node: ast.expr | None) -> bool:
        return isinstance(node, ast.Name) and node.id in self.parameters

    def equality(self, test: ast.expr) -> tuple[Any, ...] | None:
        """The literals that a test compares parameters with, if it does nothing else."""
        match test:
            case ast.BoolOp(values=values):
                parts = [self.equality(item) for item in values]
                if None in parts:
                    return None
                return tuple(key for keys in parts if keys is not None for key in keys)
            case ast.Compare(left=left, ops=[ast.Eq() | ast.Is()], comparators=[right]):
                name, key = (left, right) if self.is_parameter(left) else (right, left)
                whole = self.is_parameter(name) and is_literal(key)
                return (ast.literal_eval(key),) if whole else None
            case ast.Compare(left=left, ops=[ast.In()], comparators=[right]):
                if not (self.is_parameter(left) and is_literal(right)):
                    return None
                values = ast.literal_eval(right)
                iterable = isinstance(values, list | tuple | set | dict)
                return tuple(values) if iterable else None
        return None


def _pattern_keys(pattern: ast.pattern) -> tuple[Any, ...] | None:
    """The literals of a `case`; empty for one that takes anything, None for any other pattern."""
    match pattern:
        case ast.MatchValue(value=value) if is_literal(value):
            return (ast.literal_eval(value),)
        case ast.MatchSingleton(value=value):
            return (value,)
        case ast.MatchOr(patterns=patterns):
            parts = [_pattern_keys(item) for item in patterns]
            if any(not keys for keys in parts):
                return None
            return tuple(key for keys in parts if keys for key in keys)
        case ast.MatchAs(pattern=None):
            return ()
    return None
