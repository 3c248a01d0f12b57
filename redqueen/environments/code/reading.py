"""Values and arguments as people and models write them: `1/2`, `f(1, b=2)`, `assert f(1) == 2`.

What is read is unambiguous: it stands for one value, or for the arguments of one call of `f`.
Nothing is executed and nothing here raises.
"""

import ast
import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from redqueen.sandbox import evaluate_literal, parse_expression, parse_literal, parse_module

MAX_CHARS = 20_000
_FAILURES = (SyntaxError, ValueError, MemoryError, RecursionError)


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one call."""

    positional: tuple[Any, ...]
    named: Mapping[str, Any] = field(default_factory=dict)

    def bind(self, parameters: Sequence[str]) -> tuple[Any, ...] | None:
        """Return one value for each parameter, in order; None if the call does not fit them."""
        rest = parameters[len(self.positional) :]
        if len(self.positional) + len(rest) != len(parameters) or set(rest) != set(self.named):
            return None
        return (*self.positional, *(self.named[name] for name in rest))


def read_value(text: str) -> tuple[bool, Any]:
    """Return `(True, value)` for a literal, or for an assertion that a call of `f` has this value;
    else `(False, None)`. A quotient of two numbers is a literal here, as are `inf` and `set([1])`.
    """
    readable, value = parse_literal(text)
    if readable:
        return True, value
    node = _expression(text)
    match node:
        case ast.Compare(left=left, ops=[ast.Eq() | ast.Is()], comparators=[right]):
            node = right if _is_call(left) else left if _is_call(right) else None
    return (False, None) if node is None else _literal(node)


def asserted_call(text: str) -> Arguments | None:
    """Return the arguments of the call of `f` whose value a text asserts; None if there is none."""
    return read_arguments(text) if isinstance(_expression(text), ast.Compare) else None


def read_arguments(text: str) -> Arguments | None:
    """Return the arguments in a text: `1, 2`, `a=1, b=2`, lines of `a = 1`, a call of `f` or an
    assertion on one. A comment is no part of a call: it makes the text unreadable.
    """
    node = _expression(text)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        calls = [item for item in (node.left, *node.comparators) if _is_call(item)]
        node = calls[0] if len(calls) == 1 else None
    if not _is_call(node):
        node = _expression(f"f({text.strip()}\n)") if text.strip() and "#" not in text else None
    if _is_call(node):
        assert isinstance(node, ast.Call)
        return _call_arguments(node)
    return _assignments(text)


@functools.lru_cache(4096)
def parameters_of(program: str) -> tuple[str, ...]:
    """Return the names of the parameters of a task's function `f`."""
    for node in parse_module(program).body:
        if isinstance(node, ast.FunctionDef) and node.name == "f":
            return tuple(arg.arg for arg in (*node.args.posonlyargs, *node.args.args))
    raise ValueError("the program has no function f")


def _expression(text: str) -> ast.expr | None:
    """Return a text's expression, or what it asserts."""
    text = text.strip()
    if len(text) > MAX_CHARS:
        return None
    try:
        if text.startswith("assert "):
            [statement] = parse_module(text).body
            return statement.test if isinstance(statement, ast.Assert) else None
        return parse_expression(text).body
    except _FAILURES:
        return None


def _is_call(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "f"


def _call_arguments(call: ast.Call) -> Arguments | None:
    positional = [_literal(node) for node in call.args]
    named = {item.arg: _literal(item.value) for item in call.keywords}
    if None in named or len(named) < len(call.keywords):
        return None
    if not all(readable for readable, _ in (*positional, *named.values())):
        return None
    values = {str(name): value for name, (_, value) in named.items()}
    return Arguments(tuple(value for _, value in positional), values)


def _assignments(text: str) -> Arguments | None:
    """Return the arguments in lines that give each parameter its value."""
    try:
        statements = parse_module(text.strip()).body
    except _FAILURES:
        return None
    named: dict[str, Any] = {}
    for node in statements:
        match node:
            case ast.Assign(targets=[target], value=value):
                pairs = assigned(target, value)
                for name, item in pairs:
                    readable, read = _literal(item)
                    if not readable or name in named:
                        return None
                    named[name] = read
                if not pairs:
                    return None
            case _:
                return None
    return Arguments((), named) if named else None


def assigned(target: ast.expr, value: ast.expr) -> list[tuple[str, ast.expr]]:
    """Return the names of an assignment's target with what each is given; none if a part of the
    target is no name, or the parts are not as many as the values."""
    match target, value:
        case ast.Name(id=name), _:
            return [(name, value)]
        case ((ast.Tuple() | ast.List()), (ast.Tuple() | ast.List())):
            names = [item.id for item in target.elts if isinstance(item, ast.Name)]
            if len(names) == len(target.elts) == len(value.elts):
                return list(zip(names, value.elts, strict=True))
    return []


def _literal(node: ast.expr) -> tuple[bool, Any]:
    try:
        return evaluate_literal(_Written().visit(node))
    except (ValueError, TypeError, ArithmeticError, RecursionError):
        return False, None


class _Written(ast.NodeTransformer):
    """Puts its value in the place of a quotient, an infinity, `set([1])`."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        if not isinstance(node.op, ast.Div):
            return node
        (left_reads, left), (right_reads, right) = map(evaluate_literal, (node.left, node.right))
        numbers = all(type(value) in (int, float) for value in (left, right))
        return ast.Constant(left / right) if left_reads and right_reads and numbers else node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(math.inf) if node.id == "inf" else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        match node:
            case ast.Call(func=ast.Name("float"), args=[ast.Constant("inf" | "-inf" as sign)]):
                return ast.parse(sign.replace("inf", "1e309"), mode="eval").body
            case ast.Call(func=ast.Name("set"), args=[items], keywords=[]):
                if isinstance(items, ast.List | ast.Set | ast.Tuple):
                    empty = ast.Call(ast.Name("set", ast.Load()), [], [])
                    return ast.Set(items.elts) if items.elts else empty
        return node
