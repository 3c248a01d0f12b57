"""The seedling's tokenizer: lossless, digits apart, words whole, ids fixed."""

import hashlib
import re
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from recipes.common.tokenizer import END, PAD, byte_symbols
from recipes.seedling.corpus import Document, documents
from recipes.seedling.tokenizer import WORDS, build_tokenizer

GOLDEN = "931c799e570f72c4da1a4a2586ec836c"
"""Of the ids of the corpus's first 300 documents of seed 7."""

TOKENIZER = build_tokenizer()


def pieces(text: str) -> list[str]:
    """The text of each token. Only for text whose tokens are whole characters."""
    return [TOKENIZER.decode([number]) for number in TOKENIZER(text)["input_ids"]]


@pytest.fixture(scope="module")
def first() -> list[Document]:
    return list(islice(documents(7), 300))


def test_the_ids_that_the_seedling_knows_do_not_change(first: list[Document]) -> None:
    digest = hashlib.blake2b(digest_size=16)
    for item in first:
        digest.update(repr(TOKENIZER(item.prompt + item.completion)["input_ids"]).encode())
    assert digest.hexdigest() == GOLDEN
    assert len(TOKENIZER) == 360
    assert (TOKENIZER.eos_token_id, TOKENIZER.pad_token_id) == (0, 1)


WORDY = st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=6)), max_size=12).map("".join)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(WORDY)
def test_any_text_survives(text: str) -> None:
    ids = TOKENIZER(text)["input_ids"]
    assert TOKENIZER.decode(ids) == text
    assert all(0 <= number < len(TOKENIZER) for number in ids)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=20))
def test_any_token_sequence_decodes(numbers: bytes) -> None:
    ids = [2 + number for number in numbers]
    assert TOKENIZER.decode(ids) == numbers_text(numbers)


def numbers_text(numbers: bytes) -> str:
    return numbers.decode("utf-8", errors="replace")


def test_byte_symbols_are_distinct_and_visible() -> None:
    table = byte_symbols()
    assert sorted(table) == list(range(256))
    assert len(set(table.values())) == 256
    assert all(len(symbol) == 1 and not symbol.isspace() for symbol in table.values())


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_one_token(word: str) -> None:
    assert pieces(word) == [word]


CONTEXTS = {
    "def f(a, b):\n    return a": ["def f(", "a", ", ", "b", "):\n    ", "return ", "a"],
    "\n    g = len(a) + 12": ["\n    ", "g", " = ", "len(", "a", ")", " + ", "1", "2"],
    "\n    if g > 3:\n        h = -1\n    else:\n        h = a[::-1]": [
        "\n    ", "if ", "g", " > ", "3", ":\n        ", "h", " = ", "-", "1",
        "\n    ", "else:", "\n        ", "h", " = ", "a", "[::-1]",
    ],
    "[v for v in a if v > 2]": [
        "[", "v", " for ", "v", " in ", "a", " if ", "v", " > ", "2", "]",
    ],
    "[10, 2]\n<output>\n": ["[", "1", "0", ", ", "2", "]", "\n<output>\n"],
    "while g > 0 = True\n": ["while ", "g", " > ", "0", " = ", "True", "\n"],
    "a.get('b', 0)": ["a", ".get(", "'", "b", "'", ", ", "0", ")"],
    "1 -> [1]\n<think>\n": ["1", " -> ", "[", "1", "]", "\n", "<think>\n"],
}  # fmt: skip


@pytest.mark.parametrize("text", CONTEXTS)
def test_words_in_context(text: str) -> None:
    assert pieces(text) == CONTEXTS[text]


def test_no_token_spans_two_values(first: list[Document]) -> None:
    """A token holds one digit at most; one with a digit or a quote holds no letter beside it."""
    fixed = {"[1:]", "[:2]", "[:-1]", "[::-1]"}  # slices are operations, not values
    for item in first:
        for piece in set(pieces(item.prompt + item.completion)) - fixed:
            if re.search(r"[0-9']", piece):
                assert len(piece) == 1, piece


def test_end_and_padding_stand_outside_the_text() -> None:
    assert TOKENIZER(f"1{END}")["input_ids"][-1] == TOKENIZER.eos_token_id
    assert TOKENIZER.decode(TOKENIZER(f"1{END}{PAD}")["input_ids"], skip_special_tokens=True) == "1"


def test_it_survives_saving(tmp_path: Path, first: list[Document]) -> None:
    TOKENIZER.save_pretrained(tmp_path)
    again = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    for item in first[:20]:
        ids = TOKENIZER(item.prompt)["input_ids"]
        assert again(item.prompt)["input_ids"] == ids
        assert again.decode(ids) == item.prompt
