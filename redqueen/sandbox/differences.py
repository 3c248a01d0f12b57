"""Which programs monty may answer otherwise than CPython, without a word.

`agreement` lists what is known to be the same; this lists what is known to differ, and between the
two lies what no difference was seen in (tests/sandbox/test_differences.py draws programs of all
three). The kinds:

- *lazy*: `map`, `filter`, `zip`, `enumerate`, `reversed` and generator expressions are lists in
  monty. They differ unless they are read to their end, once, where they stand; `any` and `all` stop
  early;
- *sets*: the order of a set, where a program can see it;
- *digits*: `round` to decimals, which works on the printed digits;
- *exceptions*: the texts of exceptions and of their classes;
- *letters* beyond ASCII: two versions of Unicode;
- *modules*: `re` treats empty matches differently, others are there in part;
- *changes* of what a loop goes through by way of `items()`, `enumerate` and the like: CPython may
  raise, or see the change, where monty goes on with what was there before;
- *places*: a search from beyond a text's end finds the empty text in monty;
- *keys*: of keys that are equal and of different types monty keeps the last, CPython the first;
- *identities*: `is` on anything but names of Python's, and NaN, which equals itself in monty;
- *classes*: monty calls few of the methods with two underscores;
- *formats*: monty pads lists and None, which CPython does not format;
- *texts* of what holds itself or is nested without end, which monty cuts short, and of functions,
  classes and instances;
- *length*: what is too long to be looked through.
"""

import ast
import builtins
import functools
from collections.abc import Container, Iterable, Iterator
from types import NoneType

from redqueen.sandbox.agreement import (
    SEARCHES,
    changes_what_it_reads,
    has_odd_key,
    is_ascii,
    scalars_in,
)
from redqueen.sandbox.sinks import number_types, odd_key, odd_text
from redqueen.sandbox.syntax import parse_module

LAZY, SETS, DIGITS, EXCEPTIONS, LETTERS, MODULES, CHANGES = (
    "lazy", "sets", "digits", "exceptions", "letters", "modules", "changes",
)  # fmt: skip
PLACES, KEYS, IDENTITIES, CLASSES, FORMATS = "places", "keys", "identities", "classes", "formats"
LENGTH, TEXTS = "length", "texts"
_MAX_CHARS = 20_000
"""Of a program that is looked through: as deep as the parser allows, that takes two seconds."""
_LATIN = 0x2FF
"""Letters up to here are the same in all versions of Unicode."""
_LAZY_MAKERS = frozenset({"map", "filter", "zip", "enumerate", "reversed"})
_READERS = frozenset({"list", "tuple", "dict", "set", "frozenset", "sum", "sorted", "max", "min"})
_ORDERLESS = frozenset({"len", "sorted", "max", "min", "bool", "set", "frozenset", "isinstance"})
_SET_MAKERS = frozenset({"set", "frozenset"})
_SET_METHODS = frozenset({
    "add", "discard", "remove", "clear", "update", "union", "intersection", "difference",
    "symmetric_difference", "issubset", "issuperset", "isdisjoint", "copy",
    "intersection_update", "difference_update", "symmetric_difference_update",
})  # fmt: skip
_OWN_MATH = frozenset({"gamma", "lgamma", "cbrt", "erf", "erfc"})
"""Functions that monty does not take from the C library: their last digit differs."""
_SAFE_MODULES = frozenset({"math", "typing", "__future__"})
_EXCEPTIONS = frozenset(
    name for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
)  # fmt: skip


def difference(code: str, args: Iterable[object]) -> str | None:
    """Return the kind of thing by which monty may differ on a call; None if none is known."""
    args = tuple(args)
    scalars = list(scalars_in(args))
    types = number_types(scalars)
    large = any(isinstance(item, int) and item > _LATIN for item in scalars)
    boxed = tuple(type(item) in (list, tuple, dict, set, bytes, NoneType) for item in args)
    kind = _program_difference(code, types, large, boxed)
    if kind is not None:
        return kind
    if any(isinstance(item, set) for item in scalars):
        return SETS
    return None if is_ascii(scalars) else LETTERS


@functools.lru_cache(1 << 14)
def _program_difference(
    code: str, types: frozenset[type], large: bool, boxed: tuple[bool, ...]
) -> str | None:
    """Return the difference of a program. Its arguments hold numbers of `types`, and a number
    that may stand for a letter of a newer Unicode (`large`); `boxed` are those that CPython does
    not pad."""
    if len(code) > _MAX_CHARS:
        return LENGTH
    if not code.isascii():
        return LETTERS
    try:
        tree = parse_module(code)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    nodes = list(ast.walk(tree))
    if odd_key(tree, nodes, types):
        return KEYS
    if odd_text(tree, nodes, strict=False):
        return TEXTS
    if _makes_letters(nodes, large):
        return LETTERS
    return next(_differences(tree, boxed), None)


