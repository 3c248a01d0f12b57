"""What programs may use: a profile for each kind of sandbox, checked on the syntax tree.

A profile is a second fence inside the sandbox's: it names, before anything runs, the programs that
are not functions of their input alone. It is an allowlist where one can be written down (modules
and their members, attributes) and a list of names where not (builtins).
"""

import ast
import collections
import itertools
import math
import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

_UNSAFE = """
    open input exec eval compile globals locals vars breakpoint exit quit help copyright credits
    license id hash memoryview
"""
_IMPURE = """
    print dir getattr setattr delattr hasattr object super type classmethod staticmethod property
"""


def _public(*owners: object) -> frozenset[str]:
    return frozenset(name for owner in owners for name in dir(owner) if not name.startswith("_"))


_RE_MEMBERS = """
    A I M S X ASCII IGNORECASE MULTILINE DOTALL VERBOSE NOFLAG
    compile match fullmatch search sub subn split findall finditer escape
"""
_PURE_MODULES: Mapping[str, frozenset[str]] = {
    "math": _public(math),
    "itertools": _public(itertools),
    "functools": frozenset({"reduce", "partial", "cmp_to_key", "cache", "lru_cache"}),
    "collections": frozenset({"Counter", "OrderedDict", "defaultdict", "deque", "ChainMap"}),
    "re": frozenset(_RE_MEMBERS.split()),
    "string": frozenset(name for name in _public(string) if isinstance(getattr(string, name), str))
    | {"capwords"},
}
_STDLIB_MODULES = """
    __future__ abc array base64 binascii bisect cmath codecs collections collections.abc copy
    dataclasses decimal difflib enum fractions functools heapq itertools json math numbers operator
    re statistics string struct textwrap typing unicodedata
"""


def _members(module: str) -> frozenset[str]:
    """Return the public names of a module that are no modules themselves."""
    items = vars(import_module(module)).items()
    names = {n for n, v in items if not n.startswith("_") and not isinstance(v, ModuleType)}
    return frozenset({*names, "*"})


_PURE_ATTRIBUTES = _public(
    int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset, range, slice,
    BaseException, collections.deque, collections.Counter, collections.OrderedDict,
    collections.defaultdict, collections.ChainMap, re.Pattern, re.Match, itertools.chain,
) - {"format", "format_map", "with_traceback", "add_note"}  # fmt: skip
_ASYNC = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
_ESCAPES = """
    __globals__ __builtins__ __subclasses__ __code__ __closure__ __import__ __loader__ __spec__
    __base__ __bases__ __mro__ __getattribute__ __reduce__ __reduce_ex__ __self__ __func__
    __wrapped__ gi_frame gi_code f_back f_globals f_locals f_builtins tb_frame cr_frame sys
"""


@dataclass(frozen=True, slots=True)
class Profile:
    """What programs may use."""

    name: str
    modules: Mapping[str, frozenset[str]]
    """Modules without randomness, time, input/output, network and processes, and their members that
    lead nowhere else (`re.enum.sys` does)."""
    forbidden_names: frozenset[str]
    """Builtins that a program must not use, unless it gives the name to something of its own."""
    forbidden_nodes: tuple[type[ast.AST], ...]
    attributes: frozenset[str] | None
    """Allowed attributes; None: all but those that lead out of values into the interpreter."""
    statements: tuple[type[ast.stmt], ...]
    """What may stand in the module."""

    def broken_by(self, tree: ast.Module, nodes: Sequence[ast.AST]) -> bool:
        """Return whether a program, given with all its nodes, does not keep to the profile."""
        if not all(isinstance(node, self.statements) for node in tree.body):
            return True
        imports = [node for node in nodes if type(node) is ast.Import]
        modules = {item.asname or item.name: item.name for node in imports for item in node.names}
        if modules and any(_misuses_module(node, modules) for node in nodes):
            return True
        if any(isinstance(node, self.forbidden_nodes) for node in nodes):
            return True
        if any(type(n) in _CHECKS and _CHECKS[type(n)](self, n, modules) for n in nodes):
            return True
        names = {node.id for node in nodes if type(node) is ast.Name}
        odd = {name for name in names if name in self.forbidden_names or name[:2] == "__"}
        return bool(odd) and any(_reads(statement, odd) for statement in tree.body)


def _reads(statement: ast.stmt, names: set[str]) -> bool:
    """Whether a statement uses one of these names, and does not give it to something itself."""
    used = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
    return not used & names <= bound_names(statement)


