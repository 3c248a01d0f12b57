"""Reading untrusted text as Python, without running it and without a word about its style."""

import ast
import threading
import warnings

UNTRUSTED = "<untrusted>"
"""The file name of all text that is read here; Python's warnings carry it."""

_LOCK = threading.Lock()


def parse_module(text: str) -> ast.Module:
    """The syntax tree of a program. Thread-safe, and never warns of invalid escapes and the like.

    Raises:
        SyntaxError, ValueError, MemoryError, RecursionError: it is none.
    """
    tree = _parse(text, "exec")
    assert isinstance(tree, ast.Module)
    return tree


def parse_expression(text: str) -> ast.Expression:
    """The syntax tree of one expression; see `parse_module`."""
    tree = _parse(text, "eval")
    assert isinstance(tree, ast.Expression)
    return tree


def compile_problem(text: str) -> Exception | None:
    """Return what CPython's compiler says against a program; None: nothing. It runs nothing.

    Thread-safe, and without warnings, as `parse_module`. The parser alone lets pass what only the
    compiler sees: `break` outside of a loop, a name that is a parameter and global.
    """
    try:
        _parse(text, "exec", 0)
    except (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError) as error:
        return error
    return None


def _parse(text: str, mode: str, flags: int = ast.PyCF_ONLY_AST) -> object:
    # CPython 3.11 counts the depth of the tree it builds in one place for all threads, and gives up
    # when two of them meet there (python/cpython issue 106905).
    with _LOCK:
        # `warnings.catch_warnings` would set the filters of all threads aside for a while, and two
        # threads that do so could leave them changed; so the name of the file says what is silent.
        first = warnings.filters[0][3] if warnings.filters else None
        if getattr(first, "pattern", None) != UNTRUSTED:
            warnings.filterwarnings("ignore", module=UNTRUSTED)
        return compile(text, UNTRUSTED, mode, flags, dont_inherit=True)
