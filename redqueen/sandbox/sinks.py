"""Keys and texts of which monty makes something else than CPython, by what reaches them."""

import ast
from collections.abc import Collection, Iterable, Iterator, Sequence

from redqueen.sandbox.flows import NESTED, OBJECT, ODD, PUTTERS, Flows, TooLargeError


def number_types(values: Iterable[object]) -> frozenset[type]:
    """Return the types of the numbers among some values."""
    return frozenset(type(item) for item in values) & {bool, int, float, complex}


def odd_key(tree: ast.Module, nodes: Iterable[ast.AST], types: frozenset[type]) -> bool:
    """Whether a dict may get a bool or a float as a key that another key equals; see `Flows`.

    `types` are those of the numbers in the arguments: where there is one alone, and no key is
    written as a number, keys that are taken from the arguments are no others.
    """
    stored = list(_keys(nodes))
    if all(isinstance(key, ast.Constant) and type(key.value) in (str, int) for key in stored):
        return False
    numbers = len(types) > 1 or any(
        type(getattr(part, "value", None)) is int for key in stored for part in ast.walk(key)
    )
    try:
        flows = Flows(tree, odd_arguments=numbers and bool(types - {int}))
        return any(flows.may_be(key, ODD) for key in stored)
    except TooLargeError:
        return True


def odd_text(tree: ast.Module, nodes: Sequence[ast.AST], strict: bool = True) -> bool:
    """Whether something may be written that monty writes otherwise than CPython.

    Flows know no order, so that `a = [a]` looks like a list in itself. Unless `strict`, what they
    say of nesting counts only in a program that puts a named value into a container or calls its
    own functions; a loop that binds a name to a container of itself counts as well.
    """
    items = [item for item in _written(nodes) if not isinstance(item, ast.Constant)]
    if not items:
        return False
    if not strict and _deepens(nodes):
        return True
    sources = (NESTED, OBJECT) if strict or _puts(nodes) else (OBJECT,)
    try:
        flows = Flows(tree)
        return any(flows.may_hold(item, source) for item in items for source in sources)
    except TooLargeError:
        return True


def _deepens(nodes: Iterable[ast.AST]) -> bool:
    """Whether a loop puts a name's value into a container of the same name."""
    for node in nodes:
        if not isinstance(node, ast.For | ast.While):
            continue
        for part in (part for statement in node.body for part in ast.walk(statement)):
            match part:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    if not isinstance(value, ast.Name) and _holds(value, {name}):
                        return True
    return False


def _puts(nodes: Sequence[ast.AST]) -> bool:
    """Whether a program puts what has a name into a container, or calls its own functions."""
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    functions = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    for node in nodes:
        match node:
            case ast.Call(func=ast.Attribute(attr=put), args=args) if put in PUTTERS:
                if any(_holds(item, names) for item in args):
                    return True
            case ast.Call(func=ast.Name(id=name)) if name in functions:
                return True
            case ast.Assign(targets=targets, value=value) if isinstance(
                value, ast.List | ast.Dict
            ) or _holds(value, names):
                if any(isinstance(target, ast.Subscript) for target in targets):
                    return True
            case ast.AugAssign(value=ast.List() | ast.Tuple() as value) if _holds(value, names):
                return True
    return False


def _holds(value: ast.expr, names: Collection[str]) -> bool:
    """Whether an expression is the value of one of the names, or a display that holds it."""
    if isinstance(value, ast.List | ast.Tuple | ast.Set):
        return any(_holds(item, names) for item in value.elts)
    if isinstance(value, ast.Dict):
        return any(_holds(item, names) for item in value.values)
    return isinstance(value, ast.Name) and value.id in names


def _keys(nodes: Iterable[ast.AST]) -> Iterator[ast.expr]:
    """Yield the expressions whose values become keys of a dict, or hold keys."""
    for node in nodes:
        match node:
            case ast.Dict(keys=items):
                yield from (item for item in items if item is not None)
            case ast.DictComp(key=key):
                yield key
            case ast.Subscript(slice=key, ctx=ast.Store()) if not isinstance(key, ast.Slice):
                yield key
            case ast.Call(func=ast.Attribute(attr="setdefault"), args=[key, *_]):
                yield key
            case ast.Call(func=ast.Name(id="dict"), args=[items]):
                yield items
            case ast.Call(func=ast.Attribute(attr="update" | "fromkeys"), args=[items, *_]):
                yield items


def _written(nodes: Iterable[ast.AST]) -> Iterator[ast.expr]:
    """Yield the expressions whose values become text."""
    for node in nodes:
        match node:
            case ast.Call(func=ast.Name(id="str" | "repr" | "format" | "ascii"), args=[item, *_]):
                yield item
            case ast.FormattedValue(value=item):
                yield item
            case ast.Call(func=ast.Attribute(attr="format"), args=items, keywords=named):
                yield from items
                yield from (keyword.value for keyword in named)
            case ast.BinOp(left=ast.Constant(value=str()), op=ast.Mod(), right=item):
                yield item
            case ast.Call(func=ast.Name(id="map"), args=[ast.Name(id="str" | "repr"), item]):
                yield item
