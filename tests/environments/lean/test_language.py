"""What a text of Lean may say, and how theorems and proofs are parted."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redqueen.environments.lean.language import (
    LeanTextError,
    Theorem,
    normal_form,
    read_proof,
    read_theorem,
)

SWAP = "(p q : Prop) : p ∧ q → q ∧ p"


def block(code: str) -> str:
    return f"I thought of\n```lean\n{code}\n```\nDone."


def reason_of(code: str) -> str:
    with pytest.raises(LeanTextError) as caught:
        read_theorem(block(code), 500)
    return caught.value.reason


def test_a_theorem_is_its_statement_and_its_proof() -> None:
    text = "```lean\ntheorem old : True := trivial\n```\n" + block(
        f"-- swaps\ntheorem swap.it {SWAP} := /- /- pairs -/ -/\n  fun h => -- h\n    ⟨h.2, h.1⟩"
    )
    theorem = read_theorem(text, 500)
    assert theorem == Theorem(SWAP, "  fun h => \n    ⟨h.2, h.1⟩")
    assert read_theorem(f"```\ntheorem t {SWAP} := x\n```", 500) == Theorem(SWAP, "x")


def test_a_proof_that_goes_on_keeps_its_columns() -> None:
    code = "theorem t : p := by intro h\n                    exact h"
    proof = read_theorem(block(code), 500).proof
    first, second = proof.split("\n")
    assert first.index("intro") == second.index("exact")


def test_the_statement_ends_at_the_first_sign_outside_of_brackets() -> None:
    theorem = read_theorem(
        block("theorem t (n : Nat := 3) {x : α} : n = (let m := n; m) := rfl"), 99
    )
    assert theorem == Theorem("(n : Nat := 3) {x : α} : n = (let m := n; m)", "rfl")


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("unparsable", "def f := 2"),
        ("unparsable", f"theorem t {SWAP}"),
        ("unreadable", 'theorem t : "a" = "a" := rfl'),
        ("unreadable", "theorem «t u» : True := trivial"),
        ("unreadable", "theorem t : True := /- trivial"),
        ("unreadable", "theorem t : True := -/ trivial"),
        ("unreadable", "theorem t : True :=\x00 trivial"),
        ("unreadable", "theorem t : True := trivial \ud800"),
        ("too_large", f"theorem t : {'True ∧ ' * 100} True := trivial"),
        ("too_large", "theorem t := trivial"),
        ("sorry", "theorem t : 1 = 2 := by sorry"),
        ("sorry", "theorem t : 1 = 2 := sorryAx _"),
        ("sorry", "theorem t : 1 = 2 := by\n  admit"),
        ("compiled", "theorem t : 2 ^ 99 > 1 := by native_decide"),
        ("compiled", "theorem t : 2 ^ 99 > 1 := by decide +native"),
        ("compiled", "theorem t : p := Lean.ofReduceBool a b c"),
        ("compiled", "theorem t : p := unsafe f"),
        ("compiled", "theorem t : False := lcProof"),
        ("command", "theorem t : p := h\naxiom h : p"),
        ("command", "theorem t : p := h\nmacro_rules | `(p) => `(True)"),
        ("command", "theorem t : p := by\n  open Classical in exact h"),
        ("command", "theorem t : p := h\n#eval 1"),
        ("command", "theorem t : p := h\n@[simp] theorem u : p := h"),
        ("command", "theorem t : p := h set_option debug.skipKernelTC true"),
        ("command", "theorem t : p := by run_tac f"),
        ("command", "theorem t : (notation : Prop) := h"),
    ],
)
def test_what_no_text_may_say(reason: str, code: str) -> None:
    assert reason_of(code) == reason


@pytest.mark.parametrize("word", ["sorryλ x => x", "αsorry", "1sorry", "(sorry)", "x✝sorry"])
def test_a_word_hides_behind_no_letter_that_lean_parts_it_at(word: str) -> None:
    assert reason_of(f"theorem t : p := {word}") == "sorry"


def test_names_that_only_resemble_a_command_may_be_said() -> None:
    read_theorem(block("theorem t : List.prefix_append a b := by infer_instance; exact x.end"), 99)


def test_an_answer_is_a_proof_or_the_whole_theorem() -> None:
    for code in ("fun h => x", ":= fun h => x", f"theorem target\n  {SWAP} :=\nfun h => x"):
        assert read_proof(block(code), SWAP, 500).strip() == "fun h => x"
    for reason, text in (
        ("unparsable", "fun h => x"),
        ("unparsable", block("")),
        ("other_theorem", block("theorem target : True := trivial")),
        ("sorry", block("by sorry")),
        ("too_large", block("x" * 501)),
    ):
        with pytest.raises(LeanTextError) as caught:
            read_proof(text, SWAP, 500)
        assert caught.value.reason == reason


def test_bound_names_and_numbers_do_not_tell_theorems_apart() -> None:
    form, shape = normal_form("(a b : Nat) (h : a < 3) : ∃ c d, a + c = b * 4 + d")
    assert (form, shape) == normal_form("(x y : Nat) (g : x < 3) : ∃ z w, x + z = y * 4 + w")
    other, same = normal_form("(x y : Nat) (g : x < 5) : ∃ z w, x + z = y * 2 + w")
    assert other != form
    assert same == shape
    assert normal_form("(x y : Nat) (g : y < 3) : ∃ z w, x + z = y * 4 + w")[0] != form


@pytest.mark.parametrize(
    "again",
    [
        "(p q : Prop) : (p /\\ q) -> (q /\\ p)",
        "(p q : Prop) : (p ∧ q) → (q ∧ p)",
        "(p q : Prop) : (((p) ∧ q)) → ((q ∧ (p)))",
        "(x   y : Prop) :\n  ((x /\\ y)) → (y ∧ x)",
    ],
)
def test_spellings_and_idle_brackets_make_no_new_theorem(again: str) -> None:
    assert normal_form(again) == normal_form("(p q : Prop) : (p ∧ q) → (q ∧ p)")
    other = "(p q : Prop) : p ∧ (q → q) ∧ p"
    assert normal_form(again) != normal_form(other)


CODE = st.text('theorm:=by(){}-/\n `λ⟨⟩"«» sorry#@['.replace(" ", "  ")) | st.text()


@settings(max_examples=100)
@given(CODE, CODE)
def test_reading_raises_nothing_else(head: str, tail: str) -> None:
    for text in (head, block(f"theorem t {head} := {tail}"), block(tail)):
        with suppress(LeanTextError):
            read_theorem(text, 200)
        with suppress(LeanTextError):
            read_proof(text, SWAP, 200)
