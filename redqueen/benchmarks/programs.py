"""Reading a program out of a completion."""

import ast
import re
import sys
from collections.abc import Iterator

from redqueen.environments.code.names import bound_at_top, global_names
from redqueen.environments.code.replies import blocks_of, completed, spoken
from redqueen.sandbox import parse_module

_BEGIN = re.compile(r"^(?:(?:async )?def |class |import |from |@|\w+ *=)", re.MULTILINE)
_FAILURES = (SyntaxError, ValueError, MemoryError, RecursionError)
_LONGEST = 20_000
"""Characters of a completion that are looked at."""
_TRIES = 200
"""Lines that are taken away from the end of a text that is no program."""


def code_blocks(text: str) -> list[str]:
    """Return the contents of all fenced blocks after the thoughts; those that say `python` if there
    are any."""
    blocks = blocks_of(spoken(text))
    python = [block.text for block in blocks if block.language in ("python", "py", "python3")]
    return python or [block.text for block in blocks]


def function_program(text: str, prompt: str, entry_point: str) -> str | None:
    """Return the program in a completion that defines `entry_point`; None if there is none.

    It is the last fenced block that defines it, after what it needs of the earlier ones; else the
    text itself, or what begins in it like code; else the text as what comes after `prompt`. Of a
    text that goes on in prose, the longest beginning that parses counts. Only the definitions that
    the entry point uses are kept, and their imports: no tests, no calls.
    """
    text = spoken(text[:_LONGEST])
    blocks = code_blocks(text)
    candidates = [
        *((completed(blocks[n], blocks[:n]), 0) for n in reversed(range(len(blocks)))),
        ("\n".join(blocks), 0),
        (text, 0),
    ]
    if begun := _BEGIN.search(text):
        candidates.append((text[begun.start() :], 0))
    if text.lstrip("\n")[:1] in (" ", "\t"):
        candidates.append((f"{prompt}{text}", prompt.count("\n")))
    for candidate, least in candidates:
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
    """Return the source of the imports and of what the entry point uses, in their order.

    As in EvalPlus' own extraction, a definition counts as used where its name stands, though it be
    a parameter's there: a program that reads its test from `input()` fails with both.
    """
    definitions = _definitions(tree)
    todo, kept, names = [entry_point], set[ast.stmt](), set[str]()
    while todo:
        for node in definitions.pop(todo.pop(), ()):
            kept.add(node)
            todo += [item.id for item in ast.walk(node) if isinstance(item, ast.Name)]
            names |= global_names(ast.Module([node], []))
    lines = source.split("\n")
    parts = []
    for node in tree.body:
        if node in kept or _is_import_of(node, names):
            decorators = getattr(node, "decorator_list", [])
            first = min([node.lineno, *(item.lineno for item in decorators)])
            parts += lines[first - 1 : node.end_lineno]
    return "\n".join(parts) + "\n"


def _is_import_of(node: ast.stmt, names: set[str]) -> bool:
    """Whether a statement imports one of these names, or something of the standard library, which
    does no harm: the jail lacks other packages."""
    match node:
        case ast.Import(names=modules):
            packages = [item.name for item in modules]
        case ast.ImportFrom(module=str(module)):
            packages = [module]
        case _:
            return False
    standard = all(item.partition(".")[0] in sys.stdlib_module_names for item in packages)
    return standard or bool(bound_at_top(ast.Module([node], [])) & {*names, "*"})