def _differences(tree: ast.Module, boxed_arguments: tuple[bool, ...]) -> Iterator[str]:
    parents = {id(child): node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    named_sets, boxed = _names_of_sets(tree), _names_of_boxed(tree, boxed_arguments)
    aliases = {
        name.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name)
        for name in (*node.targets, node.value)
        if isinstance(name, ast.Name)
    }
    for node in ast.walk(tree):
        parent = parents.get(id(node))
        match node:
            case ast.GeneratorExp() if not _is_read(node, parent):
                yield LAZY
            case ast.Name(id=name) if name in _LAZY_MAKERS and not _is_made_and_read(node, parents):
                yield LAZY
            case ast.Call(func=ast.Name(id="iter" | "next" | "hash" | "id")):
                yield LAZY
            case ast.Set() | ast.SetComp() if _shows_order(node, parent):
                yield SETS
            case ast.Call(func=ast.Name(id="set" | "frozenset")) if _shows_order(node, parent):
                yield SETS
            case ast.Name(id=name) if name in named_sets and _shows_order(node, parent):
                yield SETS
            case (
                ast.Call(func=ast.Name(id="round"), args=[_, _, *_])
                | ast.Call(func=ast.Name(id="round"), keywords=[_, *_])
            ):
                yield DIGITS
            case ast.ExceptHandler(name=str()):
                yield EXCEPTIONS
            case ast.Name(id=name) if name in _EXCEPTIONS and not _is_raised(node, parents):
                yield EXCEPTIONS
            case ast.Import(names=names) if any(item.name not in _SAFE_MODULES for item in names):
                yield MODULES
            case ast.ImportFrom(module=module) if module not in _SAFE_MODULES:
                yield MODULES
            case ast.ImportFrom(names=names) if any(item.name in _OWN_MATH for item in names):
                yield DIGITS
            case ast.Call(func=ast.Attribute(attr=name), args=[_, _, *_]) if name in SEARCHES:
                yield PLACES
            case ast.Dict() | ast.Subscript() if has_odd_key(node):
                yield KEYS
            case ast.Compare() if _asks_identity(node):
                yield IDENTITIES
            case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str(text))]) if (
                "nan" in text.lower()
            ):
                yield IDENTITIES
            case ast.FunctionDef(name=name) if name[:2] == "__" and name != "__init__":
                yield CLASSES
            case ast.FormattedValue(value=value, conversion=-1, format_spec=ast.JoinedStr()) if (
                _is_unformatted(value, boxed)
            ):
                yield FORMATS
            case ast.Call(func=ast.Name(id="format"), args=[value, _]) if _is_unformatted(
                value, boxed
            ):
                yield FORMATS
            case ast.Call(
                func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format"), args=values
            ) if ":" in text and any(_is_unformatted(value, boxed) for value in values):
                yield FORMATS
            case ast.Constant(value=str(text)) if not text.isascii():
                yield LETTERS
            case ast.Name(id="NotImplemented"):
                yield CLASSES
            case ast.AnnAssign(value=None):
                yield EXCEPTIONS  # a name without a value is a NameError of its own
            case ast.Attribute(value=ast.Name(id="math"), attr=name) if name in _OWN_MATH:
                yield DIGITS
            case ast.For(iter=ast.Call()) if changes_what_it_reads(node, aliases):
                yield CHANGES


def _asks_identity(node: ast.Compare) -> bool:
    """Whether `is` is asked of two things of which none is one of Python's own."""
    sides = [node.left, *node.comparators]
    pairs = zip(sides, node.ops, sides[1:], strict=False)
    return any(
        isinstance(op, ast.Is | ast.IsNot) and not _is_single(left) and not _is_single(right)
        for left, op, right in pairs
    )


def _is_single(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=None | bool()) | ast.Call(func=ast.Name(id="type")):
            return True
    return False


def _makes_letters(nodes: Iterable[ast.AST], large: bool) -> bool:
    """Whether a program calls `chr`, and it or its arguments have a number that is large for it."""
    calls = False
    for node in nodes:
        match node:
            case ast.Name(id="chr"):
                calls = True
            case ast.Constant(value=int(value)) if value > _LATIN:
                large = True
    return calls and large


