"""The operators, builtins and methods of the language, with the sizes that values may have."""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

MAX_INT = 99_999
MAX_CHARS = 40
MAX_ITEMS = 16

BINARY: Mapping[type[ast.operator], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.FloorDiv: ("//", operator.floordiv),
    ast.Mod: ("%", operator.mod),
}
COMPARISONS: Mapping[type[ast.cmpop], tuple[str, Callable[[Any, Any], bool]]] = {
    ast.Eq: ("==", operator.eq),
    ast.NotEq: ("!=", operator.ne),
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
    ast.In: ("in", lambda item, holder: item in holder),
    ast.NotIn: ("not in", lambda item, holder: item not in holder),
    ast.Is: ("is", operator.is_),
    ast.IsNot: ("is not", operator.is_not),
}
MUTATORS = frozenset(
    {"append", "extend", "insert", "pop", "remove", "sort", "reverse", "clear", "update"}
)
_STR_METHODS = """
    upper lower replace count find index startswith endswith isdigit isalpha isupper islower join
    split strip title capitalize swapcase
"""
_LIST_METHODS = "append extend insert pop remove sort reverse clear count index copy"
METHODS: Mapping[type, frozenset[str]] = {
    str: frozenset(_STR_METHODS.split()),
    list: frozenset(_LIST_METHODS.split()),
    tuple: frozenset({"count", "index"}),
    dict: frozenset({"get", "values", "keys", "items", "pop", "update", "copy"}),
}
_BUILTINS: Mapping[str, Callable[..., Any]] = {
    "len": len, "sum": sum, "max": max, "min": min, "sorted": sorted, "abs": abs, "list": list,
    "str": str, "int": int, "bool": bool, "tuple": tuple, "dict": dict, "any": any, "all": all,
    "ord": ord, "chr": chr,
}  # fmt: skip


def check_size(value: Any) -> None:
    """Refuse values that a trace cannot hold.

    Raises:
        ValueError: a number, text or collection is too large, or a type is not in the language.
    """
    match value:
        case bool() | None:
            fits = True
        case int():
            fits = abs(value) <= MAX_INT
        case str():
            fits = len(value) <= MAX_CHARS
        case list() | tuple() | dict():
            fits = len(value) <= MAX_ITEMS
        case _:
            raise ValueError(f"{type(value).__name__} is no type of the language")
    if not fits:
        raise ValueError("a value is too large")


def apply_builtin(name: str, args: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """The value of a builtin; lazy sequences become lists.

    Raises:
        NotImplementedError: the builtin or an option is not in the language.
    """
    if options and (name, *options) != ("sorted", "reverse"):
        raise NotImplementedError(f"no call of the language: {name} with {', '.join(options)}")
    match name:
        case "enumerate" | "zip":
            return list(enumerate(*args) if name == "enumerate" else zip(*args, strict=False))
        case "reversed":
            return list(reversed(args[0]))
        case _ if name in _BUILTINS:
            return _BUILTINS[name](*args, **options)
    raise NotImplementedError(f"no builtin of the language: {name}")
