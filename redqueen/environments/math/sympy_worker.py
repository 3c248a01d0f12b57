"""The process that evaluates expressions: `python -m redqueen.environments.math.sympy_worker`.

SymPy may take any time and memory; see `redqueen.environments.workers`. A question is a tree of
`redqueen.environments.math.expressions`: whatever it names is looked up in the tables here.
"""

from collections.abc import Mapping
from typing import Any

import sympy

from redqueen.environments.math.expressions import BINDERS, CONSTANTS, FUNCTIONS, LARGEST, Tree
from redqueen.environments.workers import serve

MEMORY_BYTES = 2 << 30
MOST_CHARS = 100
"""Of a value in LaTeX."""
_CALLS = {name: getattr(sympy, name) for name in (*FUNCTIONS, *BINDERS)}
_CONSTANTS = {name: getattr(sympy, name) for name in CONSTANTS}


def expression(tree: Tree, symbols: Mapping[str, sympy.Symbol]) -> sympy.Expr:
    """Return SymPy's value of a tree."""
    head, *rest = tree
    match head:
        case "number":
            return sympy.Rational(rest[0])
        case "constant":
            return _CONSTANTS[rest[0]]
        case "symbol":
            return symbols[rest[0]]
    if head in BINDERS:
        body, name, start, end = rest
        symbol = sympy.Symbol(name, integer=True) if head != "integrate" else sympy.Symbol(name)
        ends = (expression(part, symbols) for part in (start, end))
        return _CALLS[head](expression(body, {**symbols, name: symbol}), (symbol, *ends))
    parts = [expression(part, symbols) for part in rest]
    match head:
        case "+":
            return parts[0] + parts[1]
        case "-":
            return parts[0] - parts[1]
        case "*":
            return parts[0] * parts[1]
        case "/":
            return parts[0] / parts[1]
        case "**":
            return parts[0] ** parts[1]
        case "//":
            return sympy.floor(parts[0] / parts[1])
        case "%":
            return sympy.Mod(parts[0], parts[1])
    return _CALLS[head](*parts)


def answer(tree: Tree) -> dict[str, Any]:
    """Return the fields of a `Value`, or of an `Unusable`."""
    try:
        value = expression(tree, {})
        if not (value.is_number and value.is_finite and value.is_real):
            return {"reason": "no_number", "detail": ""}
        value = sympy.radsimp(value)
        if any(max(abs(n.p), n.q) > LARGEST for n in value.atoms(sympy.Rational)):
            return {"reason": "no_closed_form", "detail": "a number is too large"}
        written = sympy.latex(value)
    except MemoryError:
        return {"reason": "timeout", "detail": "out of memory"}
    except Exception as error:  # SymPy raises anything
        return {"reason": "error", "detail": repr(error)[:MOST_CHARS]}
    if len(written) > MOST_CHARS or value.atoms(sympy.Sum, sympy.Product, sympy.Integral):
        return {"reason": "no_closed_form", "detail": written[:MOST_CHARS]}
    return {"latex": written, "fraction": str(value) if value.is_Rational else None}


if __name__ == "__main__":
    serve(answer, MEMORY_BYTES)
