"""The expression half of the grammar: productions by type, and how one is filled in.

A production is a piece of Python with slots. `<int>` and the other types are expressions of that
type; the rest are constants: `<#>` a number from 1 to 9, `<k>` a factor, `<n>` any number, `<i>` an
index, `<s>` the inside of a slice, `<c>` one character, `<w>` a short word, `<key>` a table's key.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from random import Random

from redqueen.environments.code.traced.values import (
    KEYS,
    TYPES,
    random_int,
    random_name,
    random_value,
    random_word,
)

SLOT = re.compile(r"<(\w+|#)>")
_COMPARISONS = {"==": 1.2, "!=": 0.8, "<": 1.2, ">": 1.5, "<=": 0.6, ">=": 0.6}

PRODUCTIONS: dict[str, tuple[tuple[float, str], ...]] = {
    "int": (
        (4.0, "<int> + <int>"), (3.0, "<int> + <#>"), (3.0, "<int> - <int>"), (2.0, "<int> - <#>"),
        (2.5, "<int> * <k>"), (0.4, "<int> * <int>"), (0.8, "<int> // <k>"), (1.2, "<int> % <k>"),
        (0.5, "abs(<int>)"), (0.4, "-<int>"), (0.7, "max(<int>, <int>)"),
        (0.7, "min(<int>, <int>)"),
        (1.0, "len(<ints>)"), (1.0, "len(<str>)"), (0.4, "len(<strs>)"), (0.3, "len(<table>)"),
        (1.0, "sum(<ints>)"), (0.6, "max(<ints>)"), (0.6, "min(<ints>)"), (1.5, "<ints>[<i>]"),
        (0.3, "<ints>[<int>]"), (1.2, "<pair>[0]"), (1.2, "<pair>[1]"), (0.8, "<table>[<key>]"),
        (0.9, "<table>.get(<key>, <#>)"), (0.5, "<str>.count(<c>)"), (0.4, "<str>.find(<c>)"),
        (0.3, "<ints>.count(<int>)"), (0.6, "<int> if <bool> else <int>"),
        (0.3, "sum(<table>.values())"),
    ),
    "bool": (
        *((w * 1.3, f"<int> {op} <n>") for op, w in _COMPARISONS.items()),
        *((w * 0.8, f"<int> {op} <int>") for op, w in _COMPARISONS.items()),
        (1.3, "<int> % <k> == 0"), (0.5, "<int> % <k> != 0"), (0.5, "<str> == <str>"),
        (0.4, "<str> == <w>"), (0.4, "<str> != <c>"), (0.6, "<c> in <str>"),
        (0.5, "<int> in <ints>"), (0.2, "<int> not in <ints>"), (0.3, "<str> in <strs>"),
        (0.3, "<str> in <str>"), (0.4, "<key> in <table>"), (0.8, "not <bool>"),
        (1.2, "<bool> and <bool>"), (1.2, "<bool> or <bool>"), (0.3, "<str>.startswith(<c>)"),
        (0.2, "<str>.endswith(<c>)"), (0.2, "<str>.isdigit()"), (0.2, "<str>.isupper()"),
        (0.2, "<n> < <int> < <n>"), (0.2, "<ints> == <ints>"), (0.2, "<str> < <str>"),
    ),
    "str": (
        (3.0, "<str> + <str>"), (1.8, "<str> + <w>"), (1.0, "<w> + <str>"), (1.5, "<str>[<i>]"),
        (1.4, "<str>[<s>]"), (1.0, "<str>[::-1]"), (0.8, "<str>.upper()"), (0.5, "<str>.lower()"),
        (0.8, "<str>.replace(<c>, <c>)"), (0.9, "str(<int>)"), (0.5, "<str> * <k>"),
        (0.8, "<strs>[<i>]"), (0.6, "<c>.join(<strs>)"), (0.3, "''.join(<strs>)"),
        (0.25, "<str> if <bool> else <str>"), (0.2, "<str>[<int>]"),
    ),
    "ints": (
        (1.0, "[<int>, <int>]"), (0.4, "[<int>, <int>, <int>]"), (1.5, "<ints> + [<int>]"),
        (0.8, "[<int>] + <ints>"), (0.8, "<ints> + <ints>"), (1.6, "<ints>[<s>]"),
        (1.0, "<ints>[::-1]"), (1.1, "sorted(<ints>)"), (0.3, "sorted(<ints>, reverse=True)"),
        (0.5, "list(range(<#>))"), (0.4, "list(range(<int>))"), (0.3, "<ints> * 2"),
        (0.3, "list(<table>.values())"), (0.2, "<ints> if <bool> else <ints>"), (4.0, "map"),
    ),
    "strs": (
        (1.0, "[<str>, <str>]"), (0.5, "[<str>]"), (1.2, "<strs> + [<str>]"), (1.2, "list(<str>)"),
        (1.2, "<strs>[<s>]"), (0.8, "sorted(<strs>)"), (0.5, "<strs>[::-1]"),
        (0.4, "sorted(<str>)"),
        (0.4, "list(<table>)"), (0.3, "<str>.split(<c>)"), (2.4, "map"),
    ),
    "pair": ((1.0, "(<int>, <int>)"), (0.3, "<pair>[::-1]")),
    "table": ((1.0, "{<key>: <int>, <key>: <int>}"), (0.5, "{<key>: <int>}")),
}  # fmt: skip
_SLICES = ("1:", "1:", ":2", ":-1", "2:", "-2:", ":3", "1:3", "::2", "1:-1")


@dataclass(slots=True)
class Scope:
    """The names that may be read, oldest first, with their types; and the program's helpers."""

    types: dict[str, str]
    helpers: dict[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    outer: "Scope | None" = None

    def of_type(self, kind: str) -> list[str]:
        """Names of a type, oldest first."""
        return [name for name, type_ in self.types.items() if type_ == kind]

    def new_name(self, rng: Random) -> str:
        """A name that the program has not used."""
        name = random_name(rng, frozenset(self.taken))
        self.taken.add(name)
        return name

    def inner(self) -> "Scope":
        """A scope for a block: what is bound there first is gone after it."""
        return Scope(dict(self.types), self.helpers, self.taken, self)

    def touch(self, name: str, kind: str) -> None:
        """Make a name the latest, here and in the scopes around that have it."""
        self.types.pop(name, None)
        self.types[name] = kind
        if self.outer is not None and name in self.outer.types:
            self.outer.touch(name, kind)


def constant(slot: str, rng: Random) -> str:
    """The text of a constant slot."""
    match slot:
        case "#":
            return str(rng.randint(1, 9))
        case "k":
            return str(rng.choice((2, 2, 2, 3, 3, 4, 5, rng.randint(2, 10))))
        case "n":
            return str(rng.choice((0, 1, 2, 3, 4, 5, 6, 8, 10, random_int(rng))))
        case "i":
            return str(rng.choice((0, 0, 1, -1, -1, 2, -2)))
        case "s":
            return rng.choice(_SLICES)
        case "c":
            return repr(rng.choice(("a", "b", "c", "x", "-", " ", random_word(rng, 1, 1))))
        case "w":
            return repr(random_word(rng, 1, 3))
        case "key":
            return repr(rng.choice(KEYS))
    raise ValueError(f"unknown slot {slot!r}")


def literal(kind: str, rng: Random) -> str:
    """A small literal of a type, as programs hold it."""
    if kind == "int":
        return constant("n", rng)
    if kind in ("ints", "strs"):
        return rng.choice(("[]", repr(random_value(kind, rng)[:3])))
    return repr(random_value(kind, rng))


def expression(kind: str, scope: Scope, rng: Random, depth: int) -> str:
    """Text of an expression of a type with at least one operation, at most `depth` levels deep."""
    for name, (taken, result) in scope.helpers.items():
        if result == kind and rng.random() < 0.5:
            return f"{name}({', '.join(_operand(t, scope, rng, 0) for t in taken)})"
    weights = _cumulative_weights(kind, frozenset(scope.types.values()), depth > 0)
    template = rng.choices(PRODUCTIONS[kind], cum_weights=weights)[0][1]
    if template == "map":
        return _comprehension(kind, scope, rng)

    used: list[str] = []

    def fill(found: re.Match[str]) -> str:
        slot = found[1]
        if slot not in TYPES:
            return constant(slot, rng)
        text = _operand(slot, scope, rng, depth - 1)
        if text in used and rng.random() < 0.9:  # `x - x` is seldom meant
            text = _operand(slot, scope, rng, depth - 1)
        used.append(text)
        return text

    return SLOT.sub(fill, template)


def condition(scope: Scope, rng: Random, depth: int) -> str:
    """Text of an expression that a branch or loop tests: seldom a bare name."""
    flags = scope.of_type("bool")
    if flags and rng.random() < 0.25:
        return rng.choice(flags)
    return expression("bool", scope, rng, depth)


@cache
def _slot_types(template: str) -> tuple[str, ...]:
    """The types of a production's operands."""
    return (
        ("ints",) if template == "map" else tuple(s for s in SLOT.findall(template) if s in TYPES)
    )


@cache
def _cumulative_weights(kind: str, types: frozenset[str], deep: bool) -> tuple[float, ...]:
    """Of the productions of a type, where names of `types` are in scope."""
    weights = (
        0.0 if not deep and "<bool>" in template else weight * _fit(template, types)
        for weight, template in PRODUCTIONS[kind]
    )
    return tuple(accumulate(weights))


def _fit(template: str, types: frozenset[str]) -> float:
    """How well names of `types` serve a production: those that few serve come seldom."""
    slots = _slot_types(template)
    served = sum(slot in types or slot == "bool" for slot in slots)
    return 3.0 if served == len(slots) else 0.3 if served else 0.05


def _operand(kind: str, scope: Scope, rng: Random, depth: int) -> str:
    """A name, now and then a deeper expression in parentheses, a literal if nothing else serves."""
    names = scope.of_type(kind)
    if depth > 0 and (rng.random() < 0.3 or (kind == "bool" and not names)):
        return f"({expression(kind, scope, rng, depth)})"
    if kind == "bool" and (not names or rng.random() < 0.7):
        return f"({expression(kind, scope, rng, 0)})"
    if not names:
        return literal(kind, rng)
    if rng.random() < 0.55:
        return names[-1]
    return rng.choice(names)


def _comprehension(kind: str, scope: Scope, rng: Random) -> str:
    """`[element for name in sequence]`, half of them with a condition."""
    sources = [name for t in ("ints", "strs", "str") for name in scope.of_type(t)]
    source = rng.choice(sources) if sources else f"range({rng.randint(2, 4)})"
    item_type = "int" if scope.types.get(source, "ints") == "ints" else "str"
    inner = scope.inner()
    item = scope.new_name(rng)
    inner.types = {name: t for name, t in inner.types.items() if t in ("int", "bool")}
    if rng.random() < 0.7:
        inner.types = {}
    inner.types[item] = item_type
    inner.helpers = {}
    element_type = "int" if kind == "ints" else "str"
    test = f" if {expression('bool', inner, rng, 0)}" if rng.random() < 0.5 else ""
    plain = element_type == item_type and test and rng.random() < 0.6
    element = item if plain else expression(element_type, inner, rng, 1)
    return f"[{element} for {item} in {source}{test}]"
