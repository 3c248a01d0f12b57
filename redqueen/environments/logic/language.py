"""The language of puzzles: variables with small ranges, and typed constraints, as JSON.

    {"variables": {"a": [1, 9], "hat": ["red", "blue"], "wet": "bool"},
     "constraints": [["<", "a", 5], ["=>", "wet", ["=", "hat", "red"]]]}

A variable is a whole number of a range, one of some words, or a truth value. An expression is a
number, a truth value, a name, a word, or a list of an operator and its arguments. Parsing makes
trees in which a word is its place in its list; nothing here runs what it reads.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from operator import add, and_, eq, ge, gt, le, lt, mod, mul, ne, or_, sub
from typing import Any

import numpy as np

INT, BOOL = "int", "bool"
Type = str | tuple[str, ...]
"""`int`, `bool`, or the words that a variable may have."""
Tree = tuple[Any, ...]
"""("var", name), ("const", value), or (operator, tree, ...)."""
MOST_VARIABLES, MOST_CONSTRAINTS, MOST_WORDS = 12, 24, 12
LARGEST = 1000
"""Of the ends of ranges and of numbers in constraints, either way."""
MOST_NODES, DEEPEST = 200, 8
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,15}")
_RESERVED = frozenset({"and", "or", "not", "mod", "abs", "distinct", "count", "true", "false"})


class PuzzleError(Exception):
    """A puzzle that is none; `reason` is a rejection's."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Domain:
    """What a variable may be: whole numbers from `low` to `high`, for words their places."""

    type: Type
    low: int
    high: int

    @property
    def size(self) -> int:
        """Number of values."""
        return self.high - self.low + 1

    def plain(self, value: int) -> int | bool | str:
        """Return a value as people write it."""
        if isinstance(self.type, tuple):
            return self.type[value]
        return bool(value) if self.type == BOOL else int(value)

    def read(self, said: Any) -> int | None:
        """Return the number that a value of an answer stands for; None if it is of another type."""
        if isinstance(self.type, tuple):
            return self.type.index(said) if said in self.type else None
        fits = isinstance(said, bool) if self.type == BOOL else type(said) is int
        return int(said) if fits else None


@dataclass(frozen=True, slots=True)
class Puzzle:
    """A puzzle that was parsed."""

    domains: Mapping[str, Domain]
    constraints: tuple[Tree, ...]

    def satisfied(self, values: Mapping[str, Any]) -> Any:
        """Return whether all constraints hold; for arrays of values, an array."""
        said = [evaluate(tree, values) for tree in self.constraints]
        return reduce(np.logical_and, said)


@dataclass(frozen=True, slots=True)
class _Operator:
    takes: str | None
    """Type of its arguments; None: any, the same for all."""
    gives: str
    least: int
    most: int
    apply: Callable[..., Any]


# Python's operators mean the same for numbers and for arrays; NumPy's make an answer's numbers ones
# of 64 bits, which overflow. A truth value is True or 1, False or 0.
def _not(value: Any) -> Any:
    return value ^ True


def _all_different(*values: Any) -> Any:
    return reduce(and_, [ne(a, b) for a, b in combinations(values, 2)])


_MANY = 12
OPERATORS: Mapping[str, _Operator] = {
    "+": _Operator(INT, INT, 2, _MANY, lambda *v: reduce(add, v)),
    "*": _Operator(INT, INT, 2, 3, lambda *v: reduce(mul, v)),
    "-": _Operator(INT, INT, 2, 2, sub),
    "mod": _Operator(INT, INT, 2, 2, mod),
    "abs": _Operator(INT, INT, 1, 1, abs),
    "<": _Operator(INT, BOOL, 2, 2, lt),
    "<=": _Operator(INT, BOOL, 2, 2, le),
    ">": _Operator(INT, BOOL, 2, 2, gt),
    ">=": _Operator(INT, BOOL, 2, 2, ge),
    "=": _Operator(None, BOOL, 2, 2, eq),
    "!=": _Operator(None, BOOL, 2, 2, ne),
    "distinct": _Operator(None, BOOL, 2, _MANY, _all_different),
    "and": _Operator(BOOL, BOOL, 2, _MANY, lambda *v: reduce(and_, v)),
    "or": _Operator(BOOL, BOOL, 2, _MANY, lambda *v: reduce(or_, v)),
    "not": _Operator(BOOL, BOOL, 1, 1, _not),
    "=>": _Operator(BOOL, BOOL, 2, 2, lambda a, b: or_(_not(a), b)),
    "count": _Operator(BOOL, INT, 1, _MANY, lambda *v: reduce(add, [1 * item for item in v])),
}


def evaluate(tree: Tree, values: Mapping[str, Any]) -> Any:
    """Return the value of an expression; `values` are numbers, or arrays of one shape."""
    head, *rest = tree
    if head == "var":
        return values[rest[0]]
    if head == "const":
        return rest[0]
    return OPERATORS[head].apply(*(evaluate(item, values) for item in rest))


