"""The proof seedling's corpus: random theorems with short proofs, in both roles' prompts.

Every theorem is an instance of what a condensed proof proves in general, so that its proof is right
by construction. The proofs are those of `lemmas`: all, or a sample, of up to `LONGEST` labels.
Longer ones are left for self-play to reach.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice, product
from random import Random

from redqueen.config.evaluation import EvalConfig
from redqueen.environments.base import Services
from redqueen.environments.proof import Proof
from redqueen.environments.proof.metamath import MetamathError
from redqueen.environments.proof.prompts import (
    known_theorems,
    propose_prompt,
    solve_prompt,
    written,
)
from redqueen.environments.proof.sources import random_term
from redqueen.environments.proof.terms import Term, Unifier, frozen, variables
from redqueen.environments.proof.theory import INDIVIDUAL, Theory, load_theory
from redqueen.sandbox import Sandbox

LONGEST: Mapping[str, int] = {"propositional": 9, "peano": 7}
"""Labels of the longest proofs of the corpus."""
THEORIES: Mapping[str, float] = {"propositional": 0.55, "peano": 0.45}
LENGTHS: Mapping[int, float] = {2: 0.10, 3: 0.15, 4: 0.15, 5: 0.25, 6: 0.15, 7: 0.20, 9: 0.15}
"""Labels of a proof -> its weight; a theory draws among those that it has."""
TRIES = 4000
"""Combinations of shorter proofs that are tried for each length and rule, if there are so many."""
FUEL = 4000
MAX_SYMBOLS, LEMMA_SYMBOLS = 50, 40
EXAMPLES = ((1, 0.30), (4, 0.10), (0, 0.60))
"""Well-known theorems in a solving document -> weight; 0: `WORKED` random ones instead."""
WORKED = (4, 10)
REFERENCES = (0, 1, 2, 2, 3)

Piece = tuple[str, float]
"""A part of a document and the weight of its loss."""


@dataclass(frozen=True, slots=True)
class Mix:
    """What a stage of training shows, and what of it is learnt; a proof has weight 1."""

    solve: float
    """Share of documents in which a theorem is to be proved; in the others one is proposed."""
    given: float
    """Weight of the loss on a theorem that is given."""
    proposed: float
    """The same on one that is proposed."""


MIXES = {"learn": Mix(0.65, 0.1, 0.3), "anneal": Mix(0.4, 0.5, 1.0)}
"""Proofs are learnt first; then, while the learning rate goes down, to write theorems too."""


@dataclass(frozen=True, slots=True)
class Lemma:
    """A condensed proof and the most general theorem that it proves."""

    proof: tuple[str, ...]
    formula: Term
    rigid: bool
    """Whether the proof has conditions on variables: then only the theorem itself is posed."""


@dataclass(frozen=True, slots=True)
class Document:
    """One training example in weighted pieces, of which the first `given` are the prompt."""

    role: str
    theory: str
    pieces: tuple[Piece, ...]
    given: int

    @property
    def prompt(self) -> str:
        """What the model is told."""
        return "".join(text for text, _ in self.pieces[: self.given])

    @property
    def completion(self) -> str:
        """What the model is to write."""
        return "".join(text for text, _ in self.pieces[self.given :])


@cache
def lemmas(name: str) -> Mapping[int, Sequence[Lemma]]:
    """Return proofs with distinct theorems that are no axioms, by their number of labels."""
    theory, rng = load_theory(name), Random(f"lemmas/{name}")
    needs = {
        label: sum(not item.floating for item in axiom.hypotheses)
        for label, axiom in theory.axioms.items()
    }
    pool: dict[int, list[tuple[str, ...]]] = {1: [(n,) for n, count in needs.items() if not count]}
    made: dict[int, list[Lemma]] = {}
    seen: set[str] = set()
    for length in range(2, LONGEST[name] + 1):
        made[length], pool[length] = [], []
        for rule, count in needs.items():
            for proof in _combinations(pool, rule, count, length, rng):
                lemma = _lemma(theory, proof, seen)
                if lemma is not None:
                    made[length].append(lemma)
                    pool[length].append(proof)
    return {length: items for length, items in made.items() if items}


def _combinations(
    pool: Mapping[int, Sequence[tuple[str, ...]]], rule: str, count: int, length: int, rng: Random
) -> list[tuple[str, ...]]:
    """Return proofs of a length that end with a rule of `count` premises, `TRIES` at most."""
    if count == 0:
        return []
    splits = [s for s in product(range(1, length), repeat=count) if sum(s) == length - 1]
    groups = (product(*(pool[part] for part in split)) for split in splits)
    proofs = [(*chain(*parts), rule) for parts in chain(*groups)]
    return proofs if len(proofs) <= TRIES else rng.sample(proofs, TRIES)


def _lemma(theory: Theory, proof: tuple[str, ...], seen: set[str]) -> Lemma | None:
    """Return what a proof proves; None if it proves nothing new, or too large a theorem."""
    try:
        statement, full = theory.expand(proof, fuel=FUEL)
        form = theory.normal_form(statement)
        if len(statement) > LEMMA_SYMBOLS or form in seen:
            return None
        formula = theory.parse(statement)
        if theory.is_axiom(formula):
            return None
        theory.check(statement, full)
    except MetamathError:
        return None
    seen.add(form)
    return Lemma(proof, formula, any(theory.axioms[label].disjoint for label in proof))


@cache
def held_out() -> frozenset[str]:
    """Return the normal forms of the theorems that models are measured on."""
    suite = Proof().build(Services(_no_sandbox, "chat")).sources["held-out"]
    tasks = suite.tasks(EvalConfig().tasks, EvalConfig().seed)
    return frozenset(
        load_theory(task.kind).normal_form(task.payload["statement"].split()) for task in tasks
    )


def _no_sandbox() -> Sandbox:
    raise NotImplementedError("proofs are checked without a sandbox")


def draw_theorem(name: str, rng: Random) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return a random theorem of a theory that is not held out, and its condensed proof."""
    theory, pool = load_theory(name), lemmas(name)
    lengths = [length for length in pool if length in LENGTHS]
    while True:
        length = rng.choices(lengths, [LENGTHS[item] for item in lengths])[0]
        lemma = rng.choice(pool[length])
        formula = lemma.formula if lemma.rigid else _instance(theory, lemma.formula, rng)
        statement = theory.render(formula)
        if len(statement) <= MAX_SYMBOLS and theory.normal_form(statement) not in held_out():
            return statement, lemma.proof


