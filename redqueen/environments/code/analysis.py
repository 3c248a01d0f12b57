"""What a program's syntax tree shows: whether it keeps to the policy, and its features.

The policy is a second fence inside the sandbox's: it names, before anything runs, the programs
that are not pure functions. It is an allowlist where one can be written down (modules and their
members, attributes) and a list of names where not (builtins).
"""

import ast
import collections
import itertools
import math
import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redqueen.sandbox import parse_module

MAX_DEPTH = 50
"""Deepest syntax tree that is read. Far below the interpreter's recursion limit, so that what is
accepted does not depend on how deep the caller stands."""

_FORBIDDEN = """
    open input print exec eval compile globals locals vars dir getattr setattr delattr hasattr
    breakpoint exit quit help copyright credits license id hash object super type memoryview
    classmethod staticmethod property
"""
FORBIDDEN_NAMES = frozenset(_FORBIDDEN.split())
"""Builtins that reach input/output, the interpreter or state outside the function. Names that
begin with two underscores are forbidden as well."""


def _public(*owners: object) -> frozenset[str]:
    return frozenset(name for owner in owners for name in dir(owner) if not name.startswith("_"))


_RE_MEMBERS = """
    A I M S X ASCII IGNORECASE MULTILINE DOTALL VERBOSE NOFLAG
    compile match fullmatch search sub subn split findall finditer escape
"""
ALLOWED_MODULES: Mapping[str, frozenset[str]] = {
    "math": _public(math),
    "itertools": _public(itertools),
    "functools": frozenset({"reduce", "partial", "cmp_to_key", "cache", "lru_cache"}),
    "collections": frozenset({"Counter", "OrderedDict", "defaultdict", "deque", "ChainMap"}),
    "re": frozenset(_RE_MEMBERS.split()),
    "string": frozenset(name for name in _public(string) if isinstance(getattr(string, name), str))
    | {"capwords"},
}
"""Modules without randomness, time, input/output, network, processes or hidden state, and their
members that lead nowhere else (`re.enum.sys` does)."""

ALLOWED_ATTRIBUTES = _public(
    int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset, range, slice,
    BaseException, collections.deque, collections.Counter, collections.OrderedDict,
    collections.defaultdict, collections.ChainMap, re.Pattern, re.Match, itertools.chain,
) - {"format", "format_map", "with_traceback", "add_note"}  # fmt: skip
"""Public attributes of plain values and of what the allowed modules make. `str.format` walks
attributes that no syntax tree shows, so it is allowed on literal templates only."""

_FORBIDDEN_NODES = (
    ast.Global, ast.Nonlocal, ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith,
    ast.Yield, ast.YieldFrom, ast.ClassDef, ast.With, ast.Delete,
)  # fmt: skip
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
_TOP_LEVEL = frozenset({ast.FunctionDef, ast.Import, ast.ImportFrom})
_PLAIN_TEXT = re.compile(r"[\n -~]*")
_ONE_FUNCTION = re.compile(r"def f\([\w, /]*\):[ -~]*(?:\n(?: [ -~]*)?)*", re.ASCII)
TYPES = (int, bool, str, list, tuple, dict)
"""The types that are features of a task."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A program that is syntactically fine: its tree and its canonical text."""

    tree: ast.Module
    source: str
    arity: int


def parse_program(text: str, max_chars: int) -> Parsed | str:
    """Parse a program whose entry point is a function `f`; or name what is wrong with it.

    Returns one of the reasons `too_long`, `too_deep`, `syntax_error`, `no_function`, `forbidden`
    instead of raising. The module holds functions and imports only; `f` is defined once and takes
    one or more plain positional arguments. `max_chars` limits the text and its canonical form.
    """
    read = _read_program(text, max_chars)
    if isinstance(read, str):
        return read
    tree, arity = read
    source = ast.unparse(tree)
    return "too_long" if len(source) > max_chars else Parsed(tree, source, arity)


def runnable(text: str, max_chars: int) -> tuple[str, str]:
    """Return a program to run and "", or "" and what is wrong with it; see `parse_program`.

    Making the canonical text takes as long as all the rest, so plain ASCII text runs as it is. Only
    other characters may be read differently by two parsers.
    """
    read = _read_program(text, max_chars)
    if isinstance(read, str):
        return "", read
    return (text if _PLAIN_TEXT.fullmatch(text) else ast.unparse(read[0])), ""


def is_one_function(program: str) -> bool:
    """Return whether a program that has passed the policy is just `f`, without annotations and
    `:=`: then its namespace holds nothing that a call could change.

    Its lines tell: a second statement of the module could not be indented. In some places
    (defaults of inner functions, what `except` catches) monty takes `:=` for the module's.
    """
    return ":=" not in program and _ONE_FUNCTION.fullmatch(program) is not None


