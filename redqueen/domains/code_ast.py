"""What the code domain reads off a program's syntax tree: the policy and the features."""

import ast
import warnings
from dataclasses import dataclass

FORBIDDEN_NAMES = frozenset(
    "open input print exec eval compile globals locals vars dir getattr setattr delattr hasattr "
    "breakpoint exit quit help id hash object super type memoryview __import__ __builtins__ "
    "classmethod staticmethod property".split()
)
"""Names that reach input/output, the interpreter or state outside the function."""

ALLOWED_MODULES = frozenset({"math", "re", "collections", "itertools", "functools", "string"})
"""Modules without randomness, time, input/output, network, processes or hidden state."""

_FORBIDDEN_NODES = (
    ast.Global, ast.Nonlocal, ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith,
    ast.Yield, ast.YieldFrom, ast.ClassDef, ast.With, ast.Delete,
)  # fmt: skip
_BRANCHES = (ast.If, ast.For, ast.While, ast.IfExp, ast.ExceptHandler, ast.Assert, ast.match_case)
_TYPES = {
    ast.List: "list", ast.ListComp: "list", ast.Tuple: "tuple", ast.Dict: "dict",
    ast.DictComp: "dict", ast.Set: "set", ast.SetComp: "set", ast.JoinedStr: "str",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parsed:
    """A program that is syntactically fine: its tree and its canonical text."""

    tree: ast.Module
    source: str
    arity: int


def parse_program(text: str, max_chars: int) -> Parsed | str:
    """Parse a program whose entry point is a function `f`; or name what is wrong with it.

    Returns one of the reasons `too_long`, `syntax_error`, `no_function`, `forbidden` instead of
    raising. The function takes at least one plain positional argument.
    """
    if len(text) > max_chars:
        return "too_long"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
            source = ast.unparse(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "syntax_error"
    entry = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "f"]
    if len(entry) != 1:
        return "no_function"
    arguments = entry[0].args
    plain = not (arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.defaults)
    arity = len(arguments.posonlyargs) + len(arguments.args)
    if not plain or arity == 0 or entry[0].decorator_list:
        return "no_function"
    if any(_is_forbidden(node) for node in ast.walk(tree)) or not _only_definitions(tree):
        return "forbidden"
    return Parsed(tree, source, arity)


def _only_definitions(tree: ast.Module) -> bool:
    return all(
        isinstance(node, ast.FunctionDef | ast.Import | ast.ImportFrom) for node in tree.body
    )


def _is_forbidden(node: ast.AST) -> bool:
    if isinstance(node, _FORBIDDEN_NODES):
        return True
    if isinstance(node, ast.Name):
        return node.id in FORBIDDEN_NAMES or node.id.startswith("__")
    if isinstance(node, ast.Attribute):
        return node.attr.startswith("_")
    if isinstance(node, ast.Import):
        return any(alias.name not in ALLOWED_MODULES for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return node.level != 0 or node.module not in ALLOWED_MODULES
    if isinstance(node, ast.FunctionDef):
        return bool(node.decorator_list)
    return False


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
    below = [
        depth(child)
        for child in ast.iter_child_nodes(tree)
        if not isinstance(child, ast.expr_context | ast.operator | ast.cmpop | ast.unaryop)
    ]
    return 1 + max(below, default=0)


def features(parsed: Parsed) -> dict[str, float]:
    """The numbers that describe a program to the archive and the report."""
    types = {name for node in ast.walk(parsed.tree) if (name := _TYPES.get(type(node)))}
    return {
        "ast_depth": float(depth(parsed.tree)),
        "cyclomatic": float(cyclomatic(parsed.tree)),
        "lines": float(len(parsed.source.splitlines())),
        "types": float(len(types)),
    }
