"""The normal form of a program: what is left when names, and on demand constants, do not matter."""

import ast
import copy
import hashlib


def normal_form(tree: ast.Module, keep_constants: bool = True) -> str:
    """A digest that two programs share if renaming turns one into the other.

    Names that the program binds (parameters, variables, helpers, aliases) are numbered in the
    order of their appearance, whatever their scope; builtins, modules and attributes keep theirs.
    Docstrings and annotations are dropped. Without `keep_constants`, numbers and texts count by
    their type only.
    """
    renamed = _Renamer(_bound_names(tree), keep_constants).visit(copy.deepcopy(tree))
    text = ast.dump(renamed).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=12).hexdigest()


def _bound_names(tree: ast.Module) -> set[str]:
    """The names that a program gives, but for its entry point and imported modules and members."""
    names: set[str | None] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) if not isinstance(node.ctx, ast.Load):
                names.add(name)
            case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.ExceptHandler(name=name):
                names.add(name)
            case ast.MatchAs(name=name) | ast.MatchStar(name=name) | ast.MatchMapping(rest=name):
                names.add(name)
            case ast.alias(asname=name):
                names.add(name)
    return {name for name in names if name is not None and name != "f"}


class _Renamer(ast.NodeTransformer):
    def __init__(self, bound: set[str], keep_constants: bool):
        self.bound = bound
        self.keep_constants = keep_constants
        self.numbers: dict[str, str] = {}

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for field in ("id", "arg", "name", "asname", "rest"):
            name = getattr(node, field, None)
            # The name of an alias is what it imports, not what it binds.
            if name in self.bound and not (isinstance(node, ast.alias) and field == "name"):
                setattr(node, field, self.numbers.setdefault(name, f"${len(self.numbers)}"))
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
        return super().generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        docstring = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if docstring else self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if self.keep_constants or node.value is None or isinstance(node.value, bool):
            return node
        return ast.Constant(f"<{type(node.value).__name__}>")
