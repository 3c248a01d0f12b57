"""Guards against false difficulty in code tasks: tasks that look hard, or valid, and teach nothing.

Each guard has the name of its reason; the key `guards` switches them one by one. `huge_constant`
and `leak` are here, `lookup` is in `lookup.py`, `constant` in `neighbours.py`, `echo` in
`echo.py`. docs/curriculum.md states the rules in words.
"""

import ast
import math
from collections.abc import Iterator, Sequence
from typing import Any

from redqueen.sandbox import literals_equal, parse_literal, render_literal

_MUTATORS = frozenset(
    {
        "append", "extend", "insert", "pop", "remove", "sort", "reverse", "clear", "update",
        "setdefault", "popitem", "add", "discard", "appendleft", "extendleft", "popleft", "rotate",
        "intersection_update", "difference_update", "symmetric_difference_update", "subtract",
        "move_to_end",
    }
)  # fmt: skip


def entry(tree: ast.Module) -> ast.FunctionDef:
    """The function `f` of a program that `parse_program` let through."""
    return next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "f")


def parameters(function: ast.FunctionDef) -> list[str]:
    """The names of its positional parameters, in order."""
    return [item.arg for item in (*function.args.posonlyargs, *function.args.args)]


def own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Everything below `node` but the bodies of functions defined in it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.Lambda):
            yield child
            yield from own_nodes(child)


def is_literal(node: ast.expr | None) -> bool:
    """Whether an expression is a literal: it holds no name, call or computation."""
    if node is None:
        return True
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


# ── huge_constant ───────────────────────────────────────────────────────────────────────────────


def has_huge_constant(
    tree: ast.Module, args: Sequence[tuple[Any, ...]], max_number: int, max_chars: int
) -> bool:
    """Whether the program or an input holds a number beyond ±`max_number` or a text longer than
    `max_chars`.

    Powers, shifts and products of constants count by their value (`9 ** 20`). Infinity is no huge
    number, and docstrings are no data.
    """
    skipped = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            if id(node) not in skipped and _is_huge(node.value, max_number, max_chars):
                return True
        elif isinstance(node, ast.BinOp) and _log2(node) > math.log2(max_number) + 1e-9:
            return True
    return any(_is_huge(item, max_number, max_chars) for given in args for item in _atoms(given))


def _is_huge(value: object, max_number: int, max_chars: int) -> bool:
    match value:
        case complex():
            return _is_huge(value.real, max_number, 0) or _is_huge(value.imag, max_number, 0)
        case int() | float():
            return abs(value) > max_number and not math.isinf(value)
        case str() | bytes():
            return len(value) > max_chars
    return False


def _atoms(value: object) -> Iterator[object]:
    """The scalars in a plain value, keys included."""
    if isinstance(value, dict):
        yield from _atoms([*value, *value.values()])
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from _atoms(item)
    else:
        yield value


def _log2(node: ast.expr) -> float:
    """log2 of the magnitude of a product, power or shift of number literals; 0 for all else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and node.value:
        # math.log2 takes integers of any size.
        return math.log2(abs(node.value))
    if isinstance(node, ast.UnaryOp):
        return _log2(node.operand)
    if isinstance(node, ast.BinOp) and _is_number(node.left) and _is_number(node.right):
        match node.op:
            case ast.Mult():
                return _log2(node.left) + _log2(node.right)
            case ast.Pow():
                return _log2(node.left) * math.exp2(min(_log2(node.right), 64.0))
            case ast.LShift():
                return _log2(node.left) + math.exp2(min(_log2(node.right), 64.0))
    return 0.0


def _is_number(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return _is_number(node.left) and _is_number(node.right)
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub | ast.UAdd) and _is_number(node.operand)
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


# ── leak ────────────────────────────────────────────────────────────────────────────────────────


def passes_through(tree: ast.Module) -> str | None:
    """`literal`, or the name of the parameter, if that is all that `f` can return.

    It is when `f` has one return, on its outermost level, of a literal or of a parameter that is
    never bound again, changed in place or handed to a function of the program; also through names
    that only pass it on (`b = a`). Decorating code around the return does not matter.
    """
    function = entry(tree)
    nodes = list(own_nodes(function))
    returns = [node for node in nodes if isinstance(node, ast.Return)]
    if len(returns) != 1 or returns[0] not in function.body:
        return None
    value = returns[0].value
    seen = {id(value)}
    while isinstance(value, ast.Name) and value.id not in parameters(function):
        source = _passed_on(function, value.id)
        if source is None or id(source) in seen:
            return None
        seen.add(id(source))
        value = source
    if not isinstance(value, ast.Name):
        return "literal" if is_literal(value) else None
    helpers = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    return None if _may_change(function, value.id, helpers) else value.id


def _passed_on(function: ast.FunctionDef, name: str) -> ast.expr | None:
    """The expression that `name` stands for if it is bound once, at top level, and read once."""
    uses = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == name]
    loads = sum(isinstance(node.ctx, ast.Load) for node in uses)
    if len(uses) != 2 or loads != 1:
        return None
    for node in function.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                return value
    return None


def _may_change(function: ast.FunctionDef, name: str, helpers: set[str]) -> bool:
    """Whether `f` binds a name again, changes its value in place, or gives it to a helper."""

    def named(node: ast.AST) -> bool:
        while isinstance(node, ast.Subscript | ast.Attribute | ast.Starred):
            node = node.value
        return isinstance(node, ast.Name) and node.id == name

    for node in ast.walk(function):
        match node:
            case ast.Name() | ast.Subscript() if not isinstance(node.ctx, ast.Load):
                if named(node):
                    return True
            case ast.Call(func=ast.Attribute(value=owner, attr=attr)):
                if attr in _MUTATORS and named(owner):
                    return True
            case ast.Call(func=ast.Name(id=called)) if called in helpers:
                if any(map(named, node.args)):
                    return True
            case ast.MatchAs(name=bound) | ast.MatchStar(name=bound) if bound == name:
                return True
    return False


def leaks_value(
    kind: str, tree: ast.Module, source: str, args: tuple[Any, ...], output: str, chars: int
) -> bool:
    """Whether the prompt of a `code_o` or `code_i` task gives its answer away.

    `source` and `output` are canonical texts. A function that passes a literal or a parameter
    through leaks. Else the answer (all arguments, for `code_i`) must stand verbatim in what is
    shown, as whole literals, and be `chars` long in all: short ones stand there by chance.
    """
    through = passes_through(tree)
    if through == "literal":
        return True
    if through is not None:
        value = args[parameters(entry(tree)).index(through)]
        return literals_equal(value, parse_literal(output)[1])
    texts = [render_literal(value) or "" for value in args]
    answers, where = ([output], [source, *texts]) if kind == "code_o" else (texts, [source, output])
    shown = all(any(text in place for place in where) for text in answers)
    return shown and sum(map(len, answers)) >= chars


def leaks_case(
    shown: Sequence[tuple[Any, ...]], hidden: Sequence[tuple[Any, ...]], message: str, source: str,
    chars: int,
) -> bool:  # fmt: skip
    """Whether a `code_f` task shows a hidden input (`1` is `1.0`), or its message the code.

    The message shows the code if it holds the body of the program, white space aside, and the
    body has `chars` characters or more.
    """
    if any(literals_equal(list(a), list(b)) for a in hidden for b in shown):
        return True
    body = "".join(source.partition("\n")[2].split())
    return len(body) >= chars and body in "".join(message.split())
