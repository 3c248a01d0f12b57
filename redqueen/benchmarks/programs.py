"""Reading a program out of a completion."""

import ast
import re
from collections.abc import Iterator

from redqueen.sandbox import parse_module

_FENCE = re.compile(r"^```[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^```|\Z)", re.DOTALL | re.MULTILINE)
_FAILURES = (SyntaxError, ValueError, MemoryError, RecursionError)
_LONGEST = 20_000
"""Characters of a completion that are looked at."""
_TRIES = 200
"""Lines that are taken away from the end of a text that is no program."""


def code_blocks(text: str) -> list[str]:
    """Return the contents of all fenced blocks; those that say `python` if there are any."""
    blocks = [(match[1].lower(), match[2]) for match in _FENCE.finditer(text)]
    python = [body for language, body in blocks if language in ("python", "py", "python3")]
    return python or [body for _, body in blocks]


def function_program(text: str, prompt: str, entry_point: str) -> str | None:
    """Return the program in a completion that defines `entry_point`; None if there is none.

    It is the last fenced block that defines it, else the text itself, else the text as what comes
    after `prompt`. Of a text that goes on in prose, the longest beginning that parses counts. Only
    imports and the definitions that the entry point uses are kept: no tests, no calls.
    """
    text = text[:_LONGEST]
    blocks = code_blocks(text)
    candidates = [*reversed(blocks), "\n".join(blocks), text]
    if text.lstrip("\n")[:1] in (" ", "\t"):
        candidates.append(f"{prompt}{text}")
    for number, candidate in enumerate(candidates):
        least = prompt.count("\n") if number == len(blocks) + 2 else 0
        for source in _beginnings(candidate, least):
            tree = _parse(source)
            if tree is not None:
                if entry_point in _definitions(tree):
                    return _needed(tree, source, entry_point)
                break
    return None


def _beginnings(text: str, least: int) -> Iterator[str]:
    """Yield a text, and what is left of it as lines are taken away from its end; more than `least`
    lines stay."""
    lines = text.rstrip().split("\n")
    for count in range(len(lines), max(least, len(lines) - _TRIES), -1):
        yield "\n".join(lines[:count])


def _parse(source: str) -> ast.Module | None:
    try:
        return parse_module(source)
    except _FAILURES:
        return None


def _names(node: ast.stmt) -> list[str]:
    """Return the names that a statement defines, if it is one that is kept."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [item.id for target in targets for item in ast.walk(target)
                    if isinstance(item, ast.Name)]  # fmt: skip
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def _definitions(tree: ast.Module) -> dict[str, list[ast.stmt]]:
    definitions: dict[str, list[ast.stmt]] = {}
    for node in tree.body:
        for name in _names(node):
            definitions.setdefault(name, []).append(node)
    return definitions


def _needed(tree: ast.Module, source: str, entry_point: str) -> str:
    """Return the source of the imports and of what the entry point uses, in their order."""
    definitions = _definitions(tree)
    todo, kept = [entry_point], set[ast.stmt]()
    while todo:
        for node in definitions.pop(todo.pop(), ()):
            kept.add(node)
            todo += [item.id for item in ast.walk(node) if isinstance(item, ast.Name)]
    lines = source.split("\n")
    parts = []
    for node in tree.body:
        if node in kept or isinstance(node, ast.Import | ast.ImportFrom):
            decorators = getattr(node, "decorator_list", [])
            first = min([node.lineno, *(item.lineno for item in decorators)])
            parts += lines[first - 1 : node.end_lineno]
    return "\n".join(parts) + "\n"