def _instance(theory: Theory, formula: Term, rng: Random) -> Term:
    """Return a formula with other names, or with random terms for some of its variables."""
    unifier = Unifier(FUEL)
    share = rng.choice((0.0, 0.0, 0.3, 0.6))
    rename = rng.random() < 0.3
    for kind in sorted({theory.kind(item) for item in variables(formula)}):
        names = [item for item in theory.floating if theory.kind(item) == kind]
        used = [item for item in variables(formula) if theory.kind(item) == kind]
        others = rng.sample(names, len(used)) if rename else used
        for name, other in zip(used, others, strict=True):
            term: Term = other
            if kind != INDIVIDUAL and rng.random() < share:
                term = random_term(theory, kind, rng, rng.choice((1, 1, 2)))
            unifier.values[name] = frozen(term)
    return unifier.resolve(formula)


def _line(name: str, rng: Random, weight: float) -> tuple[Piece, Piece]:
    """Return a random theorem and its proof as pieces of one line."""
    statement, proof = draw_theorem(name, rng)
    start, end = written(statement, proof).split(" $=")
    return (f"{start} $=", weight), (end, 1.0)


def solve(name: str, rng: Random, mix: Mix) -> Document:
    """Return a document in which a theorem is to be proved, after worked examples."""
    known = rng.choices([n for n, _ in EXAMPLES], [w for _, w in EXAMPLES])[0]
    worked = [] if known else [_line(name, rng, mix.given) for _ in range(rng.randint(*WORKED))]
    statement, proof = _line(name, rng, mix.given)
    marks = known_theorems(name)[:known] or ("\0",)
    text = solve_prompt(name, "\0", marks).removesuffix("$p |- \0 $=")
    before, _, after = text.partition("\0")
    if known:
        return Document("solve", name, ((text, 0.0), statement, proof), 2)
    lines = _joined(worked)
    pieces = ((before, 0.0), *lines, (after, 0.0), statement, proof)
    return Document("solve", name, pieces, len(pieces) - 1)


def propose(name: str, rng: Random, mix: Mix) -> Document:
    """Return a document in which a theorem is proposed, after references."""
    shown = [_line(name, rng, mix.given) for _ in range(rng.choice(REFERENCES))]
    before, _, after = propose_prompt(name, ("\0",) if shown else ()).partition("\0")
    told: tuple[Piece, ...] = ((before, 0.0), *_joined(shown), (after, 0.0))
    return Document("propose", name, (*told, *_line(name, rng, mix.proposed)), len(told))


def _joined(lines: Sequence[tuple[Piece, Piece]]) -> list[Piece]:
    """Return the pieces of lines with line ends between them."""
    pieces: list[Piece] = []
    for statement, proof in lines:
        pieces += [("\n", 0.0)] if pieces else []
        pieces += [statement, proof]
    return pieces


def documents(seed: int, mix: Mix) -> Iterator[Document]:
    """Yield documents of both roles and all theories without end."""
    rng = Random(seed)
    while True:
        name = rng.choices(list(THEORIES), list(THEORIES.values()))[0]
        yield (solve if rng.random() < mix.solve else propose)(name, rng, mix)


def first_documents(count: int, seed: int, mix: Mix) -> list[Document]:
    """Return the first documents of a seed."""
    return list(islice(documents(seed, mix), count))
