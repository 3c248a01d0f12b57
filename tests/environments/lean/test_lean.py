"""Theorems in Lean: proposals, answers, what the REPL says of them, tasks without a teacher."""

import re
from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest

from redqueen.environments.base import Attempt, Draft, Environment, TaskSpace, describe
from redqueen.environments.lean import Lean, LeanEnvironment
from redqueen.environments.lean.language import Theorem, read_theorem
from redqueen.types import Rejection, Task, Verdict
from tests.environments.lean.replays import checker_of

SWAP = "(p q : Prop) : p ∧ q → q ∧ p"
PROOF = "fun h => ⟨h.2, h.1⟩"


@pytest.fixture(scope="module")
def lean() -> Iterator[LeanEnvironment]:
    with checker_of("theorems", seconds=5.0) as checker:
        yield LeanEnvironment(Lean(held_out_tasks=6), "lean", checker)


def outcome(lean: LeanEnvironment, statement: str, proof: str) -> Task | Rejection:
    text = f"My theorem:\n```lean\ntheorem mine {statement} := {proof}\n```"
    [made] = lean.validate([Draft("theorem", text, (), author=3, step=2)])
    return made


def swap(lean: LeanEnvironment) -> Task:
    made = outcome(lean, SWAP, PROOF)
    assert isinstance(made, Task), made
    return made


def verdict(lean: LeanEnvironment, proof: str, task: Task | None = None) -> Verdict:
    attempt = Attempt(task or swap(lean), f"So\n```lean\n{proof}\n```")
    [said] = lean.verify([attempt])
    return said.verdict


def test_it_is_an_environment_with_teachers(lean: LeanEnvironment) -> None:
    assert isinstance(lean, Environment)
    assert isinstance(lean, TaskSpace)
    assert "sorry" in lean.ask("theorem", [])[0].content
    assert describe(lean)["title"] == "Lean"


def test_a_theorem_with_a_proof_is_a_task(lean: LeanEnvironment) -> None:
    task = swap(lean)
    assert task.payload == {"statement": SWAP, "proof": PROOF}
    assert (task.author, task.step, task.kind) == (3, 2, "theorem")
    assert task.features["proof"] == 9
    assert SWAP in lean.prompt(task)[0].content
    assert PROOF not in lean.prompt(task)[0].content
    assert PROOF in lean.ask("theorem", [task])[0].content
    assert lean.revalidate([task]) == [task]


@pytest.mark.parametrize(
    ("reason", "statement", "proof"),
    [
        ("error", SWAP, "fun h => h"),
        ("error", SWAP, "throws"),
        ("axioms", SWAP, "Mathlib.gap"),
        ("sorry", SWAP, "by exact?"),
        ("sorry", SWAP, "by sorry"),
        ("warning", "(p q : Prop) (h : p) : p ∨ p", "Or.inl h"),
        ("trivial", ": 2 + 2 = 4", "by\n  omega"),
        ("no_statement", "let y", "3; True"),
        ("compiled", SWAP, "by native_decide"),
        ("command", SWAP, "h macro x"),
    ],
)
def test_what_is_no_task_has_a_reason(
    lean: LeanEnvironment, reason: str, statement: str, proof: str
) -> None:
    made = outcome(lean, statement, proof)
    assert isinstance(made, Rejection)
    assert (made.reason, made.malformed) == (reason, False)
    assert reason in describe(lean)["reasons"]


def test_without_code_there_is_no_proposal(lean: LeanEnvironment) -> None:
    [made] = lean.validate([Draft("theorem", f"theorem t {SWAP} := {PROOF}", (), 0, 0)])
    assert made == Rejection("unparsable", malformed=True)


