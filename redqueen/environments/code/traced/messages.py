"""What a `code_f` task tells of a program: the operations in it, in the order of the text."""

import ast
from random import Random

from redqueen.environments.code.traced.operations import BINARY, COMPARISONS

_TOLD = """
    len sum max min sorted abs range list str int bool tuple dict enumerate zip any all reversed ord
    chr
"""
TOLD = frozenset(_TOLD.split())
"""Builtins that are told by their names."""


def operation_words(source: str) -> list[str]:
    """The signs and words of a program's operations, each once, in the order of the text."""
    visitor = _Words()
    visitor.visit(ast.parse(source))
    return list(dict.fromkeys(visitor.words))


def full_message(source: str) -> str:
    """All operations of a program as text."""
    return " ".join(operation_words(source)) or "none"


def blurred_message(source: str, rng: Random) -> str:
    """The operations, each left out with a chance of one in eight: a hint, not the solution."""
    return " ".join(word for word in operation_words(source) if rng.random() > 0.125) or "none"


class _Words(ast.NodeVisitor):
    """Collects the words in the order in which the text has them, operands around their sign."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def visit_For(self, node: ast.For) -> None:
        """A loop."""
        self.words.append("for")
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        """A loop."""
        self.words.append("while")
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        """A branch."""
        self.words.append("if")
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        """A conditional expression."""
        self.words.append("if")
        self.generic_visit(node)

    def visit_ListComp(self, node: ast.ListComp) -> None:
        """A comprehension."""
        self.words.append("[for]")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        """An operator between its operands."""
        self.visit(node.left)
        self.words.append(BINARY[type(node.op)][0])
        self.visit(node.right)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """An operator with `=`."""
        self.words.append(f"{BINARY[type(node.op)][0]}=")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        """`and`, `or`."""
        self.words.append(type(node.op).__name__.lower())
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        """`not`; a sign is not told."""
        if isinstance(node.op, ast.Not):
            self.words.append("not")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        """Comparisons."""
        self.visit(node.left)
        self.words += [COMPARISONS[type(op)][0] for op in node.ops]
        for right in node.comparators:
            self.visit(right)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """An item or a slice."""
        self.visit(node.value)
        self.words.append("[:]" if isinstance(node.slice, ast.Slice) else "[]")
        self.visit(node.slice)

    def visit_Call(self, node: ast.Call) -> None:
        """A builtin or a method, by its name; functions of the program have none to tell."""
        match node.func:
            case ast.Attribute(attr=name, value=owner):
                self.visit(owner)
                self.words.append(name)
            case ast.Name(id=name):
                self.words.append(name if name in TOLD else "def")
        for arg in node.args:
            self.visit(arg)
