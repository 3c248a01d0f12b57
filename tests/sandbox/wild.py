"""Random programs from all that `redqueen.sandbox.agreement` lets through, and some of what it does
not. They are made to run into things: most raise, or return what nobody would write."""

from collections.abc import Sequence
from random import Random
from typing import Any

_NAMES = ("a", "b", "x", "y", "t")
_TYPES = ("int", "str", "list", "dict", "bool", "tuple")
_INT = (
    "len({any})", "sum({list})", "max({list})", "min({list})", "abs({int})", "ord({str}[0])",
    "{int} + {int}", "{int} - {int}", "{int} * {int}", "{int} // {int}", "{int} % {int}",
    "-{int}", "{list}[{int}]", "{list}.pop()", "{list}.pop({int})", "{list}.index({int})",
    "{list}.count({int})", "{str}.count({str})", "{str}.find({str})", "{str}.rfind({str})",
    "{dict}.get({key}, {int})", "{dict}[{key}]", "{dict}.pop({key}, {int})",
    "divmod({int}, {int})[0]",
    "max({int}, {int})", "{int} if {bool} else {int}", "sum([{int} for v in {list}])",
    "{dict}.setdefault({key}, {int})", "g({int})", "({int} and {int})", "({int} or {int})",
)  # fmt: skip
_STR = (
    "{str} + {str}", "{str} * {small}", "{str}[{int}]", "{str}[{int}:{int}]", "{str}[::-1]",
    "{str}.upper()", "{str}.lower()", "{str}.replace({str}, {str})", "{str}.strip()",
    "{str}.lstrip({str})", "{str}.rstrip({str})", "{str}.capitalize()", "{str}.swapcase()",
    "{str}.zfill({small})", "str({any})", "chr({small} + 97)",
    "{str}.join([str(v) for v in {list}])",
    "{str}.join(sorted({str}))", "{str} if {bool} else {str}", "{str}[::{small}]",
)  # fmt: skip
_LIST = (
    "{list} + {list}", "{list} * {small}", "{list}[::-1]", "{list}[{int}:{int}]", "sorted({list})",
    "[{int} for v in {list}]", "[v for v in {list} if {bool}]", "list({str})", "list({dict})",
    "{str}.split()", "{str}.split({str})", "list({dict}.values())", "list({dict}.items())",
    "[{int}, {int}]", "[[{int}], {list}]", "list(zip({list}, {str}))", "list(enumerate({list}))",
    "list(reversed({list}))", "list(range({small}))", "{list}.copy()", "list(divmod({int}, {int}))",
    "[i + j for i in {list} for j in {list}]", "[k for k in {dict}]", "sorted({dict}.keys())",
    "[p for p in zip({list}, {list})]", "{list}[::{int}]",
    "[list(range(v)) for v in range({small})]",
)  # fmt: skip
_BOOL = (
    "{int} < {int}", "{int} == {int}", "{str} < {str}", "{list} < {list}", "{int} in {list}",
    "{str} in {str}", "{key} in {dict}", "not {any}", "{bool} and {bool}", "{bool} or {bool}",
    "any({list})", "all({list})", "{str}.isdigit()", "{str}.isalpha()", "{str}.isupper()",
    "{str}.startswith({str})", "{str}.endswith({str})", "bool({any})", "{dict} == {dict}",
    "{int} < {int} <= {int}", "{int} not in {list}", "{any} == {any}", "{str}.isalnum()",
    "{tuple} < {tuple}", "{str}.islower()",
)  # fmt: skip
_DICT = (
    "{{{key}: {int}, {key}: {int}}}", "{{k: {int} for k in {str}}}", "dict(zip({str}, {list}))",
    "{dict}.copy()", "dict([({key}, {int})])", "{{v: k for k, v in {dict}.items()}}",
)  # fmt: skip
_TUPLE = (
    "({int}, {str})",
    "tuple({list})",
    "({any},)",
    "()",
    "{tuple} + {tuple}",
    "divmod({int}, {int})",
)
_FORMS = {
    "int": _INT, "str": _STR, "list": _LIST, "bool": _BOOL, "dict": _DICT, "tuple": _TUPLE,
}  # fmt: skip
_STATEMENTS = (
    "{list}.append({int})", "{list}.extend({list})", "{list}.insert({int}, {int})",
    "{list}.remove({int})", "{list}.reverse()", "{dict}.update({dict})", "{list}.append({any})",
)  # fmt: skip


def wild_program(rng: Random) -> tuple[str, tuple[Any, ...]]:
    """A program and the arguments of one call of its `f`."""
    return _Writer(rng).program()


