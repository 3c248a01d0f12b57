"""Theorems that need no teacher: well-known ones, and random ones found by condensed detachment."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, cycle, islice
from random import Random
from typing import TypeVar

from redqueen.environments.proof.metamath import MetamathError
from redqueen.environments.proof.terms import Term, Unifier, frozen, variables
from redqueen.environments.proof.theory import FUEL, INDIVIDUAL, Theory, load_theory
from redqueen.types import Task

Proof = tuple[str, ...]
Item = TypeVar("Item")
KNOWN: Mapping[str, Sequence[str]] = {
    "propositional": (
        "ax1 ax1 ax2 mp mp",
        "ax1 ax3 ax1 mp ax2 mp mp",
        "ax1 ax2 ax1 mp ax2 mp mp",
        "ax1 ax1 ax2 mp mp ax1 mp",
        "ax1 ax1 ax1 mp ax2 mp mp",
        "ax2 ax1 ax1 mp ax2 mp mp",
        "ax1 ax1 mp ax2 mp",
        "ax3 ax1 mp ax2 mp",
    ),
    "peano": (
        "refl pa3 eucl mp mp",
        "pa3 eqs mp",
        "pa4 eqs mp",
        "pa3 eqs mp refl pa4 eucl mp mp eucl mp mp",
        "pa3 addr mp",
        "pa5 addl mp",
        "refl pa5 eucl mp mp",
        "refl pa6 eucl mp mp",
        "pa1 gen",
        "refl gen",
        "pa2 gen all mp",
        "eqs gen all mp",
    ),
}
"""Condensed proofs of the theorems that an archive starts from, by theory. The first of each
prove p -> p and a = ( a + 0 )."""
POOL = 200
"""Axioms and lemmas that random theorems are made of."""
POOL_TRIES = 2000
LEMMA_STEPS, THEOREM_STEPS, LEMMA_SYMBOLS = 7, 11, 40
LEMMA_FUEL = 4000
TRIES = 2000
"""Combinations without a new theorem after which a generator ends."""
Make = Callable[[str, Sequence[str], Proof], Task]
"""Makes a task of a theory's name, a statement and a proof in full."""


@cache
def _known_forms(name: str) -> frozenset[str]:
    theory = load_theory(name)
    statements = (theory.expand(proof.split())[0] for proof in KNOWN[name])
    return frozenset(map(theory.normal_form, statements))


def is_known(form: str, theories: Sequence[str]) -> bool:
    """Return whether a normal form is that of a well-known theorem of one of these theories."""
    return any(form in _known_forms(name) for name in theories)


class Known:
    """The theorems of `KNOWN`, the theories in turn; then random ones."""

    def __init__(self, theories: Sequence[str], make: Make, rest: "Generated") -> None:
        self._theories, self._make, self._rest = theories, make, rest

    def tasks(self, count: int, seed: int) -> list[Task]:
        """Return up to `count` distinct tasks; see `TaskSource`."""
        tasks: dict[str, Task] = {}
        for name, proof in _in_turn({name: KNOWN[name] for name in self._theories}):
            task = self._make(name, *load_theory(name).expand(proof.split()))
            tasks.setdefault(task.id, task)
        for task in self._rest.tasks(count, seed):
            tasks.setdefault(task.id, task)
        return list(tasks.values())[:count]


class Generated:
    """Random theorems with the proofs that made them, the theories in turn."""

    def __init__(
        self,
        label: str,
        theories: Sequence[str],
        make: Make,
        max_symbols: int,
        most: int | None = None,
    ) -> None:
        """`label` seeds its draws, beside `seed`; there are `most` theorems (None: no limit)."""
        self._label, self._theories, self._make = label, theories, make
        self._max_symbols, self._most = max_symbols, most

    def tasks(self, count: int, seed: int) -> list[Task]:
        """Return up to `count` distinct tasks, the well-known ones left out; see `TaskSource`."""
        streams = {
            name: random_theorems(
                load_theory(name),
                _pool(name),
                Random(f"{self._label}/{name}/{seed}"),
                self._max_symbols,
            )
            for name in self._theories
        }
        theorems = (
            (name, *theorem)
            for name, theorem in islice(_in_turn(streams), self._most)
            if not is_known(load_theory(name).normal_form(theorem[0]), self._theories)
        )
        return [self._make(*theorem) for theorem in islice(theorems, count)]


