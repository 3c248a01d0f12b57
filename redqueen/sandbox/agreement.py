"""Which calls monty is known to answer as CPython does.

Monty differs in places that nothing marks, so this is a list of what is known to be the same, not
of what is known to differ: statements, operators, builtins and methods on which both agreed for
thousands of generated programs (tests/sandbox/test_auto.py). Everything else is CPython's.
Left out with reason, as far as the reasons are known:

- `map`, `filter`, `zip`, `enumerate`, `reversed`, `iter` and generator expressions are lists in
  monty: they can be measured, indexed and read twice, and have no side effects in between. They
  count as the same only where they are consumed at once, in a `for` or by one call of a builtin;
  a generator expression, whose condition may stop early, nowhere;
- sets have another order;
- floats: `round` works on the printed digits, and CPython 3.12 sums without losing digits;
- the texts of exceptions, and what goes on after one was caught: `try` is left out;
- letters beyond ASCII, written, escaped or made by `chr`: two versions of Unicode;
- the text of what holds itself, or is nested without end, which monty cuts short;
- `re` treats empty matches differently, and other modules are there in part;
- what changes while it is iterated over: CPython may raise where monty goes on, so a loop over a
  name must not hold a call of a method or an assignment that changes what has this name;
- what is searched from a place beyond a text's end, where monty finds the empty text;
- keys: of `d[1]` and `d[True]` monty keeps the last, CPython the first, whatever expression the
  key comes from (see `flows`);
- mutable defaults and names of the module: nothing is known against them, but they are rare.
"""

import ast
import functools
from collections.abc import Container, Iterable, Iterator

from redqueen.sandbox.sinks import number_types, odd_key, odd_text
from redqueen.sandbox.syntax import parse_module

_STATEMENTS = (
    ast.Module, ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.Assign, ast.AugAssign,
    ast.For, ast.While, ast.If, ast.Expr, ast.Break, ast.Continue, ast.Pass,
)  # fmt: skip
_EXPRESSIONS = (
    ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Compare, ast.IfExp, ast.Call, ast.Constant, ast.Name,
    ast.Attribute, ast.Subscript, ast.Slice, ast.List, ast.Tuple, ast.Dict, ast.ListComp,
    ast.DictComp, ast.comprehension, ast.expr_context,
)  # fmt: skip
_OPERATORS = (
    ast.And, ast.Or, ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod, ast.Not, ast.USub,
    ast.UAdd, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn,
)  # fmt: skip
_SAME = frozenset((*_STATEMENTS, *_EXPRESSIONS, *_OPERATORS, ast.Load, ast.Store))

_MAX_CHARS = 10_000
"""Longer programs are not looked at."""
_BUILTINS = frozenset({
    "len", "max", "min", "sum", "abs", "sorted", "range", "str", "bool", "list", "tuple", "dict",
    "ord", "divmod", "any", "all",
})  # fmt: skip
_LAZY = frozenset({"zip", "enumerate", "reversed"})
_CONSUMERS = frozenset({"list", "tuple", "dict", "sum", "sorted", "max", "min"})
_METHODS = frozenset({
    # strings
    "upper", "lower", "replace", "split", "join", "startswith", "endswith", "strip", "lstrip",
    "rstrip", "find", "rfind", "isdigit", "isalpha", "isalnum", "isupper", "islower", "swapcase",
    "capitalize", "zfill",
    # lists, and some of both
    "append", "extend", "insert", "pop", "remove", "index", "count", "reverse", "copy",
    # dicts
    "get", "keys", "values", "items", "setdefault", "update",
})  # fmt: skip
_CHANGES = frozenset({
    "append", "extend", "insert", "pop", "remove", "reverse", "setdefault", "update",
})  # fmt: skip
SEARCHES = frozenset({"find", "rfind", "index", "rindex", "count", "startswith", "endswith"})
"""Methods of texts that take the places where to begin and to end."""
_VIEWS = frozenset({"keys", "values", "items"})


def agrees(code: str, args: Iterable[object]) -> bool:
    """Whether monty is known to make of this call what CPython makes of it, if it makes a value."""
    args = tuple(args)
    return _plain(args) and _program_agrees(code, number_types(scalars_in(args)))


@functools.lru_cache(1 << 14)
def _program_agrees(code: str, types: frozenset[type]) -> bool:
    if len(code) > _MAX_CHARS or not code.isascii():
        return False
    try:
        tree = parse_module(code)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    nodes = list(ast.walk(tree))
    return _tree_agrees(tree) and not odd_key(tree, nodes, types) and not odd_text(tree, nodes)


