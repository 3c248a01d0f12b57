"""Puzzles up to what does not matter: names, words, order, and how a constraint is spelt.

A constraint is made simple first. Sums are collected, comparisons are of a sum with 0, what is
always true or false by the ranges of its variables is that constant, `=>` is `or`, and what `and`
joins at the top are constraints of their own. Then variables and words are numbered by the places
that they have in the constraints (colour refinement, as for the isomorphism of graphs); ties are
broken by trying, as far as `LEAVES` goes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import gcd
from typing import Any

from redqueen.environments.logic.language import OPERATORS

LEAVES = 12
"""Numberings that are compared, at most."""
Term = Any
"""A name or word, a number, a truth value, or a tuple of a head and terms. A sum is ("sum",
constant, (coefficient, term), …)."""
Range = tuple[int, int]


def normal_form(variables: Mapping[str, Any], constraints: Sequence[Any]) -> tuple[str, str]:
    """Return the form of a puzzle that is the same for all its spellings, and its shape: the same
    for all that differ in numbers and words alone."""
    simple = _Simplifier(variables).puzzle(constraints)
    written = sorted({repr(item): item for item in simple}.items())
    terms = [item for _, item in written]
    types = [
        ("type", name, *said) for name, said in variables.items() if not _is_range_or_bool(said)
    ]
    nodes = {name: _domain(said) for name, said in variables.items()}
    nodes.update((word, "word") for _, _, *words in types for word in words)
    form = _Numbering([*terms, *types], nodes).least()
    shape = sorted(_written(item, dict.fromkeys(variables, "v"), shape=True) for item in terms)
    return form, "; ".join(shape)


def _is_range_or_bool(said: Any) -> bool:
    return said == "bool" or isinstance(said[0], int)


def _domain(said: Any) -> str:
    return str(said) if _is_range_or_bool(said) else f"{len(said)} words"


# ── numbering ───────────────────────────────────────────────────────────────────────────────────


class _Numbering:
    def __init__(self, terms: Sequence[Term], nodes: Mapping[str, str]) -> None:
        """`nodes` are the names to number, each with what is known of it."""
        self._terms, self._nodes, self._left = terms, nodes, LEAVES
        self._of = {name: [t for t in terms if name in _names(t)] for name in nodes}

    def least(self) -> str:
        """Return the least text of all numberings that are tried."""
        return min(self._texts(self._refined(dict(self._nodes))))

    def _texts(self, colours: dict[str, str]) -> Iterator[str]:
        """Yield the texts of the numberings that fit the colours."""
        classes: dict[str, list[str]] = {}
        for name, colour in colours.items():
            classes.setdefault(colour, []).append(name)
        tied = min((c for c in classes if len(classes[c]) > 1), default=None)
        if tied is None:
            self._left -= 1
            order = sorted(colours, key=lambda name: colours[name])
            names = {name: f"n{place}" for place, name in enumerate(order)}
            known = "; ".join(self._nodes[name] for name in names)
            yield f"{known}; " + "; ".join(sorted(_written(term, names) for term in self._terms))
            return
        for number, name in enumerate(classes[tied]):
            if number == 0 or self._left > 0:
                yield from self._texts(self._refined({**colours, name: f"{tied} first"}))

    def _refined(self, colours: dict[str, str]) -> dict[str, str]:
        """Tell names apart by what the constraints that they are in say of them and of others."""
        while True:
            said = {
                name: "; ".join(
                    [colour, *sorted(_written(t, {**colours, name: "@"}) for t in self._of[name])]
                )
                for name, colour in colours.items()
            }
            order = {text: f"c{place:03}" for place, text in enumerate(sorted({*said.values()}))}
            refined = {name: order[text] for name, text in said.items()}
            if len(order) == len({*colours.values()}):
                return refined
            colours = refined


def _names(term: Term) -> set[str]:
    if isinstance(term, tuple):
        return {name for part in term[1:] for name in _names(part)}
    return {term} if isinstance(term, str) else set()


_ORDERED = frozenset({"mod", "<=0"})
_EVEN = frozenset({"=0", "abs"})
"""What says the same of a sum and of the sum turned round."""


def _written(term: Term, names: Mapping[str, str], shape: bool = False) -> str:
    """Return a term as text, with other names; in its shape numbers and words are left out."""
    if isinstance(term, str):
        return names.get(term, "#" if shape else term)
    if not isinstance(term, tuple):
        return "#" if shape else str(term)
    head, *parts = term
    if head == "sum":
        return _written_sum(parts, names, shape)
    if head in _EVEN:
        sides = (parts[0], _negated(parts[0]))
        return f"({head} {min(_written(side, names, shape) for side in sides)})"
    texts = [_written(part, names, shape) for part in parts]
    return f"({head} {' '.join(texts if head in _ORDERED else sorted(texts))})"


def _written_sum(parts: Sequence[Term], names: Mapping[str, str], shape: bool) -> str:
    constant, *terms = parts
    texts = []
    for coefficient, term in terms:
        factor = "#" if shape and abs(coefficient) > 1 else coefficient
        texts.append(f"{factor}*{_written(term, names, shape)}")
    return f"({'#' if shape and constant else constant} {' '.join(sorted(texts))})"


# ── making constraints simple ───────────────────────────────────────────────────────────────────


def _sum(constant: int, terms: Iterable[tuple[int, Term]]) -> Term:
    """Return a sum, its like terms collected."""
    collected: dict[Term, int] = {}
    for coefficient, term in terms:
        collected[term] = collected.get(term, 0) + coefficient
    kept = sorted(((c, t) for t, c in collected.items() if c), key=repr)
    return ("sum", constant, *kept)


def _negated(said: Term) -> Term:
    _, constant, *terms = said
    return _sum(-constant, ((-c, t) for c, t in terms))


def _added(items: Iterable[Term]) -> Term:
    sums = [item[1:] for item in items]
    return _sum(sum(first for first, *_ in sums), (pair for _, *rest in sums for pair in rest))


class _Simplifier:
    def __init__(self, variables: Mapping[str, Any]) -> None:
        self._variables = variables

    def puzzle(self, constraints: Sequence[Any]) -> list[Term]:
        """Return simple constraints that say the same together."""
        parts: list[Term] = []
        for said in constraints:
            term = self._truth(said)
            parts += term[1:] if isinstance(term, tuple) and term[0] == "and" else [term]
        parts = [part for part in parts if part is not True]
        bounds = {part for part in parts if isinstance(part, tuple) and part[0] == "<=0"}
        both = {part for part in bounds if ("<=0", _negated(part[1])) in bounds}
        return [self._zero(part[1]) if part in both else part for part in parts]

    def _truth(self, said: Any) -> Term:
        """Return a simple term for what is true or false."""
        if not isinstance(said, list):
            return said
        name, *arguments = said
        match name:
            case "and" | "or":
                return self._joined(name, map(self._truth, arguments))
            case "not":
                return self._not(self._truth(arguments[0]))
            case "=>":
                first, then = map(self._truth, arguments)
                return self._joined("or", [self._not(first), then])
            case "=" | "!=" | "distinct":
                if len(arguments) > 2:
                    return (name, *sorted(map(self._value, arguments), key=repr))
                same = self._same(*arguments)
                return same if name == "=" else self._not(same)
        left, right = map(self._number, arguments if name in ("<", "<=") else arguments[::-1])
        return self._at_most(_added([left, _negated(right), ("sum", int(name in "<>"))]))

    def _value(self, said: Any) -> Term:
        return self._number(said) if self._is_number(said) else self._truth(said)

    def _is_number(self, said: Any) -> bool:
        if isinstance(said, list):
            return OPERATORS[said[0]].gives == "int"
        if isinstance(said, str):
            known = self._variables.get(said, "")
            return isinstance(known, list) and isinstance(known[0], int)
        return not isinstance(said, bool)

    def _same(self, left: Any, right: Any) -> Term:
        if self._is_number(left):
            return self._zero(_added([self._number(left), _negated(self._number(right))]))
        first, second = sorted(map(self._truth, (left, right)), key=repr)
        for known, other in ((first, second), (second, first)):
            if isinstance(known, bool):
                return other if known else self._not(other)
        return True if first == second else ("=", first, second)

    def _joined(self, head: str, items: Iterable[Term]) -> Term:
        parts: dict[str, Term] = {}
        for item in items:
            inner = item[1:] if isinstance(item, tuple) and item[0] == head else (item,)
            parts.update((repr(part), part) for part in inner)
        neutral = head == "and"
        kept = [part for part in parts.values() if part is not neutral]
        if any(part is (not neutral) for part in kept):
            return not neutral
        if len(kept) < 2:
            return kept[0] if kept else neutral
        return (head, *sorted(kept, key=repr))

    def _not(self, term: Term) -> Term:
        if isinstance(term, bool):
            return not term
        match term:
            case ("not", inner):
                return inner
            case ("<=0", total):
                return self._at_most(_added([_negated(total), ("sum", 1)]))
            case ("and" | "or" as head, *parts):
                return self._joined("or" if head == "and" else "and", map(self._not, parts))
        return ("not", term)

    def _at_most(self, total: Term) -> Term:
        low, high = self._range(total)
        if high <= 0 or low > 0:
            return high <= 0
        _, constant, *terms = total
        common = gcd(*(coefficient for coefficient, _ in terms))
        return ("<=0", _sum(-(-constant // common), ((c // common, t) for c, t in terms)))

    def _zero(self, total: Term) -> Term:
        low, high = self._range(total)
        if low > 0 or high < 0:
            return False
        if low == high:
            return True
        _, constant, *terms = total
        common = gcd(*(coefficient for coefficient, _ in terms))
        if constant % common:
            return False
        total = _sum(constant // common, ((c // common, t) for c, t in terms))
        match total:
            case ("sum", constant, (coefficient, ("count", truth))):
                return truth if constant == -coefficient else self._not(truth)
        return ("=0", min(total, _negated(total), key=repr))

    def _number(self, said: Any) -> Term:
        """Return a sum for a whole number."""
        if isinstance(said, int):
            return ("sum", said)
        if isinstance(said, str):
            return ("sum", 0, (1, said))
        name, *arguments = said
        if name == "count":
            truths = [self._truth(item) for item in arguments]
            certain = sum(truth is True for truth in truths)
            return _sum(certain, [(1, ("count", t)) for t in truths if not isinstance(t, bool)])
        parts = [self._number(item) for item in arguments]
        constants = [part[1] for part in parts if len(part) == 2]
        if name == "*":
            return _product(parts)
        if name == "+":
            return _added(parts)
        if name == "-":
            return _added([parts[0], _negated(parts[1])])
        if len(constants) == len(parts):
            return ("sum", int(OPERATORS[name].apply(*constants)))
        if name == "abs":
            low, high = self._range(parts[0])
            if low >= 0 or high <= 0:
                return parts[0] if low >= 0 else _negated(parts[0])
            return ("sum", 0, (1, ("abs", min(parts[0], _negated(parts[0]), key=repr))))
        low, high = self._range(parts[0])
        if low >= 0 and high < constants[0]:
            return parts[0]
        return ("sum", 0, (1, ("mod", parts[0], constants[0])))

    def _range(self, total: Term) -> Range:
        """Return the least and the greatest value that a sum might have."""
        _, low, *terms = total
        high = low
        for coefficient, term in terms:
            ends = [coefficient * end for end in self._range_of(term)]
            low, high = low + min(ends), high + max(ends)
        return low, high

    def _range_of(self, term: Term) -> Range:
        match term:
            case str():
                low, high = self._variables[term]
                return low, high
            case ("count", _):
                return 0, 1
            case ("mod", _, number):
                return 0, number - 1
            case ("abs", total):
                low, high = self._range(total)
                return 0, max(-low, high)
        ends = (1, 1)
        for factor in term[1:]:
            products = [a * b for a in ends for b in self._range(factor)]
            ends = (min(products), max(products))
        return ends


def _product(parts: Sequence[Term]) -> Term:
    """Return a sum for a product of sums: its numbers apart, its other factors in order."""
    number, factors = 1, list[Term]()
    for part in parts:
        match part:
            case ("sum", constant):
                number *= constant
            case ("sum", 0, (coefficient, ("*", *inner))):
                number *= coefficient
                factors += inner
            case ("sum", 0, (coefficient, term)):
                number *= coefficient
                factors.append(("sum", 0, (1, term)))
            case _:
                factors.append(part)
    if not factors or number == 0:
        return ("sum", number if not factors else 0)
    if len(factors) == 1:
        _, constant, *terms = factors[0]
        return _sum(number * constant, [(number * c, t) for c, t in terms])
    return ("sum", 0, (number, ("*", *sorted(factors, key=repr))))