def bound_names(node: ast.AST) -> set[str]:
    """Return the names that a statement gives to something: parameters, variables, functions."""
    names: set[str | None] = set()
    for item in ast.walk(node):
        match item:
            case ast.Name(id=name) if not isinstance(item.ctx, ast.Load):
                names.add(name)
            case ast.arg(arg=name) | ast.ExceptHandler(name=name):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.MatchAs(name=name) | ast.MatchStar(name=name) | ast.MatchMapping(rest=name):
                names.add(name)
            case ast.alias(name=name, asname=other):
                names.add(other or name.partition(".")[0])
    return {name for name in names if name is not None}


def _rebinds(names: list[ast.alias]) -> bool:
    """Whether an import takes the entry point's name."""
    return any((item.asname or item.name) == "f" for item in names)


def _alien_import(profile: Profile, node: ast.Import, _: Any) -> bool:
    return any(item.name not in profile.modules for item in node.names) or _rebinds(node.names)


def _alien_member(profile: Profile, node: ast.ImportFrom, _: Any) -> bool:
    members = profile.modules.get(node.module or "", frozenset())
    alien = node.level != 0 or any(item.name not in members for item in node.names)
    return alien or _rebinds(node.names)


def _misuses_module(node: ast.AST, modules: Mapping[str, str]) -> bool:
    """Whether a child of `node` is a module used for anything but an attribute of it."""
    if isinstance(node, ast.Attribute):
        return False
    return any(
        isinstance(child, ast.Name) and child.id in modules for child in ast.iter_child_nodes(node)
    )


def _walks(profile: Profile, node: ast.Attribute, modules: Mapping[str, str]) -> bool:
    """Whether `node` reads an attribute that is not allowed for its owner."""
    owner = node.value
    if node.attr in ESCAPES:
        return True
    if isinstance(owner, ast.Name) and owner.id in modules:
        members = profile.modules.get(modules[owner.id], frozenset())
        return node.attr not in members or not isinstance(node.ctx, ast.Load)
    if node.attr == "format" and isinstance(owner, ast.Constant) and isinstance(owner.value, str):
        return not _plain_template(owner.value)
    if node.attr in ("format", "format_map"):
        return True
    return profile.attributes is not None and node.attr not in profile.attributes


def _odd_match(profile: Profile, node: ast.MatchClass, _: Any) -> bool:
    # It reads attributes by name, as an Attribute does.
    return profile.attributes is not None and bool(node.kwd_attrs)


def _odd_function(profile: Profile, node: ast.FunctionDef, _: Any) -> bool:
    return profile.attributes is not None and (bool(node.decorator_list) or node.name[:2] == "__")


ESCAPES = frozenset(_ESCAPES.split())
"""Attributes that lead from a value into the interpreter. `str.format` walks attributes that no
syntax tree shows, so it is allowed on literal templates only."""
_CHECKS: dict[type, Callable[[Profile, Any, Mapping[str, str]], bool]] = {
    ast.Attribute: _walks,
    ast.Import: _alien_import,
    ast.ImportFrom: _alien_member,
    # In a default or an annotation it would replace the entry point.
    ast.NamedExpr: lambda profile, node, modules: node.target.id == "f",
    ast.FunctionDef: _odd_function,
    ast.comprehension: lambda profile, node, modules: bool(node.is_async),
    ast.MatchClass: _odd_match,
}
"""Whether a node is one that a profile forbids, by its type."""


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


PURE = Profile(
    name="pure",
    modules=_PURE_MODULES,
    forbidden_names=frozenset(f"{_UNSAFE} {_IMPURE}".split()),
    forbidden_nodes=(
        *_ASYNC, ast.Global, ast.Nonlocal, ast.Yield, ast.YieldFrom, ast.ClassDef, ast.With,
        ast.Delete,
    ),
    attributes=_PURE_ATTRIBUTES,
    statements=(ast.FunctionDef, ast.Import, ast.ImportFrom),
)  # fmt: skip
"""Functions over plain values: what an interpreter for a subset of Python can run."""
STDLIB = Profile(
    name="stdlib",
    modules={module: _members(module) for module in _STDLIB_MODULES.split()},
    forbidden_names=frozenset(_UNSAFE.split()),
    forbidden_nodes=_ASYNC,
    attributes=None,
    statements=(ast.stmt,),
)
"""All of Python but what reaches outside: classes, generators, the standard library's harmless
modules. It needs CPython."""
PROFILES: Mapping[str, Profile] = {"pure": PURE, "stdlib": STDLIB}
