"""Terms and their unification (J. A. Robinson, 1965), with a bound on the work."""

from dataclasses import dataclass, field

Term = str | tuple[str, tuple["Term", ...]]
"""A variable, or the label of a syntax axiom with what is put in for its variables."""


class NoUnifier(ValueError):
    """Two terms have no common instance, or finding it takes too much work."""


@dataclass(slots=True)
class Unifier:
    """A substitution that grows with every pair of terms that is made equal.

    Terms double in size with every step at worst, so visits are counted: `fuel` is what is left.
    """

    fuel: int
    values: dict[str, Term] = field(default_factory=dict)

    def unify(self, left: Term, right: Term) -> None:
        """Make two terms equal.

        Raises:
            NoUnifier: that is not possible, or the fuel is spent.
        """
        pairs = [(left, right)]
        while pairs:
            self._spend()
            left, right = (self._head(side) for side in pairs.pop())
            if left is right or (isinstance(left, str) and left == right):
                continue
            if isinstance(left, str):
                self._bind(left, right)
            elif isinstance(right, str):
                self._bind(right, left)
            elif left[0] != right[0]:
                raise NoUnifier(f"{left[0]} is not {right[0]}")
            else:
                pairs.extend(zip(left[1], right[1], strict=True))

    def resolve(self, term: Term, depth: int = 0) -> Term:
        """Return a term with everything put in that is known of its variables.

        Raises:
            NoUnifier: it is too large or nested too deep.
        """
        self._spend()
        if depth > 100:
            raise NoUnifier("a formula is nested too deep")
        term = self._head(term)
        if isinstance(term, str) or not term[1]:
            return term
        return term[0], tuple([self.resolve(part, depth + 1) for part in term[1]])

    def _head(self, term: Term) -> Term:
        while isinstance(term, str) and term in self.values:
            term = self.values[term]
        return term

    def _bind(self, variable: str, term: Term) -> None:
        rest = [term]
        while rest:
            self._spend()
            part = self._head(rest.pop())
            if part == variable:
                raise NoUnifier("a formula would contain itself")
            if not isinstance(part, str):
                rest.extend(part[1])
        self.values[variable] = term

    def _spend(self) -> None:
        self.fuel -= 1
        if self.fuel < 0:
            raise NoUnifier("the formulas grow too large")


def variables(term: Term) -> list[str]:
    """Return the variables of a term in the order of their first appearance."""
    names: dict[str, None] = {}
    rest = [term]
    while rest:
        part = rest.pop()
        if isinstance(part, str):
            names[part] = None
        else:
            rest.extend(reversed(part[1]))
    return list(names)


def frozen(term: Term) -> Term:
    """Return a term whose variables are constants: nothing can be put in for them."""
    return (term, ()) if isinstance(term, str) else (term[0], tuple(map(frozen, term[1])))


def renamed(term: Term, suffix: str) -> Term:
    """Return a term with `suffix` added to the name of every variable."""
    if isinstance(term, str):
        return term + suffix
    return term[0], tuple(renamed(part, suffix) for part in term[1])