class _Writer:
    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._types: dict[str, str] = {}

    def program(self) -> tuple[str, tuple[Any, ...]]:
        rng = self._rng
        kinds = [rng.choice(_TYPES[:4]) for _ in range(2)]
        self._types = dict(zip("ab", kinds, strict=True))
        body = self._block(1, rng.randint(2, 6))
        back = ", ".join(self._types)
        helper = "def g(n):\n    return n + 1 if n < 5 else n // 2\n\n"
        code = f"{helper}def f(a, b):\n{body}    return {back}\n"
        return code, tuple(self._value(kind) for kind in kinds)

    def _value(self, kind: str) -> Any:
        rng = self._rng
        match kind:
            case "int":
                return rng.randint(-3, 12)
            case "str":
                return "".join(rng.choices("abcAB1 -", k=rng.randint(0, 5)))
            case "list":
                return [rng.randint(-3, 9) for _ in range(rng.randint(0, 4))]
        return {key: rng.randint(0, 9) for key in rng.sample("abc", rng.randint(0, 3))}

    def _block(self, depth: int, count: int) -> str:
        return "".join(self._statement(depth) for _ in range(count))

    def _statement(self, depth: int) -> str:
        rng, indent = self._rng, "    " * depth
        choice = rng.random()
        if choice < 0.55 or depth > 2:
            kind = rng.choice(_TYPES)
            name = rng.choice(_NAMES)
            text = self._expression(kind, rng.randint(1, 3))
            self._types[name] = kind
            return f"{indent}{name} = {text}\n"
        if choice < 0.68:
            return f"{indent}{self._fill(rng.choice(_STATEMENTS), 1)}\n"
        if choice < 0.73:
            names = [name for name, kind in self._types.items() if kind in ("int", "str", "list")]
            if names:
                name = rng.choice(names)
                text = self._expression(self._types[name], 1)
                return f"{indent}{name} += {text}\n"
            return f"{indent}pass\n"
        # What a block binds may be unbound after it: then both must say so.
        kept = dict(self._types)
        if choice < 0.86:
            head = f"if {self._expression('bool', 2)}:"
            text = f"{indent}{head}\n{self._block(depth + 1, rng.randint(1, 2))}"
            if rng.random() < 0.4:
                self._types = dict(kept)
                text += f"{indent}else:\n{self._block(depth + 1, rng.randint(1, 2))}"
        else:
            source = self._expression(rng.choice(("list", "str", "dict")), 1)
            head = f"for i in {source}:"
            self._types["i"] = "int"
            text = f"{indent}{head}\n{self._block(depth + 1, rng.randint(1, 2))}"
            if rng.random() < 0.3:
                text += f"{indent}    if {self._expression('bool', 1)}:\n{indent}        break\n"
        self._types = kept if rng.random() < 0.9 else {**self._types}
        return text

    def _expression(self, kind: str, depth: int) -> str:
        rng = self._rng
        names = [name for name, other in self._types.items() if other == kind]
        if names and (depth == 0 or rng.random() < 0.4):
            return rng.choice(names)
        if depth == 0:
            return self._literal(kind)
        return self._fill(rng.choice(_FORMS[kind]), depth - 1)

    def _literal(self, kind: str) -> str:
        rng = self._rng
        match kind:
            case "bool":
                return rng.choice(("True", "False"))
            case "tuple":
                return rng.choice(("(1, 2)", "('a',)", "()"))
        return repr(self._value(kind))

    def _fill(self, form: str, depth: int) -> str:
        """`form` with an expression for each field; operands in brackets where it matters."""
        rng, parts = self._rng, []
        for piece in _split(form):
            if piece in ("{{", "}}"):
                parts.append(piece[0])
            elif piece == "{key}":
                parts.append(repr(rng.choice("abc")))
            elif piece == "{small}":
                parts.append(str(rng.randint(-1, 4)))
            elif piece == "{any}":
                parts.append(f"({self._expression(rng.choice(_TYPES), depth)})")
            elif piece[0] == "{":
                parts.append(f"({self._expression(piece[1:-1], depth)})")
            else:
                parts.append(piece)
        return "".join(parts)


def _split(form: str) -> Sequence[str]:
    """The texts and fields of a form."""
    pieces, rest = [], form
    fields = ("{{", "}}", "{key}", "{small}", "{any}", *(f"{{{kind}}}" for kind in _TYPES))
    while rest:
        field = next((field for field in fields if rest.startswith(field)), None)
        step = field if field is not None else rest[0]
        pieces.append(step)
        rest = rest[len(step) :]
    return pieces
