"""A theory: its Metamath database, the grammar of its formulas, and condensed proofs.

A condensed proof names axioms and rules alone, in reverse Polish notation. What is put in for their
variables follows by unification: it proves its most general theorem, and every instance of that
(C. A. Meredith's condensed detachment, for all rules of a theory). It is expanded to a whole
Metamath proof, and only that is ever checked.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from itertools import combinations

from redqueen.environments.proof.metamath import (
    Assertion,
    Database,
    MetamathError,
    Theorem,
    check_proof,
)
from redqueen.environments.proof.terms import NoUnifier, Term, Unifier, frozen, renamed, variables

PROVABLE = "|-"
INDIVIDUAL = "var"
"""Type of the variables that quantifiers bind."""
MAX_SYMBOLS = 1000
"""Of a formula within a proof."""
MAX_LABELS = 2000
"""Of a proof, written in full."""
MAX_STEPS = 200
"""Of a condensed proof."""
FUEL = 50_000
"""Visits of terms that unification may make over one proof."""
THEORIES: Mapping[str, tuple[str, ...]] = {
    "propositional": ("propositional",),
    "peano": ("propositional", "peano"),
}
"""Name -> the texts that make it up."""


@dataclass(frozen=True, slots=True)
class _Step:
    """An application of an assertion; its variables carry a suffix of their own."""

    assertion: Assertion
    suffix: str
    parts: tuple["_Step", ...]


@cache
def load_theory(name: str) -> "Theory":
    """Return a theory of `THEORIES`, read once."""
    folder = files("redqueen.environments.proof") / "theories"
    texts = [(folder / f"{part}.mm").read_text(encoding="utf-8") for part in THEORIES[name]]
    return Theory(texts)


class Theory:
    """Parses formulas, and proves them.

    The database may have one way to read each formula, and every variable once in a syntax axiom.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        """Raises MetamathError if a text is no database, or a proof in it is wrong."""
        self.database = Database()
        for text in texts:
            for theorem, proof in self.database.read(text):
                check_proof(self.database, theorem, proof)
        hypotheses = self.database.theorem("", (PROVABLE,)).active
        self.floating = {item.expression[1]: item for item in hypotheses.values()}
        assertions = self.database.assertions
        self.axioms = {n: a for n, a in assertions.items() if a.expression[0] == PROVABLE}
        self.syntax = {n: a for n, a in assertions.items() if n not in self.axioms}
        self.symbols = (self.database.constants | {*self.floating}) - {PROVABLE}
        self.labels = {*assertions, *(item.label for item in self.floating.values())}
        self._patterns = {
            name: tuple(
                self.parse(item[1:])
                for item in (
                    *(h.expression for h in axiom.hypotheses if not h.floating),
                    axiom.expression,
                )
            )
            for name, axiom in self.axioms.items()
        }

    # ── formulas ────────────────────────────────────────────────────────────────────────────────

    def parse(self, symbols: Sequence[str]) -> Term:
        """Return the formula that symbols spell.

        Raises:
            MetamathError: they spell none.
        """
        if len(symbols) > MAX_SYMBOLS // 4:
            raise MetamathError("the formula is too long")
        seen: dict[tuple[str, int], tuple[Term, int] | None] = {}
        parsed = self._read("wff", symbols, 0, seen)
        if parsed is None or parsed[1] != len(symbols):
            raise MetamathError(f"{' '.join(symbols)!r} is no formula")
        return parsed[0]

    def _read(
        self,
        kind: str,
        symbols: Sequence[str],
        start: int,
        seen: dict[tuple[str, int], tuple[Term, int] | None],
    ) -> tuple[Term, int] | None:
        """Return a term of a type that begins at `start`, and where it ends."""
        if (kind, start) not in seen:
            seen[kind, start] = next(self._readings(kind, symbols, start, seen), None)
        return seen[kind, start]

    def _readings(
        self,
        kind: str,
        symbols: Sequence[str],
        start: int,
        seen: dict[tuple[str, int], tuple[Term, int] | None],
    ) -> Iterator[tuple[Term, int]]:
        if start >= len(symbols):
            return
        if symbols[start] in self.floating and self.kind(symbols[start]) == kind:
            yield symbols[start], start + 1
        for name, rule in self.syntax.items():
            if rule.expression[0] != kind:
                continue
            values: dict[str, Term] = {}
            place = start
            for symbol in rule.expression[1:]:
                if symbol in self.floating:
                    part = self._read(self.kind(symbol), symbols, place, seen)
                    if part is None:
                        break
                    values[symbol], place = part
                elif place < len(symbols) and symbols[place] == symbol:
                    place += 1
                else:
                    break
            else:
                yield (name, tuple(values[h.expression[1]] for h in rule.hypotheses)), place

    def render(self, term: Term) -> tuple[str, ...]:
        """Return the symbols of a formula."""
        if isinstance(term, str):
            return (term,)
        rule = self.syntax.get(term[0])
        if rule is None:  # a variable that is frozen
            return (term[0],)
        values = {
            h.expression[1]: self.render(part)
            for h, part in zip(rule.hypotheses, term[1], strict=True)
        }
        return tuple(s for symbol in rule.expression[1:] for s in values.get(symbol, (symbol,)))

    def normal_form(self, symbols: Sequence[str]) -> str:
        """Return a formula with its variables renamed in order: equal ones say the same."""
        names: dict[str, str] = {}
        for symbol in symbols:
            if symbol in self.floating and symbol not in names:
                kind = self.kind(symbol)
                names[symbol] = f"{kind}{sum(n.startswith(kind) for n in names.values())}"
        return " ".join(names.get(symbol, symbol) for symbol in symbols)

    def is_axiom(self, formula: Term) -> bool:
        """Return whether a formula is an instance of an axiom."""
        for patterns in self._patterns.values():
            if len(patterns) == 1:
                try:
                    Unifier(FUEL).unify(patterns[0], frozen(formula))
                except NoUnifier:
                    continue
                return True
        return False

    # ── proofs ──────────────────────────────────────────────────────────────────────────────────

    def kind(self, variable: str) -> str:
        """Return the type of a variable."""
        return self.floating[variable].expression[0]

    def theorem(self, symbols: Sequence[str]) -> Theorem:
        """Return what a proof of a formula is to prove.

        Different individual variables are distinct. So is a variable that only the proof uses from
        all others: it could have another name.
        """
        theorem = self.database.theorem("theorem", (PROVABLE, *symbols))
        kinds = {name: self.kind(name) for name in self.floating}
        pairs = frozenset(
            (a, b)
            for a, b in combinations(sorted(kinds), 2)
            if INDIVIDUAL in (kinds[a], kinds[b])
            and (kinds[a] == kinds[b] or not {a, b} <= {*symbols})
        )
        return replace(theorem, disjoint=pairs)

    def check(self, symbols: Sequence[str], proof: Sequence[str]) -> tuple[str, ...]:
        """Check a proof of a formula, in full or condensed; return it in full.

        Raises:
            MetamathError: it proves something else or nothing, or it is too large.
        """
        theorem = self.theorem(symbols)
        if all(label in self.axioms for label in proof):
            _, proof = self.expand(proof, self.parse(symbols))
        if len(proof) > MAX_LABELS:
            raise MetamathError(f"a proof of more than {MAX_LABELS} labels")
        check_proof(self.database, theorem, proof, MAX_SYMBOLS)
        return tuple(proof)

    def condensed(self, proof: Sequence[str]) -> tuple[str, ...]:
        """Return what a proof names of axioms and rules."""
        return tuple(label for label in proof if label in self.axioms)

    def expand(
        self, proof: Sequence[str], goal: Term | None = None, fuel: int = FUEL
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the theorem of a condensed proof, and the whole proof, not checked.

        `goal` is the instance to prove; None: the most general theorem. `fuel` bounds the work.

        Raises:
            MetamathError: the proof does not fit together, or proves nothing like `goal`.
        """
        if len(proof) > MAX_STEPS:
            raise MetamathError(f"a condensed proof of more than {MAX_STEPS} labels")
        unifier = Unifier(fuel)
        stack: list[tuple[_Step, Term]] = []
        try:
            for number, label in enumerate(proof):
                self._apply(label, f"'{number}", stack, unifier)
            if len(stack) != 1:
                raise MetamathError(f"the proof ends with {len(stack)} formulas")
            step, conclusion = stack[0]
            if goal is not None:
                unifier.unify(conclusion, frozen(goal))
            conclusion = unifier.resolve(conclusion)
            self._name(conclusion, step, unifier)
            labels = self._written(step, unifier)
            return self.render(unifier.resolve(conclusion)), tuple(labels)
        except NoUnifier as error:
            raise MetamathError(str(error)) from None

    def _apply(
        self, label: str, suffix: str, stack: list[tuple[_Step, Term]], unifier: Unifier
    ) -> None:
        *needed, conclusion = (renamed(term, suffix) for term in self._patterns[label])
        if len(needed) > len(stack):
            raise MetamathError(f"{label} needs {len(needed)} formulas")
        given = stack[len(stack) - len(needed) :]
        for pattern, (_, formula) in zip(needed, given, strict=True):
            unifier.unify(pattern, formula)
        del stack[len(stack) - len(needed) :]
        step = _Step(self.axioms[label], suffix, tuple(part for part, _ in given))
        stack.append((step, conclusion))

    def _name(self, conclusion: Term, step: _Step, unifier: Unifier) -> None:
        """Give names to the variables that are left, those of the conclusion first."""
        left = variables(conclusion)
        used = {part for part in self.render(conclusion) if "'" not in part}
        steps = [step]
        while steps:
            step = steps.pop()
            steps.extend(step.parts)
            for item in step.assertion.hypotheses:
                if item.floating:
                    term = unifier.resolve(item.expression[1] + step.suffix)
                    left += variables(term)
        for name in dict.fromkeys(left):
            kind = self.kind(name.partition("'")[0])
            names = [n for n in self.floating if self.kind(n) == kind]
            # With all names in use a dummy takes the last: the check says whether it may.
            chosen = next((n for n in names if n not in used), names[-1])
            used.add(chosen)
            unifier.values[name] = (chosen, ())

    def _written(self, step: _Step, unifier: Unifier) -> list[str]:
        labels: list[str] = []
        parts = iter(step.parts)
        for item in step.assertion.hypotheses:
            if item.floating:
                labels += self._spelt(unifier.resolve(item.expression[1] + step.suffix))
            else:
                labels += self._written(next(parts), unifier)
        if len(labels) > MAX_LABELS:
            raise MetamathError(f"a proof of more than {MAX_LABELS} labels")
        return [*labels, step.assertion.label]

    def _spelt(self, term: Term) -> list[str]:
        """Return the proof that a term is one."""
        assert not isinstance(term, str)
        if term[0] in self.floating:
            return [self.floating[term[0]].label]
        labels = [label for part in term[1] for label in self._spelt(part)]
        labels.append(term[0])
        return labels
