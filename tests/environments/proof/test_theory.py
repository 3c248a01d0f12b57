"""Formulas, condensed proofs and random theorems; truth tables are the reference."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redqueen.environments.proof.metamath import MetamathError, check_proof
from redqueen.environments.proof.sources import KNOWN
from redqueen.environments.proof.terms import NoUnifier, Term, Unifier, frozen, variables
from redqueen.environments.proof.theory import THEORIES, Theory, load_theory

PROPOSITIONAL, PEANO = load_theory("propositional"), load_theory("peano")


def is_tautology(formula: Term) -> bool:
    names = variables(formula)

    def value(term: Term, row: dict[str, bool]) -> bool:
        if isinstance(term, str):
            return row[term]
        parts = [value(part, row) for part in term[1]]
        return not parts[0] if term[0] == "wn" else not parts[0] or parts[1]

    rows = product((False, True), repeat=len(names))
    return all(value(formula, dict(zip(names, row, strict=True))) for row in rows)


def formulas(theory: Theory, kind: str, depth: int = 4) -> st.SearchStrategy[Term]:
    names = st.sampled_from([name for name in theory.floating if theory.kind(name) == kind])
    rules = [(n, a) for n, a in theory.syntax.items() if a.expression[0] == kind and depth]
    nodes = (
        st.tuples(
            st.just(name),
            st.tuples(*(formulas(theory, h.expression[0], depth - 1) for h in rule.hypotheses)),
        )
        for name, rule in rules
    )
    return st.one_of(names, *nodes)


@given(formulas(PEANO, "wff"))
def test_a_formula_is_read_as_it_is_written(formula: Term) -> None:
    symbols = PEANO.render(formula)
    if len(symbols) <= 250:
        assert PEANO.parse(symbols) == formula


@pytest.mark.parametrize("text", ["", "(", "p q", "( p -> q", "p ->", "~", "0", "a = p", "p = q"])
def test_what_is_no_formula(text: str) -> None:
    with pytest.raises(MetamathError):
        PEANO.parse(text.split())


def test_nested_parentheses_take_no_time() -> None:
    deep = [*["("] * 60, "0", *["*", "0", ")"] * 60, "=", "0"]
    assert PEANO.render(PEANO.parse(deep)) == tuple(deep)
    with pytest.raises(MetamathError):
        PEANO.parse(deep[:-1])


@pytest.mark.parametrize("name", THEORIES)
def test_known_theorems_are_proved(name: str) -> None:
    theory = load_theory(name)
    for text in KNOWN[name]:
        statement, full = theory.expand(text.split())
        assert theory.check(statement, text.split()) == full
        check_proof(theory.database, theory.theorem(statement), full)
        assert theory.condensed(full) == tuple(text.split())
        assert not theory.is_axiom(theory.parse(statement))
        if name == "propositional":
            assert is_tautology(theory.parse(statement))
    first = theory.expand(KNOWN[name][0].split())[0]
    assert " ".join(first) in ("( p -> p )", "a = ( a + 0 )")


def check(theory: Theory, statement: str, proof: list[str]) -> None:
    theory.check(statement.split(), proof)


LABELS = sorted(PROPOSITIONAL.axioms)


@given(st.lists(st.sampled_from(LABELS), max_size=12))
def test_whatever_is_proved_is_true(proof: list[str]) -> None:
    try:
        statement, full = PROPOSITIONAL.expand(proof, fuel=4000)
    except MetamathError:
        return
    assert PROPOSITIONAL.check(statement, full) == full
    if len(statement) <= 200 and len({*statement} & {*PROPOSITIONAL.floating}) <= 8:
        assert is_tautology(PROPOSITIONAL.parse(statement))


def test_an_instance_is_proved_and_nothing_more_general() -> None:
    identity = KNOWN["propositional"][0].split()
    for good in ("( p -> p )", "( ~ q -> ~ q )", "( ( p -> q ) -> ( p -> q ) )"):
        check(PROPOSITIONAL, good, identity)
    for bad in ("( p -> q )", "p", "( p -> ~ p )", "( p -> ( p -> p ) )"):
        with pytest.raises(MetamathError):
            check(PROPOSITIONAL, bad, identity)


def test_only_what_a_proof_uses_alone_is_distinct_from_everything() -> None:
    with pytest.raises(MetamathError, match="must be distinct"):
        check(PEANO, "( p -> A. x p )", ["free"])
    check(PEANO, "( y = z -> A. x y = z )", ["free"])
    with pytest.raises(MetamathError):
        check(PEANO, "( x = z -> A. x x = z )", ["free"])


def test_axioms_are_told_by_form() -> None:
    for text, axiom in {
        "( ~ q -> ( q -> ~ q ) )": True,
        "( q -> ( p -> p ) )": False,
        "( 0 + 0 ) = 0": True,
        "0 = ( 0 + 0 )": False,
    }.items():
        assert PEANO.is_axiom(PEANO.parse(text.split())) == axiom
    forms = {PEANO.normal_form(text.split()) for text in ("( q -> a = x )", "( p -> c = z )")}
    assert len(forms) == 1


def test_formulas_that_double_are_given_up() -> None:
    doubling = ["ax2", *["ax2", "mp"] * 90]
    for proof in (doubling, ["ax1"] * 201, ["ax1", *["ax1", "mp"] * 99]):
        with pytest.raises(MetamathError):
            check(PROPOSITIONAL, "( p -> p )", proof)


def test_unification() -> None:
    unifier = Unifier(1000)
    unifier.unify(("f", ("x", "y")), ("f", (("g", ("y",)), "z")))
    assert unifier.resolve("x") == ("g", (unifier.resolve("y"),))
    for left, right in [
        ("x", ("g", ("x",))),
        (("f", ()), ("g", ())),
        (frozen("x"), frozen("y")),
    ]:
        with pytest.raises(NoUnifier):
            Unifier(1000).unify(left, right)
    big = Unifier(10_000)
    for n in range(60):
        big.unify(f"x{n}", ("f", (f"x{n + 1}", f"x{n + 1}")))
    with pytest.raises(NoUnifier):
        big.resolve("x0")
    assert variables(("f", ("b", ("g", ("a", "b"))))) == ["b", "a"]
