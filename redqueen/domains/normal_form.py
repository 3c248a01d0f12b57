"""The normal form of a program: what is left when names, layout and annotations are taken away.

Two programs with the same normal form are the same program under other names.
"""

import ast

_FIELDS: dict[type[ast.AST], str] = {
    ast.FunctionDef: "name", ast.arg: "arg", ast.Name: "id", ast.ExceptHandler: "name",
    ast.MatchAs: "name", ast.MatchStar: "name", ast.MatchMapping: "rest",
}  # fmt: skip
"""Where each kind of node keeps a name that a program may choose."""


def _binds(node: ast.AST) -> bool:
    return not isinstance(node, ast.Name) or isinstance(node.ctx, ast.Store)


def normal_form(source: str) -> str:
    """The syntax tree as text, with the program's own names numbered in order of appearance.

    Names that the program only reads (builtins, modules) stay; docstrings and annotations go.
    Scopes are not told apart: a name that two functions use has one number.

    Raises:
        SyntaxError: `source` is not Python.
    """
    tree = ast.parse(source)
    nodes = [(node, field) for node in ast.walk(tree) if (field := _FIELDS.get(type(node)))]
    bound = {getattr(node, field) for node, field in nodes if _binds(node)}
    numbers: dict[str | None, str] = {}
    for node, field in nodes:
        name = getattr(node, field)
        if name is not None and name in bound:
            setattr(node, field, numbers.setdefault(name, f"_{len(numbers)}"))
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)