def _tree_agrees(tree: ast.Module) -> bool:
    nodes = list(ast.walk(tree))
    if any(type(node) not in _SAME for node in nodes):
        return False
    if any(type(node) is not ast.FunctionDef for node in tree.body):
        return False
    # A function in a function has a scope of its own, which the rules below do not follow.
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    if len(functions) != len(tree.body) or not all(map(_simple, functions)):
        return False
    defined = {node.name for node in functions}
    names = [node for node in nodes if isinstance(node, ast.Name)]
    bound = {name.id for name in names if isinstance(name.ctx, ast.Store)}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    known = _BUILTINS | _LAZY | defined
    if (bound | defined) & (_BUILTINS | _LAZY) or bound & defined:
        return False
    consumed = _consumed(nodes)
    for node in nodes:
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in known:
                if node.keywords or (name in _LAZY and id(node) not in consumed):
                    return False
            case ast.Call(func=ast.Attribute(attr=name)) if name in _METHODS:
                if node.keywords or (name in _VIEWS and id(node) not in consumed):
                    return False
                if name in SEARCHES and len(node.args) > 1:
                    return False
            case ast.Dict() | ast.Subscript() if has_odd_key(node):
                return False
            case ast.Call():
                return False
            case ast.Constant(value=str(text)) if not text.isascii():
                return False
            case ast.Constant(value=value) if type(value) not in (int, str, bool, type(None)):
                return False
            case ast.For() if changes_what_it_reads(node):
                return False
    return _names_are_called(nodes, known, bound) and _methods_are_called(nodes)


def _simple(function: ast.FunctionDef) -> bool:
    """Whether a function takes plain parameters, and has no decorators and annotations."""
    taken = function.args
    odd = (taken.vararg, taken.kwarg, function.returns)
    many = (*taken.kwonlyargs, *taken.defaults, *function.decorator_list)
    typed = any(item.annotation for item in (*taken.posonlyargs, *taken.args))
    return not any(odd) and not many and not typed


def _consumed(nodes: Iterable[ast.AST]) -> set[int]:
    """Ids of expressions that are read to their end, once, where they stand."""
    places: set[int] = set()
    for node in nodes:
        match node:
            case ast.For(iter=source) | ast.comprehension(iter=source):
                places.add(id(source))
            case ast.Call(func=ast.Name(id=name), args=[source]) if name in _CONSUMERS:
                places.add(id(source))
    return places


def _names_are_called(nodes: Iterable[ast.AST], known: Iterable[str], bound: set[str]) -> bool:
    """Whether builtins and functions are only called, and all other names are bound somewhere."""
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    names = set(known)
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            if (node.id in names) != (id(node) in called):
                return False
            if node.id not in names and node.id not in bound:
                return False
    return True


def _methods_are_called(nodes: Iterable[ast.AST]) -> bool:
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    return all(id(node) in called for node in nodes if isinstance(node, ast.Attribute))


def changes_what_it_reads(loop: ast.For, aliases: Container[str] | None = None) -> bool:
    """Whether the body of a loop may change the value that the loop goes through.

    Two names may stand for one list: those in `aliases`, or without it any two.
    """
    if _is_fresh(loop.iter):
        return False
    sources = {node.id for node in ast.walk(loop.iter) if isinstance(node, ast.Name)}

    def is_source(owner: ast.expr) -> bool:
        while isinstance(owner, ast.Subscript | ast.Attribute | ast.Call):
            owner = owner.func if isinstance(owner, ast.Call) else owner.value
        if aliases is None or not isinstance(owner, ast.Name):
            return True
        return owner.id in sources or owner.id in aliases

    for statement in loop.body:
        for node in ast.walk(statement):
            match node:
                case ast.Call(func=ast.Attribute(value=owner, attr=name)) if name in _CHANGES:
                    if is_source(owner):
                        return True
                case ast.Subscript(value=owner, ctx=ast.Store() | ast.Del()) if is_source(owner):
                    return True
                case ast.AugAssign(target=ast.Name(id=name)) if name in sources:
                    return True
    return False


def _is_fresh(source: ast.expr) -> bool:
    """Whether a loop goes through something that no name stands for."""
    match source:
        case ast.Call(func=ast.Name(id=name)):
            return name in _BUILTINS
        case ast.Subscript(slice=ast.Slice()) | ast.ListComp() | ast.BinOp():
            return True
    return False


def has_odd_key(node: ast.Dict | ast.Subscript) -> bool:
    """Whether a dict may get a key of another type that equals one that it has."""
    if isinstance(node, ast.Subscript):
        return isinstance(node.ctx, ast.Store) and _is_odd_key(node.slice)
    return any(map(_is_odd_key, node.keys))


def _is_odd_key(key: ast.expr | None) -> bool:
    match key:
        case ast.Constant(value=bool() | float()) | ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return True
    return False


def is_ascii(scalars: Iterable[object]) -> bool:
    """Whether all texts among some values are ASCII."""
    return all(item.isascii() for item in scalars if isinstance(item, str))


def _plain(values: Iterable[object]) -> bool:
    """Whether values hold nothing but whole numbers, ASCII, lists, tuples and dicts."""
    scalars = list(scalars_in(values))
    if not all(item is None or isinstance(item, int | str) for item in scalars):
        return False
    return is_ascii(scalars)


def scalars_in(values: Iterable[object]) -> Iterator[object]:
    """The items of lists, tuples and dicts at any depth; other values as they are."""
    level = list(values)
    while level:
        below: list[object] = []
        for item in level:
            if isinstance(item, list | tuple):
                below += item
            elif isinstance(item, dict):
                below += [*item, *item.values()]
            else:
                yield item
        level = below
