"""What students and teachers are told: a theory's rules, theorems with proofs, what is asked."""

from collections.abc import Sequence
from functools import cache

from redqueen.environments.proof.sources import KNOWN
from redqueen.environments.proof.theory import INDIVIDUAL, load_theory

EXPLANATION = (
    "A proof lists labels: before a rule stand the proofs of what it needs, in order.",
    "Any formula may stand for a variable of an axiom; you need not say which.",
)
EXAMPLES, TASK = "Proofs:", "Prove this theorem; end with $."
REFERENCES = "Theorems with proofs:"
PROPOSAL = (
    "Write one new theorem that is hard to prove, with its proof, in this form:",
    "$p |- theorem $= proof $.",
)


@cache
def rules(kind: str) -> tuple[str, ...]:
    """Return the lines that say what a theory's axioms and rules are."""
    lines = []
    for label, axiom in load_theory(kind).axioms.items():
        needed = [" ".join(h.expression) for h in axiom.hypotheses if not h.floating]
        rule = f"{' and '.join(needed)} gives " if needed else ""
        apart = "".join(f" ({a} not in {b})" for a, b in _sorted(kind, axiom.disjoint))
        lines.append(f"{label}: {rule}{' '.join(axiom.expression)}{apart}")
    return (*lines, *EXPLANATION)


def solve_prompt(kind: str, statement: str, examples: Sequence[str]) -> str:
    """Return what a student is told: the rules, worked examples, and the theorem to prove."""
    return "\n".join((*rules(kind), EXAMPLES, *examples, TASK, f"$p |- {statement} $="))


def propose_prompt(kind: str, references: Sequence[str]) -> str:
    """Return what a teacher is told: the rules, theorems with proofs, and what to write."""
    shown = (REFERENCES, *references) if references else ()
    return "\n".join((*rules(kind), *shown, *PROPOSAL))


def written(statement: Sequence[str], proof: Sequence[str]) -> str:
    """Return a theorem with its proof as a line."""
    return f"$p |- {' '.join(statement)} $= {' '.join(proof)} $."


@cache
def known_theorems(kind: str) -> tuple[str, ...]:
    """Return the well-known theorems of a theory with their proofs, as lines."""
    proofs = [proof.split() for proof in KNOWN[kind]]
    return tuple(written(load_theory(kind).expand(proof)[0], proof) for proof in proofs)


def _sorted(kind: str, pairs: frozenset[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return pairs with the individual variable first, in order."""
    theory = load_theory(kind)
    return sorted((a, b) if theory.kind(a) == INDIVIDUAL else (b, a) for a, b in pairs)
