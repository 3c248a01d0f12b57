"""Names of a module: which it binds, and which it uses and does not have."""

import ast
import builtins
import symtable

from redqueen.environments.code.policy import bound_names

_BUILTINS = frozenset(dir(builtins))


def bound_at_top(tree: ast.Module) -> set[str]:
    """Return the names that the statements of a module give to something, outside of functions."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        else:
            names |= bound_names(node)
    return names


def lacking(tree: ast.Module) -> set[str]:
    """Return the names that a module takes from outside of itself, but for builtins."""
    return global_names(tree) - bound_at_top(tree) - _BUILTINS


def global_names(tree: ast.Module) -> set[str]:
    """Return the names that a module and the functions in it look up in the module.

    A parameter or variable of a function is none of them. Where Python itself finds fault with the
    text (`nonlocal` without a function around), they are all names that are read.
    """
    try:
        table = symtable.symtable(ast.unparse(tree), "<program>", "exec")
    except (SyntaxError, ValueError, RecursionError):
        return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    names, tables = set[str](), [table]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module"):
                names.add(symbol.get_name())
    return names