def _in_turn(streams: Mapping[str, Iterable[Item]]) -> Iterator[tuple[str, Item]]:
    left = {name: iter(stream) for name, stream in streams.items()}
    for name in cycle(streams):
        if not left:
            return
        if name in left:
            try:
                yield name, next(left[name])
            except StopIteration:
                del left[name]


@cache
def _pool(name: str) -> tuple[Proof, ...]:
    """Return the axioms of a theory and lemmas of a few steps, as condensed proofs."""
    theory, rng = load_theory(name), Random(name)
    axioms: list[Proof] = [(n,) for n in theory.axioms if not _needs(theory, n)]
    pool, seen = list(axioms), set[str]()
    for _ in range(POOL_TRIES):
        # Lemmas that are made of axioms stay short.
        proof = _combination(theory, rng.choice((axioms, pool)), rng)
        if len(proof) > LEMMA_STEPS or len(pool) == POOL:
            continue
        try:
            statement, _ = theory.expand(proof, fuel=LEMMA_FUEL)
        except MetamathError:
            continue
        form = theory.normal_form(statement)
        if (
            len(statement) <= LEMMA_SYMBOLS
            and form not in seen
            and not theory.is_axiom(theory.parse(statement))
        ):
            seen.add(form)
            pool.append(proof)
    return tuple(pool)


def _needs(theory: Theory, label: str) -> int:
    return sum(not item.floating for item in theory.axioms[label].hypotheses)


def _combination(theory: Theory, pool: Sequence[Proof], rng: Random) -> Proof:
    """Return a rule applied to members of the pool, whether they fit or not."""
    rule = rng.choice([n for n in theory.axioms for _ in range(_needs(theory, n) ** 2)])
    return (*chain(*(rng.choice(pool) for _ in range(_needs(theory, rule)))), rule)


def random_theorems(
    theory: Theory, pool: Sequence[Proof], rng: Random, max_symbols: int
) -> Iterator[tuple[tuple[str, ...], Proof]]:
    """Yield distinct theorems that are no axioms, each with a proof in full.

    Half of them are instances of what their proofs prove in general.
    """
    seen: set[str] = set()
    failures = 0
    while failures < TRIES:
        failures += 1
        proof = _combination(theory, pool, rng)
        if len(proof) > THEOREM_STEPS:
            continue
        try:
            statement, _ = theory.expand(proof, fuel=LEMMA_FUEL)
            if rng.random() < 0.5:
                statement = _instance(theory, statement, rng)
            if len(statement) > max_symbols:
                continue
            full = theory.check(statement, proof)
        except MetamathError:
            continue
        form = theory.normal_form(statement)
        if form not in seen and not theory.is_axiom(theory.parse(statement)):
            seen.add(form)
            failures = 0
            yield statement, full


def _instance(theory: Theory, statement: Sequence[str], rng: Random) -> tuple[str, ...]:
    """Return a statement with a small random term for one of its variables."""
    formula, unifier = theory.parse(statement), Unifier(FUEL)
    names = [name for name in variables(formula) if theory.kind(name) != INDIVIDUAL]
    if names:
        name = rng.choice(names)
        term = random_term(theory, theory.kind(name), rng, 2)
        unifier.values[name] = frozen(term)
    return theory.render(unifier.resolve(formula))


def random_term(theory: Theory, kind: str, rng: Random, depth: int) -> Term:
    """Return a term of a type, over its first three variables, nested `depth` deep at most."""
    rules = [label for label, rule in theory.syntax.items() if rule.expression[0] == kind]
    if depth == 0 or not rules or rng.random() < 0.3:
        return rng.choice([name for name in theory.floating if theory.kind(name) == kind][:3])
    label = rng.choice(rules)
    kinds = [item.expression[0] for item in theory.syntax[label].hypotheses]
    return label, tuple(random_term(theory, part, rng, depth - 1) for part in kinds)
