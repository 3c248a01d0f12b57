"""Expressions for SymPy that answer a problem: read here, evaluated in a worker.

An expression is parsed by Python's grammar into a tree of what `read_expression` allows, and that
tree is all that a worker sees: no text reaches `eval` or SymPy's own parser, which evaluates it.
"""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redqueen.closing import Closing
from redqueen.config.sandbox import SandboxConfig
from redqueen.environments.workers import NoReply, WorkerPool

SECONDS = 5.0
"""Processor time for an expression."""
MOST_NODES = 200
LARGEST = 10**15
"""Of numbers in a problem, in what computes its answer, and in the answer."""
CONSTANTS = ("pi", "E")
FUNCTIONS: dict[str, tuple[int, int]] = {
    **dict.fromkeys(
        ("sqrt", "cbrt", "exp", "sin", "cos", "tan", "asin", "acos", "atan", "factorial",
         "fibonacci", "floor", "ceiling", "Abs"), (1, 1),
    ),
    **dict.fromkeys(("binomial", "gcd", "lcm", "Mod", "Rational", "root"), (2, 2)),
    "log": (1, 2), "Max": (1, 8), "Min": (1, 8),
}  # fmt: skip
"""Name -> how many arguments it takes, at least and at most."""
BINDERS = ("summation", "product", "integrate")
"""Take an expression and (symbol, from, to), as SymPy's functions of these names."""
OPERATORS: dict[type, str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**",
    ast.FloorDiv: "//", ast.Mod: "%",
}  # fmt: skip
Tree = list[Any]
"""An operator, function, `number`, `constant` or `symbol`, then its parts."""


@dataclass(frozen=True, slots=True)
class Value:
    """What an expression is worth: a number in LaTeX, and as a fraction if it is rational."""

    latex: str
    fraction: str | None


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why an expression has no value; `reason` is a rejection's."""

    reason: str
    detail: str


def read_expression(node: ast.expr, symbols: frozenset[str] = frozenset()) -> Tree:
    """Return the tree of an expression, whose free names are `symbols`.

    Raises:
        ValueError: it has something that expressions may not have.
    """
    match node:
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            return ["number", repr(node.value)]
        case ast.Name(id=name) if name in symbols:
            return ["symbol", name]
        case ast.Name(id=name) if name in CONSTANTS:
            return ["constant", name]
        case ast.UnaryOp(op=ast.USub(), operand=part):
            return ["*", ["number", "-1"], read_expression(part, symbols)]
        case ast.BinOp(op=op) if type(op) in OPERATORS:
            parts = (read_expression(part, symbols) for part in (node.left, node.right))
            return [OPERATORS[type(op)], *parts]
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return _read_call(name, args, symbols)
    raise ValueError(f"an expression has no {type(node).__name__} {ast.unparse(node)}"[:100])


def _read_call(name: str, args: list[ast.expr], symbols: frozenset[str]) -> Tree:
    match args:
        case [body, ast.Tuple(elts=[ast.Name(id=symbol), start, end])] if (
            name in BINDERS and len(symbol) == 1
        ):
            ends = (read_expression(part, symbols) for part in (start, end))
            return [name, read_expression(body, symbols | {symbol}), symbol, *ends]
    least, most = FUNCTIONS.get(name, (1, 0))
    if not least <= len(args) <= most:
        raise ValueError(f"an expression has no {name} of {len(args)} arguments"[:100])
    return [name, *(read_expression(part, symbols) for part in args)]


class ExpressionSolver(Closing):
    """SymPy in `config.processes` processes that start when they are first needed."""

    def __init__(self, config: SandboxConfig, seconds: float = SECONDS) -> None:
        module = "redqueen.environments.math.sympy_worker"
        self._pool = WorkerPool(module, config.processes, seconds)

    def evaluate(self, trees: Sequence[Tree]) -> list[Value | Unusable | NoReply]:
        """Return what each expression is worth."""
        return [
            reply
            if isinstance(reply, NoReply)
            else Unusable(**reply)
            if "reason" in reply
            else Value(**reply)
            for reply in self._pool.ask(trees)
        ]

    def close(self) -> None:
        """End all workers."""
        self._pool.close()
