"""Keys and texts of which monty makes something else than CPython, by what reaches them."""

import ast
from collections.abc import Iterable, Iterator

from redqueen.sandbox.flows import NESTED, OBJECT, ODD, Flows, TooLargeError


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


def odd_text(tree: ast.Module, nodes: Iterable[ast.AST]) -> bool:
    """Whether something may be written that monty writes otherwise than CPython."""
    items = [item for item in _written(nodes) if not isinstance(item, ast.Constant)]
    if not items:
        return False
    try:
        flows = Flows(tree)
        return any(flows.may_hold(item, source) for item in items for source in (NESTED, OBJECT))
    except TooLargeError:
        return True


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