def test_any_proof_that_lean_accepts_is_right(lean: LeanEnvironment) -> None:
    classical = "by\n  by_cases hp : p <;> by_cases hq : q <;> simp_all"
    assert verdict(lean, PROOF) is Verdict.CORRECT
    assert verdict(lean, f"theorem target {SWAP} :=\n{classical}") is Verdict.CORRECT
    for wrong in ("fun h => h", "by sorry", "by exact?", "Mathlib.gap", "throws", "h\n#eval 1"):
        assert verdict(lean, wrong) is Verdict.WRONG
    assert verdict(lean, "theorem target : True := trivial") is Verdict.WRONG
    assert verdict(lean, 'exact "x"') is Verdict.MALFORMED
    assert lean.verify([Attempt(swap(lean), "no idea")])[0].verdict is Verdict.MALFORMED


def test_a_broken_repl_is_no_verdict(lean: LeanEnvironment) -> None:
    with checker_of("faults") as checker:
        broken = LeanEnvironment(Lean(), "lean", checker)
        assert verdict(broken, "killed", swap(lean)) is Verdict.INFRA_ERROR
        assert verdict(broken, "hangs", swap(lean)) is Verdict.WRONG
        lost, slow = outcome(broken, ": p", "killed"), outcome(broken, ": p", "hangs")
    assert lost == Rejection("infra_error", malformed=False, infra=True)
    assert slow == Rejection("timeout", malformed=False)


def test_tasks_of_other_nodes_are_made_anew(lean: LeanEnvironment) -> None:
    task = swap(lean)
    for payload in ({}, {"statement": SWAP}, {**task.payload, "more": 1}, {"statement": 3}):
        [made] = lean.revalidate([Task(task.id, "lean", "theorem", payload, {})])
        assert isinstance(made, Rejection)


def test_sources_give_the_same_tasks_and_a_larger_count_begins_with_them(
    lean: LeanEnvironment,
) -> None:
    for name, source in lean.sources.items():
        few, more = source.tasks(4, 1), source.tasks(30, 1)
        assert more[:4] == few
        assert len(more) == (6 if name == "held-out" else 30)
        assert len({lean.fingerprint(task).task for task in more}) == len(more)
        for task in more:
            theorem = Theorem(task.payload["statement"], task.payload["proof"])
            assert read_theorem(f"```lean\n{theorem.command()}\n```", 1500) == theorem


class Truth(int):
    """A truth value for formulas whose signs are Python's: → as <=, ↔ as ==, ¬ as ~."""

    def __invert__(self) -> "Truth":
        return Truth(1 - self)


def test_random_theorems_are_true(lean: LeanEnvironment) -> None:
    """Tautologies by Python's own operators, equations by the rank of their coefficients."""
    kinds = {"Prop": 0, "Int": 0}
    for task in lean.sources["stream"].tasks(60, 3):
        head, _, claim = task.payload["statement"].partition(") : ")
        if head.endswith("Prop"):
            kinds["Prop"] += 1
            signs = {"→": "<=", "↔": "==", "∧": "&", "∨": "|", "¬": "~"}
            code = "".join(signs.get(sign, sign) for sign in claim)
            left, right = _sides(code)
            names = head[1:].split(" :")[0].split()
            for row in product((0, 1), repeat=len(names)):
                values = dict(zip(names, map(Truth, row), strict=True))
                # Written by our generator: letters, brackets and five signs.
                assert eval(f"({left}) <= ({right})", {"__builtins__": {}}, values)
        else:
            kinds["Int"] += 1
            rows = re.findall(r"(\d+) \* x \+ (\d+) \* y = (\d+)", task.payload["statement"])
            matrix = np.array(rows, dtype=float)
            assert matrix.shape == (3, 3)
            solution = np.linalg.lstsq(matrix[:2].T, matrix[2], rcond=None)[0]
            assert matrix[:2].T @ solution == pytest.approx(matrix[2])
    assert min(kinds.values()) >= 20


def _sides(code: str) -> tuple[str, str]:
    """Return the sides of the `<=` outside of brackets."""
    depth = 0
    for place, sign in enumerate(code):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if depth == 0 and code.startswith("<=", place):
            return code[:place], code[place + 2 :]
    raise AssertionError(code)
