"""The proof seedling's tokenizer: bytes, the symbols and labels of the theories, and fixed lines.

A line that every prompt of a theory has, an axiom or an instruction, is one token: the rules of
Peano arithmetic take 24 tokens in place of 370. Any text survives a round trip.
"""

from collections.abc import Iterator

from transformers import PreTrainedTokenizerFast

from recipes.common.tokenizer import word_tokenizer
from redqueen.environments.proof.prompts import propose_prompt, solve_prompt
from redqueen.environments.proof.theory import THEORIES, load_theory

START = "$p |-"
"""Of a theorem; its symbols and labels follow, each with a space before it."""


def words() -> list[str]:
    """Return the words that are one token each: symbols and labels in order, then lines."""
    theories = [load_theory(name) for name in THEORIES]
    alphabet = {word for theory in theories for word in (*theory.symbols, *theory.labels)}
    return [
        START,
        *(f" {word}" for word in ("$=", "$.", *sorted(alphabet))),
        *dict.fromkeys(_lines()),
    ]


def _lines() -> Iterator[str]:
    for name in THEORIES:
        for prompt in (solve_prompt(name, "", ("",)), propose_prompt(name, ("",))):
            lines = prompt.splitlines(keepends=True)
            yield from (line for line in lines if line.strip() and line != f"{START}  $=")


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Make the tokenizer (about 400 symbols)."""
    return word_tokenizer(words())
