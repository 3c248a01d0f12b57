"""Theorems that need no teacher: a few of Lean's library, and random ones that are true.

Random ones are tautologies (by their truth tables), and equations that follow from two others as a
linear combination. Their proofs are Lean's decision procedures.
"""

from collections.abc import Callable, Sequence
from itertools import chain, product
from random import Random

from redqueen.environments.lean.language import Theorem
from redqueen.types import Task

KNOWN: tuple[tuple[str, str], ...] = (
    ("(p q : Prop) : p ∧ q → q ∧ p", "fun h => ⟨h.2, h.1⟩"),
    (
        "(p q : Prop) : p ∨ q → q ∨ p",
        "fun h => h.elim Or.inr Or.inl",
    ),
    ("(p q r : Prop) (f : p → q) (g : q → r) : p → r", "fun hp => g (f hp)"),
    ("(p : Prop) : ¬¬(p ∨ ¬p)", "fun h => h (Or.inr fun hp => h (Or.inl hp))"),
    ("(α : Type) (P : α → Prop) : (¬∃ x, P x) → ∀ x, ¬P x", "fun h x hx => h ⟨x, hx⟩"),
    ("(a b c : Nat) (h : a ≤ b) : a + c ≤ b + c", "Nat.add_le_add_right h c"),
    ("(a b c : Nat) : a * (b + c) = a * b + a * c", "Nat.mul_add a b c"),
    ("(α : Type) (xs : List α) : xs.reverse.reverse = xs", "List.reverse_reverse xs"),
    (
        "(α : Type) (xs ys : List α) : (xs ++ ys).length = ys.length + xs.length",
        "by\n  rw [List.length_append, Nat.add_comm]",
    ),
    (
        "(f : Nat → Nat) (h : ∀ n, f (n + 1) = f n) (n : Nat) : f n = f 0",
        "by\n  induction n with\n  | zero => rfl\n  | succ n ih => rw [h, ih]",
    ),
)
"""Statements with proofs, in Lean without a library."""
OPERATORS: dict[str, Callable[[bool, bool], bool]] = {
    "∧": lambda a, b: a and b,
    "∨": lambda a, b: a or b,
    "→": lambda a, b: not a or b,
    "↔": lambda a, b: a == b,
}
TRIES = 2000
"""Draws in a row without a new theorem after which a source ends."""
Formula = str | tuple[str, "Formula", "Formula"] | tuple[str, "Formula"]
Make = Callable[[Theorem], Task]


class Theorems:
    """The theorems of `known`, then random ones."""

    def __init__(
        self, label: str, make: Make, most: int | None = None, known: Sequence[tuple[str, str]] = ()
    ) -> None:
        """`label` seeds its draws, beside `seed`; there are `most` tasks (None: no limit)."""
        self._label, self._make, self._most, self._known = label, make, most, known

    def tasks(self, count: int, seed: int) -> list[Task]:
        """Return up to `count` distinct tasks; see `TaskSource`."""
        most = count if self._most is None else min(count, self._most)
        rng, tasks, vain = Random(f"{self._label}/{seed}"), dict[str, Task](), 0
        drawn = (tautology(rng) if len(tasks) % 2 else equation(rng) for _ in iter(int, 1))
        for theorem in chain((Theorem(*item) for item in self._known), drawn):
            if len(tasks) >= most or vain == TRIES:
                break
            task = self._make(theorem)
            vain = vain + 1 if task.id in tasks else 0
            tasks.setdefault(task.id, task)
        return list(tasks.values())


def tautology(rng: Random) -> Theorem:
    """Return a random formula over two or three propositions that is true of all."""
    atoms = "pqr"[: rng.randint(2, 3)]
    while True:
        formula = ("→", _formula(atoms, rng, 2), _formula(atoms, rng, 2))
        rows = product((False, True), repeat=len(atoms))
        used = set(atoms) <= set(_written(formula))
        if used and all(holds(formula, dict(zip(atoms, row, strict=True))) for row in rows):
            cases = " <;> ".join(f"by_cases h{atom} : {atom}" for atom in atoms)
            return Theorem(
                f"({' '.join(atoms)} : Prop) : {_written(formula)[1:-1]}",
                f"by\n  {cases} <;> simp_all",
            )


def _formula(atoms: str, rng: Random, depth: int) -> Formula:
    if depth == 0 or rng.random() < 0.2:
        return rng.choice(atoms)
    if rng.random() < 0.2:
        return ("¬", _formula(atoms, rng, depth - 1))
    parts = _formula(atoms, rng, depth - 1), _formula(atoms, rng, depth - 1)
    return (rng.choice(sorted(OPERATORS)), *parts)


def holds(formula: Formula, values: dict[str, bool]) -> bool:
    """Return the truth of a formula."""
    if isinstance(formula, str):
        return values[formula]
    parts = [holds(part, values) for part in formula[1:]]
    return not parts[0] if formula[0] == "¬" else OPERATORS[formula[0]](*parts)


def _written(formula: Formula) -> str:
    if isinstance(formula, str):
        return formula
    sign, *parts = formula
    if sign == "¬":
        return f"¬{_written(parts[0])}"
    return f"({_written(parts[0])} {sign} {_written(parts[1])})"


def equation(rng: Random) -> Theorem:
    """Return an equation of two whole numbers that is a combination of two others."""
    first, second = ([rng.randint(1, 9) for _ in range(3)] for _ in range(2))
    times = rng.randint(1, 4), rng.randint(1, 4)
    both = [times[0] * a + times[1] * b for a, b in zip(first, second, strict=True)]
    left, right, end = (f"{a} * x + {b} * y = {c}" for a, b, c in (first, second, both))
    return Theorem(f"(x y : Int) (h : {left}) (g : {right}) : {end}", "by omega")