def parse_puzzle(variables: Any, constraints: Any) -> Puzzle:
    """Return the puzzle that JSON stands for.

    Raises:
        PuzzleError: it is not of the language, or larger than the limits.
    """
    if not isinstance(variables, dict) or not isinstance(constraints, list):
        raise PuzzleError("unparsable", "variables is no object, or constraints no list")
    if not 1 <= len(variables) <= MOST_VARIABLES or not 1 <= len(constraints) <= MOST_CONSTRAINTS:
        raise PuzzleError("too_large", "no variable or constraint, or too many")
    domains = {name: _domain(name, said) for name, said in variables.items()}
    words = {word for d in domains.values() if isinstance(d.type, tuple) for word in d.type}
    if words & domains.keys():
        raise PuzzleError("ill_typed", "a word is the name of a variable too")
    reader = _Reader(domains)
    trees = tuple(reader.read(item, BOOL) for item in constraints)
    if unused := domains.keys() - reader.used:
        raise PuzzleError("unused_variable", f"no constraint has {min(unused)}")
    return Puzzle(domains, trees)


def _domain(name: str, said: Any) -> Domain:
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise PuzzleError("unparsable", f"{name[:20]!r} is no name of a variable")
    if said == "bool":
        return Domain(BOOL, 0, 1)
    if not isinstance(said, list) or len(said) < 2:
        raise PuzzleError("unparsable", f"the values of {name} are no range, words or bool")
    if all(type(item) is int for item in said):
        if len(said) != 2 or not -LARGEST <= said[0] < said[1] <= LARGEST:
            raise PuzzleError("too_large", f"the range of {name} is no range, or too large")
        return Domain(INT, said[0], said[1])
    if not all(isinstance(item, str) and _NAME.fullmatch(item) for item in said):
        raise PuzzleError("unparsable", f"the values of {name} are no words")
    if len(set(said)) < len(said) or len(said) > MOST_WORDS or _RESERVED.intersection(said):
        raise PuzzleError("too_large", f"{name} has a word twice, or too many words")
    return Domain(tuple(said), 0, len(said) - 1)


class _Reader:
    """Reads expressions, and counts what it reads."""

    def __init__(self, domains: Mapping[str, Domain]) -> None:
        self._domains, self._nodes, self.used = domains, 0, set[str]()

    def read(self, said: Any, expected: Type | None, depth: int = 0) -> Tree:
        self._nodes += 1
        if self._nodes > MOST_NODES or depth > DEEPEST:
            raise PuzzleError("too_large", "the constraints are too long or too deep")
        if isinstance(said, str) and said not in self._domains:
            return self._word(said, expected)
        tree, type_ = self._typed(said, depth)
        if expected is not None and type_ != expected:
            raise PuzzleError("ill_typed", f"{str(said)[:60]} is not of the type {expected}")
        return tree

    @staticmethod
    def _word(said: str, expected: Type | None) -> Tree:
        if not isinstance(expected, tuple) or said not in expected:
            raise PuzzleError("unknown_name", f"{said[:20]!r} is no variable, or no word here")
        return ("const", expected.index(said))

    def _typed(self, said: Any, depth: int) -> tuple[Tree, Type]:
        if isinstance(said, bool):
            return ("const", said), BOOL
        if isinstance(said, int):
            if abs(said) > LARGEST:
                raise PuzzleError("too_large", "a number is too large")
            return ("const", said), INT
        if isinstance(said, str):
            self.used.add(said)
            return ("var", said), self._domains[said].type
        if not isinstance(said, list) or not said or not isinstance(said[0], str):
            raise PuzzleError("unparsable", f"{str(said)[:60]} is no expression")
        name, arguments = said[0], said[1:]
        operator = OPERATORS.get(name)
        if operator is None:
            raise PuzzleError("unknown_name", f"{name[:20]!r} is no operator")
        if not operator.least <= len(arguments) <= operator.most:
            raise PuzzleError("ill_typed", f"{name} does not take {len(arguments)} arguments")
        takes = operator.takes or self._common_type(arguments, depth)
        trees = [self.read(item, takes, depth + 1) for item in arguments]
        if name == "mod" and not (trees[1][0] == "const" and trees[1][1] > 0):
            raise PuzzleError("ill_typed", "mod is by a positive number")
        return (name, *trees), operator.gives

    def _common_type(self, arguments: Sequence[Any], depth: int) -> Type:
        """Return the type of the first argument that is not a word alone."""
        for item in arguments:
            if not isinstance(item, str):
                operator = OPERATORS.get(item[0]) if _is_operation(item) else None
                return operator.gives if operator else BOOL if isinstance(item, bool) else INT
            if item in self._domains:
                return self._domains[item].type
        raise PuzzleError("unknown_name", f"{str(arguments)[:60]} has no variable")


def _is_operation(said: Any) -> bool:
    return isinstance(said, list) and bool(said) and isinstance(said[0], str)


_PREFIX = frozenset({"distinct", "count", "abs"})


def render(said: Any, inside: bool = False) -> str:
    """Return an expression, as JSON has it, in the usual notation."""
    if not isinstance(said, list):
        return str(said).lower() if isinstance(said, bool) else str(said)
    name, arguments = said[0], [render(item, said[0] not in _PREFIX) for item in said[1:]]
    if name in _PREFIX:
        return f"{name}({', '.join(arguments)})"
    text = f"not {arguments[0]}" if name == "not" else f" {name} ".join(arguments)
    return f"({text})" if inside else text