def _names_of_boxed(tree: ast.Module, arguments: tuple[bool, ...]) -> set[str]:
    """Return the names of what CPython does not pad: by what is assigned to them, and those of
    parameters by the arguments of the call."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(args=ast.arguments(args=taken)) if len(taken) == len(arguments):
                names |= {item.arg for item, boxed in zip(taken, arguments, strict=True) if boxed}
            case ast.Assign(targets=targets, value=value) if _is_unformatted(value, names):
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def _is_unformatted(value: ast.expr, boxed: Container[str]) -> bool:
    """Whether a value is, by its form or its name, one that CPython does not pad."""
    match value:
        case ast.Constant(value=None | bytes()) | ast.List() | ast.Tuple() | ast.Dict():
            return True
        case ast.ListComp() | ast.Set() | ast.SetComp() | ast.DictComp():
            return True
        case ast.Name(id=name):
            return name in boxed
        case ast.Call(
            func=ast.Name(id="list" | "tuple" | "dict" | "sorted" | "set" | "range" | "bytes")
        ):
            return True
        case ast.Call(func=ast.Attribute(attr="split" | "rsplit" | "splitlines")):
            return True
    return False


def _is_read(node: ast.expr, parent: ast.AST | None) -> bool:
    """Whether an iterator is read to its end, once, where it stands."""
    match parent:
        case ast.For(iter=source) | ast.comprehension(iter=source):
            return source is node and (
                not isinstance(node, ast.GeneratorExp) or not isinstance(parent, ast.For)
            )
        case ast.Call(func=ast.Name(id=name), args=[source, *_]):
            return source is node and name in _READERS
        case ast.Call(func=ast.Attribute(attr="join" | "extend"), args=[source]):
            return source is node
        case ast.Starred():
            return True
    return False


def _is_made_and_read(node: ast.Name, parents: dict[int, ast.AST]) -> bool:
    call = parents.get(id(node))
    made = isinstance(call, ast.Call) and call.func is node
    return made and _is_read(call, parents.get(id(call)))  # type: ignore[arg-type]


def _is_raised(node: ast.Name, parents: dict[int, ast.AST]) -> bool:
    """Whether the class of an exception is raised, caught or called, and nothing else."""
    parent = parents.get(id(node))
    if isinstance(parent, ast.Tuple):
        parent = parents.get(id(parent))
    called = isinstance(parent, ast.Call) and parent.func is node
    return called or isinstance(parent, ast.Raise | ast.ExceptHandler)


def _names_of_sets(tree: ast.Module) -> set[str]:
    """The names that a program gives to a set somewhere, or takes sets out of."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets, value=value) if _makes_set(value, names):
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.AugAssign(target=ast.Name(id=name), value=value) if _makes_set(value, names):
                names.add(name)
            case ast.FunctionDef(name=name) if name != "f" and any(
                isinstance(item, ast.Return) and _makes_set(item.value, names)
                for item in ast.walk(node)
            ):
                names.add(name)
    return names


def _makes_set(value: ast.AST | None, names: set[str]) -> bool:
    """Whether an expression is a set, by its form or since a name in it stands for one."""
    # A loop: expressions are as deep as the parser lets them be, which is deeper than our stack.
    pending = [value]
    while pending:
        match pending.pop():
            case ast.Set() | ast.SetComp():
                return True
            case ast.Name(id=name) if name in names:
                return True
            case ast.Call(func=ast.Name(id=name)) if name in names or name in _SET_MAKERS:
                return True
            case ast.Call(func=ast.Attribute(value=owner, attr=name)) if name in _SET_METHODS:
                pending.append(owner)
            case ast.BinOp(left=left, right=right) | ast.IfExp(body=left, orelse=right):
                pending += [left, right]
            case ast.BoolOp(values=values):
                pending += values
    return False


def _shows_order(node: ast.expr, parent: ast.AST | None) -> bool:
    """Whether what holds a set may depend on the set's order."""
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        return False
    match parent:
        case ast.Call(func=ast.Name(id=name), args=[source, *_]):
            return not (source is node and name in _ORDERLESS)
        case ast.Attribute(attr=name):
            return name not in _SET_METHODS
        case ast.Compare() | ast.Return() | ast.BoolOp() | ast.If() | ast.While() | ast.IfExp():
            return False
        case ast.Assign(targets=targets):
            return not all(isinstance(target, ast.Name) for target in targets)
        case ast.UnaryOp() | ast.BinOp() | ast.AugAssign() | ast.Expr():
            return False
    return True
