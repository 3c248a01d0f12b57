"""The checker against the rules of the Metamath book: each rule, and what breaks it."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redqueen.environments.proof.metamath import Database, MetamathError, check_proof, substitute

LOGIC = """
$c ( ) -> wff |- $. $v p q r $.
wp $f wff p $. wq $f wff q $. wr $f wff r $.
wi $a wff ( p -> q ) $.
ax1 $a |- ( p -> ( q -> p ) ) $.
ax2 $a |- ( ( p -> ( q -> r ) ) -> ( ( p -> q ) -> ( p -> r ) ) ) $.
${ min $e |- p $. maj $e |- ( p -> q ) $. mp $a |- q $. $}
"""
IDENTITY = (
    "wp wp wp wi wi wp wp wi wp wp ax1 wp wp wp wi wp wi wi wp wp wp wi wi wp wp wi wi "
    "wp wp wp wi ax1 wp wp wp wi wp ax2 mp mp"
)
COMPRESSED = "( wi ax1 mp ax2 ) AAABZBZFAACAFABBGFBAFCAFAEDD"


def check(text: str, max_symbols: int | None = None) -> list[str]:
    """The labels of the proofs of a text, all of which are right."""
    database, labels = Database(), []
    for theorem, proof in database.read(text):
        check_proof(database, theorem, proof, max_symbols)
        labels.append(theorem.assertion.label)
    return labels


@pytest.mark.parametrize("proof", [IDENTITY, COMPRESSED])
def test_a_proof_in_either_form(proof: str) -> None:
    assert check(f"{LOGIC} id $p |- ( p -> p ) $= {proof} $.") == ["id"]


@pytest.mark.parametrize(
    "proof",
    [
        IDENTITY.rpartition(" ")[0],
        IDENTITY.replace("ax2", "ax1"),
        f"wp {IDENTITY}",
        "mp",
        "nothing",
        "?",
        "",
        "id",
        "min",
        COMPRESSED[:-1],
        COMPRESSED + "A",
        COMPRESSED + "U",
        COMPRESSED + "?",
        "( wi ax1 AAB",
        "( wp wi ax1 mp ax2 ) A",
        "( wi ) Z",
        "( wi ) YYYYYYYYYA",
        "( wi ) T",
    ],
)
def test_what_is_no_proof(proof: str) -> None:
    with pytest.raises(MetamathError):
        check(f"{LOGIC} id $p |- ( p -> p ) $= {proof} $.")


def test_hypotheses_and_variables_end_with_their_block() -> None:
    block = "${ h $e |- p $. same $p |- p $= h $. $}"
    assert check(f"{LOGIC} {block}") == ["same"]
    with pytest.raises(MetamathError, match="'h' is no label"):
        check(f"{LOGIC} {block} again $p |- p $= h $.")
    assert check(f"{LOGIC} ${{ $v s $. ws $f wff s $. $}} $v s $.") == []
    with pytest.raises(MetamathError, match="no active"):
        check(f"{LOGIC} ${{ $v s $. ws $f wff s $. $}} ax9 $a |- s $.")


QUANTIFIER = """
$c A. var $. $v x y $. vx $f var x $. vy $f var y $. wall $a wff A. x p $.
${ $d x p $. free $a |- ( p -> A. x p ) $. $}
"""


def test_variables_that_must_be_distinct() -> None:
    text = LOGIC + QUANTIFIER
    good = "${ $d y q $. ok $p |- ( q -> A. y q ) $= wq vy free $. $}"
    assert check(text + good) == ["ok"]
    undeclared = good.replace("$d y q $.", "")
    shared = "${ $d x y q $. bad $p |- ( A. y q -> A. y A. y q ) $= vy wq wall vy free $. $}"
    for proof in (undeclared, shared.replace("vy wq wall vy", "wq vy wall vy"), shared):
        with pytest.raises(MetamathError):
            check(text + proof)
    with pytest.raises(MetamathError, match="y and y must be distinct"):
        check(text + shared.replace("vy wq wall vy free", "wq vy wall vy free"))


@pytest.mark.parametrize(
    "text",
    [
        "$c a $. $c a $.",
        "${ $c a $. $}",
        "${",
        "$}",
        "$( no end",
        "$( $( nested $) $)",
        "$[ file.mm $]",
        "$c a",
        "$v x $. $v x $.",
        "$c a $. $v a $.",
        "$c wff $. $v x $. f $f wff x $. g $f wff x $.",
        "$c wff $. $v x $. f $f wff wff $.",
        "$c wff $. $v x $. a1 $a wff x $.",
        "$c wff $. a1 $a wff $. a1 $a wff $.",
        "$c wff $. wff $a wff $.",
        "$c wff $. a! $a wff $.",
        "$v x $. a1 $a x $.",
        "$c wff $. a1 $x wff $.",
        "$v x $. $d x x $.",
        "$d x y $.",
        "$c é $.",
        "$c wff $. $v x $. $e wff $.",
    ],
)
def test_what_is_no_database(text: str) -> None:
    with pytest.raises(MetamathError):
        check(text)


def test_expressions_have_a_limit() -> None:
    text = f"{LOGIC} id $p |- ( p -> p ) $= {IDENTITY} $."
    assert check(text, max_symbols=60) == ["id"]
    with pytest.raises(MetamathError, match="more than 10 symbols"):
        check(text, max_symbols=10)


def test_substitution_is_simultaneous() -> None:
    values = {"p": ("q",), "q": ("(", "p", ")")}
    assert substitute(("|-", "p", "q", "r"), values) == ("|-", "q", "(", "p", ")", "r")


WORDS = [*LOGIC.split(), *QUANTIFIER.split(), "$p", "$=", "$(", "$)", "$[", "?", "Z", "new", "é"]


@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_no_text_does_harm(words: list[str]) -> None:
    with contextlib.suppress(MetamathError):
        check(f"{LOGIC} {' '.join(words)}", max_symbols=200)


@given(
    st.lists(st.sampled_from([*IDENTITY.split(), "wq", "(", ")", "ABZ", "UA", "?"]), max_size=30)
)
def test_only_proofs_of_the_theorem_are_accepted(proof: list[str]) -> None:
    database = Database()
    [(theorem, _)] = database.read(f"{LOGIC} id $p |- ( p -> p ) $= ? $.")
    del database.assertions["id"]
    with pytest.raises(MetamathError):
        check_proof(database, theorem, proof, 500)  # the shortest proof is longer
