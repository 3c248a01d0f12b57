"""The proof seedling's corpus and tokenizer: proofs are right, prompts the environment's own."""

from collections import Counter

import pytest
from transformers import AutoTokenizer

from recipes.proof_seedling.corpus import (
    LENGTHS,
    LONGEST,
    MIXES,
    THEORIES,
    Document,
    first_documents,
)
from recipes.proof_seedling.corpus import held_out as held_out_forms
from recipes.proof_seedling.tokenizer import build_tokenizer, words
from recipes.proof_seedling.train import make_chunk
from redqueen.environments.base import Attempt, Draft, Services
from redqueen.environments.proof import Proof
from redqueen.environments.proof.prompts import known_theorems
from redqueen.environments.proof.theory import load_theory
from redqueen.models.sources import resolve_base
from redqueen.types import Rejection, Task, Verdict

pytestmark = pytest.mark.slow  # the corpus's lemmas take seconds to find

PROOF = Proof().build(Services(pytest.fail, "proof-seedling"))
TOKENIZER = build_tokenizer()


@pytest.fixture(scope="module")
def first() -> list[Document]:
    return first_documents(200, 7, MIXES["anneal"])


def posed(document: Document) -> Task:
    statement = document.prompt.rpartition("$p |- ")[2].removesuffix(" $=")
    return Task("t", "proof", document.theory, {"statement": statement})


def test_every_proof_is_right_in_both_roles(first: list[Document]) -> None:
    assert Counter(item.role for item in first).keys() == {"solve", "propose"}
    for item in first:
        assert len(item.completion.partition("$=")[2].split() or item.completion.split()) <= 10
        if item.role == "solve":
            [said] = PROOF.verify([Attempt(posed(item), item.completion)])
            assert said.verdict is Verdict.CORRECT, item
        else:
            [made] = PROOF.validate([Draft(item.theory, item.completion, (), None, 0)])
            # A run does not pose again what it begins with; the corpus does.
            assert isinstance(made, Task) or made.reason == "known", item


def test_prompts_are_those_of_the_environment(first: list[Document]) -> None:
    exact = 0
    for item in first:
        if item.role == "solve":
            asked = {
                PROOF.prompt(posed(item))[0].content,
                PROOF.elicit(posed(item)).messages[0].content,
            }
            exact += item.prompt in asked
            head = item.prompt.split("Proofs:\n")[0]
            assert all(text.startswith(head) for text in asked)
        elif "Theorems with proofs:" not in item.prompt:
            assert item.prompt == PROOF.ask(item.theory, ())[0].content
            exact += 1
    assert exact > 40


def lines(document: Document) -> list[str]:
    """Return the corpus's theorems in a document, each with its proof."""
    told = [line for line in document.prompt.splitlines() if line.startswith("$p |- ")]
    if document.role == "solve":
        return [*told[:-1], told[-1] + document.completion]
    return [*told[:-1], document.completion]


def test_nothing_that_is_held_out_is_in_the_corpus(first: list[Document]) -> None:
    forms = held_out_forms()
    assert 190 <= len(forms) <= 200  # well-known ones among them are left out
    for item in first:
        theory = load_theory(item.theory)
        for line in lines(item):
            statement, proof = line.removeprefix("$p |- ").split(" $= ")
            labels = proof.removesuffix(" $.").split()
            assert theory.normal_form(statement.split()) not in forms
            assert line in known_theorems(item.theory) or len(labels) in LENGTHS
            assert len(labels) <= LONGEST[item.theory] or line in known_theorems(item.theory)


def test_a_fixed_line_a_symbol_and_a_label_are_one_token_each(first: list[Document]) -> None:
    for word in words():
        assert len(TOKENIZER(word)["input_ids"]) == 1
    for item in first:
        ids = TOKENIZER(item.prompt + item.completion)["input_ids"]
        assert TOKENIZER.decode(ids) == item.prompt + item.completion
        assert {TOKENIZER.decode([i]) for i in ids if i < 258} <= {"\n"}
    for theory in THEORIES:
        assert len(TOKENIZER(PROOF.ask(theory, ())[0].content)["input_ids"]) <= 30


def test_a_chunk_is_the_same_again_and_learns_proofs_above_all() -> None:
    chunk = make_chunk(1, 2048, "learn", 0)
    assert chunk == make_chunk(1, 2048, "learn", 0)
    for rows in chunk:
        for ids, weights in rows:
            assert len(ids) == len(weights)
            assert ids[-1] == TOKENIZER.eos_token_id
            assert weights[-1] == max(weights) == 1.0


def test_the_shipped_tokenizer_is_the_one_of_the_recipe(first: list[Document]) -> None:
    shipped = AutoTokenizer.from_pretrained(resolve_base("proof-seedling"))
    for item in first[:50]:
        text = item.prompt + item.completion
        assert shipped(text)["input_ids"] == TOKENIZER(text)["input_ids"]


def test_a_proposal_that_proves_something_else_is_rejected(first: list[Document]) -> None:
    proposal = next(item for item in first if item.role == "propose")
    [made] = PROOF.validate(
        [Draft(proposal.theory, proposal.completion.replace("$=", "$= ax1"), (), None, 0)]
    )
    assert isinstance(made, Rejection)