def _read_program(text: str, max_chars: int) -> tuple[ast.Module, int] | str:
    """Return tree and arity of a program that keeps to the policy, or the reason why it does not.

    `parse_program` also makes and measures the canonical text.
    """
    if len(text) > max_chars:
        return "too_long"
    try:
        tree = parse_module(text)
    except (RecursionError, MemoryError):
        return "too_deep"
    except (SyntaxError, ValueError):
        return "syntax_error"
    nodes: list[ast.AST] = []
    for number, level in enumerate(_levels(tree)):
        if number == MAX_DEPTH:
            return "too_deep"
        nodes += level
    arity = _arity(tree)
    if arity is None:
        return "no_function"
    return "forbidden" if _breaks_policy(tree, nodes) else (tree, arity)


def _arity(tree: ast.Module) -> int | None:
    """Return the number of arguments of `f`; None unless it is defined once, with plain ones."""
    entry = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "f"]
    if len(entry) != 1 or entry[0].decorator_list:
        return None
    taken = entry[0].args
    if taken.vararg or taken.kwarg or taken.kwonlyargs or taken.defaults:
        return None
    return len(taken.posonlyargs) + len(taken.args) or None


def _breaks_policy(tree: ast.Module, nodes: Sequence[ast.AST]) -> bool:
    if not all(type(node) in _TOP_LEVEL for node in tree.body):
        return True
    imports = [node for node in nodes if type(node) is ast.Import]
    modules = {item.asname or item.name: item.name for node in imports for item in node.names}
    if modules and any(_misuses_module(node, modules) for node in nodes):
        return True
    return any(type(node) in _CHECKS and _CHECKS[type(node)](node, modules) for node in nodes)


def _rebinds(names: list[ast.alias]) -> bool:
    """Whether an import takes the entry point's name."""
    return any((item.asname or item.name) == "f" for item in names)


def _alien_import(node: ast.Import) -> bool:
    return any(item.name not in ALLOWED_MODULES for item in node.names) or _rebinds(node.names)


def _alien_member(node: ast.ImportFrom) -> bool:
    members = ALLOWED_MODULES.get(node.module or "", frozenset())
    alien = node.level != 0 or any(item.name not in members for item in node.names)
    return alien or _rebinds(node.names)


def _misuses_module(node: ast.AST, modules: Mapping[str, str]) -> bool:
    """Whether a child of `node` is a module used for anything but an attribute of it."""
    if isinstance(node, ast.Attribute):
        return False
    return any(
        isinstance(child, ast.Name) and child.id in modules for child in ast.iter_child_nodes(node)
    )


def _walks(node: ast.Attribute, modules: Mapping[str, str]) -> bool:
    """Whether `node` reads an attribute that is not on the list for its owner."""
    owner = node.value
    if isinstance(owner, ast.Name) and owner.id in modules:
        members = ALLOWED_MODULES.get(modules[owner.id], frozenset())
        return node.attr not in members or not isinstance(node.ctx, ast.Load)
    if node.attr == "format" and isinstance(owner, ast.Constant) and isinstance(owner.value, str):
        return not _plain_template(owner.value)
    return node.attr not in ALLOWED_ATTRIBUTES


_CHECKS: dict[type, Callable[[Any, Mapping[str, str]], bool]] = {
    **dict.fromkeys(_FORBIDDEN_NODES, lambda node, modules: True),
    ast.Name: lambda node, modules: node.id in FORBIDDEN_NAMES or node.id[:2] == "__",
    ast.Attribute: _walks,
    ast.Import: lambda node, modules: _alien_import(node),
    ast.ImportFrom: lambda node, modules: _alien_member(node),
    # In a default or an annotation it would replace the entry point.
    ast.NamedExpr: lambda node, modules: node.target.id == "f",
    ast.FunctionDef: lambda node, modules: bool(node.decorator_list) or node.name[:2] == "__",
    ast.comprehension: lambda node, modules: bool(node.is_async),
    # It reads attributes by name, as an Attribute does.
    ast.MatchClass: lambda node, modules: bool(node.kwd_attrs),
}
"""Whether a node is one that no program may have, by its type and the modules' names."""


def _plain_template(template: str) -> bool:
    """Whether a template's fields are numbers or names without attributes and items."""
    try:
        return all(name.replace("_", "a").isalnum() for name in _fields(template) if name)
    except ValueError:
        return False


def _fields(template: str) -> Iterator[str]:
    for _text, name, spec, _conversion in string.Formatter().parse(template):
        if name is not None:
            yield name
            yield from _fields(spec or "")


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
