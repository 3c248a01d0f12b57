"""The constructs that a program uses, and the pairs of them that no corpus shows together."""

import ast
import builtins
from itertools import combinations

HELD_OUT_PAIRS: frozenset[tuple[str, str]] = frozenset(
    tuple(sorted(pair))  # type: ignore[misc]
    for pair in (
        ("while", "comprehension"),
        ("while", "str_method"),
        ("while", "setitem"),
        ("while", "continue"),
        ("while", "helper"),
        ("for_each", "helper"),
        ("for_each", "elif"),
        ("for_each", "pair"),
        ("for_range", "break"),
        ("enumerate", "append"),
        ("enumerate", "boolop"),
        ("items", "ternary"),
        ("items", "slice"),
        ("early_return", "append"),
        ("early_return", "comprehension"),
        ("elif", "helper"),
        ("break", "slice"),
        ("table", "sorted"),
    )
)
"""Each half is common in the corpus; the two together are only in the *middle* suite."""

_STR_METHODS = frozenset(
    {"upper", "lower", "replace", "count", "find", "startswith", "endswith", "join", "split"}
)

_BY_NODE = (
    ast.operator, ast.cmpop, ast.unaryop, ast.Lambda, ast.SetComp, ast.DictComp, ast.Set, ast.Try,
    ast.Raise, ast.Assert, ast.NamedExpr, ast.Starred, ast.JoinedStr, ast.Match, ast.Import,
    ast.ImportFrom, ast.List,
)  # fmt: skip


def constructs(source: str) -> frozenset[str]:
    """The names of the constructs in a program.

    `for_each` is a loop over anything but a range, `enumerate` and `.items()`; `pair` is a tuple
    that is made; `helper` is a second function. Calls of builtins and of methods go by their names,
    operators and rarer forms by those of their nodes.
    """
    tree = ast.parse(source)
    found: set[str] = set()
    for node in ast.walk(tree):
        found.update(_of_node(node))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    if len(functions) > 1:
        found.add("helper")
    for function in functions:
        for node in ast.walk(function):
            if isinstance(node, ast.Return) and node is not function.body[-1]:
                found.add("early_return")
    return frozenset(found)


def held_out_pairs(source: str) -> frozenset[tuple[str, str]]:
    """The held-out pairs that a program holds."""
    return frozenset(combinations(sorted(constructs(source)), 2)) & HELD_OUT_PAIRS


def _of_node(node: ast.AST) -> set[str]:
    match node:
        case ast.While():
            return {"while"}
        case ast.For(iter=ast.Call(func=ast.Name(id="range"))):
            return {"for_range"}
        case ast.For(iter=ast.Call(func=ast.Name(id="enumerate"))):
            return {"enumerate"}
        case ast.For(iter=ast.Call(func=ast.Attribute(attr="items"))):
            return {"items"}
        case ast.For():
            return {"for_each"}
        case ast.If(orelse=[ast.If()]):
            return {"if", "elif"}
        case ast.If(orelse=orelse):
            return {"if", "else"} if orelse else {"if"}
        case ast.ListComp() | ast.GeneratorExp():
            return {"comprehension"}
        case ast.BoolOp():
            return {"boolop"}
        case ast.IfExp():
            return {"ternary"}
        case ast.Subscript(slice=ast.Slice()):
            return {"slice"}
        case ast.Subscript(ctx=ast.Store()):
            return {"setitem"}
        case ast.Assign(targets=[ast.Tuple()]):
            return {"swap"}
        case ast.Tuple(ctx=ast.Load()):
            return {"pair"}
        case ast.Dict():
            return {"table"}
        case ast.AugAssign():
            return {"augment"}
        case ast.Break():
            return {"break"}
        case ast.Continue():
            return {"continue"}
        case ast.Call(func=ast.Name(id="sorted")):
            return {"sorted"}
        case ast.Call(func=ast.Attribute(attr=name)):
            return {"str_method"} if name in _STR_METHODS else {name}
        case ast.Call(func=ast.Name(id=name)) if hasattr(builtins, name):
            return {name}
        case _ if isinstance(node, _BY_NODE):
            return {type(node).__name__}
    return set()
