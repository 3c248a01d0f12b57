"""The second seedling's documents: always worked out, right, readable, short enough."""

import ast
from collections import Counter
from itertools import islice
from typing import Any

import pytest
from transformers import AutoTokenizer

from recipes.seedling2.corpus import KINDS, Document, documents
from recipes.seedling2.tokenizer import WORDS, build_tokenizer
from recipes.seedling2.train import MAX_COMPLETION, Tokenize, make_row
from redqueen.environments.code.analysis import parse_program
from redqueen.environments.code.styles import EXAMPLES, INPUT, OUTPUT
from redqueen.environments.code.traced import held_out_pairs
from redqueen.environments.code.traced.prompts import THINK, TRACED
from redqueen.models.sources import resolve_base


@pytest.fixture(scope="module")
def sample() -> list[Document]:
    return list(islice(documents(11), 240))


def call(program: str, args: str) -> Any:
    """The value of `f` in CPython; the program is the recipe's own text."""
    space: dict[str, Any] = {}
    exec(program, space)
    return space["f"](*ast.literal_eval(f"({args},)"))


def program_of(prompt: str) -> str:
    """The program of a listing in a prompt, labels taken off."""
    lines = prompt.partition("\n")[2].split("\n<")[0].split("\n")
    return "\n".join(line.partition(" ")[2] for line in lines)


def test_every_kind_comes(sample: list[Document]) -> None:
    assert set(Counter(item.kind for item in sample)) == set(KINDS)


def test_solutions_are_right(sample: list[Document]) -> None:
    for item in sample:
        answer = TRACED.read_answer("code_o", item.completion)
        between = item.prompt.removesuffix(THINK)
        if item.kind == "solve_o":
            value = call(program_of(item.prompt), between.partition(INPUT)[2])
            assert repr(value) == answer
        elif item.kind == "solve_i":
            assert answer is not None
            value = call(program_of(item.prompt), answer)
            assert repr(value) == between.partition(OUTPUT)[2]
        elif item.kind == "solve_f":
            assert answer is not None
            for line in between.partition(EXAMPLES)[2].split("\n"):
                args, _, output = line.partition(" -> ")
                assert repr(call(answer, args)) == output


def test_solutions_are_worked_out(sample: list[Document]) -> None:
    """Every solution has a run before its answer, whose last line returns what was asked for."""
    for item in sample:
        if item.kind.startswith("solve"):
            run = item.completion.partition("\n<answer>")[0]
            assert run.count("\n#") > 1
            assert "return " in run.rpartition("\n#")[2]


def test_proposals_can_be_read(sample: list[Document]) -> None:
    for item in sample:
        if item.kind == "propose":
            pair = TRACED.read_program_and_input(item.completion)
            assert pair is not None
            parsed = parse_program(pair[0], 1200)
            assert not isinstance(parsed, str)
            assert parsed.source == pair[0]
            call(*pair)
        elif item.kind == "propose_f":
            found = TRACED.read_inputs_and_message(item.completion)
            assert found is not None
            assert len(found[0]) == 6
            assert found[1]


def test_the_choice_of_a_wrong_try_is_not_learnt(sample: list[Document]) -> None:
    tries = [item for item in sample if item.kind == "solve_i" and len(item.pieces) > 1]
    assert tries
    for item in tries:
        for text, weight in item.pieces:
            assert (weight == 0.0) == (text.startswith("\n#") and text.count("\n") == 1)


def test_no_program_has_a_held_out_pair(sample: list[Document]) -> None:
    for item in sample:
        if item.kind in ("solve_o", "solve_i"):
            assert not held_out_pairs(program_of(item.prompt))


def test_most_documents_are_short(sample: list[Document]) -> None:
    tokenize = Tokenize()
    rows = [make_row(item, tokenize, 0) for item in sample]
    assert sum(row is None for row in rows) < 0.03 * len(rows)
    lengths = sorted(len(tokenize(item.completion)) for item in sample if item.kind == "solve_o")
    assert lengths[int(0.9 * len(lengths))] <= 256 < MAX_COMPLETION


def test_pieces_are_tokenised_as_the_whole_text(sample: list[Document]) -> None:
    tokenize = Tokenize()
    for item in sample:
        row = make_row(item, tokenize, 0)
        if row is not None:
            assert row[0] == [*tokenize(item.prompt), *tokenize(item.completion), 0]
            assert len(row[0]) == len(row[1])


def test_texts_survive_the_tokenizer(sample: list[Document]) -> None:
    tokenizer = build_tokenizer()
    for text in (*(item.prompt + item.completion for item in sample[:40]), "é\t\\ ☃ #41 "):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_words_begin_where_identifiers_begin() -> None:
    tokenizer = build_tokenizer()
    assert len(tokenizer(["len("][0])["input_ids"]) == 1
    assert len(tokenizer("mylen(")["input_ids"]) == 6
    assert len(tokenizer("dif = 310")["input_ids"]) == 3 + 1 + 3
    assert len(set(WORDS)) == len(WORDS)


def test_the_shipped_tokenizer_is_the_one_of_the_recipe(sample: list[Document]) -> None:
    shipped, made = AutoTokenizer.from_pretrained(resolve_base("seedling2")), build_tokenizer()
    for item in sample[:50]:
        text = item.prompt + "".join(piece for piece, _ in item.pieces)
        assert shipped(text)["input_ids"] == made(text)["input_ids"]
