"""The second seedling's tokenizer: bytes, whole words of the language, line labels.

Digits and letters of names stay single and nothing is merged, so a token never spans two values.
A word that begins with a letter is only taken at the start of an identifier: `printf(` is no `f(`.
"""

import re
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from recipes.common.tokenizer import literal, word_tokenizer

LABELS = tuple(f"\n#{number} " for number in range(1, 41))
WORDS = (
    "<code_o>", "<code_i>", "<code_f>", "<propose_o>", "<propose_i>", "<propose_f>",
    "\n<task>\n", "\n<input>\n", "\n<output>\n", "\n<message>\n", "\n<examples>\n", "\n<think>",
    "\n<answer>\n",
    "def f(", "def ", "\n\ndef f(", "):", "return ", "if ", "elif ", "else:", "for ", "while ",
    " in ", " not in ", " if ", " else ", " for ", "not ", " and ", " or ", "True", "False", "None",
    "break", "continue", "pass",
    *(" " * 4 * level for level in range(1, 6)), *("\n" + " " * 4 * level for level in range(1, 6)),
    " = ", " + ", " - ", " * ", " // ", " % ", " > ", " < ", " == ", " != ", " >= ", " <= ",
    " += ", " -= ", " *= ", " //= ", " %= ",
    ", ", ": ", " -> ", "; ", "; rest ", "done", "; if True", "; if False", "; while True",
    "; while False", "; return ", "[]", "''", "[::-1]", " = True", " = False",
    "len(", "sum(", "max(", "min(", "sorted(", "range(", "abs(", "str(", "int(", "list(", "bool(",
    "enumerate(", "zip(", "any(", "all(", ", reverse=True)",
    ".upper()", ".lower()", ".replace(", ".count(", ".find(", ".startswith(", ".endswith(",
    ".isdigit()", ".isupper()", ".join(", ".split(", ".append(", ".insert(", ".pop()", ".sort()",
    ".reverse()", ".get(", ".values()", ".items()", ".keys()",
    *LABELS,
)  # fmt: skip


def _pattern(word: str) -> str:
    return f"(?<![A-Za-z0-9_]){literal(word)}" if re.match(r"[A-Za-z]", word) else literal(word)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Make the tokenizer (about 410 symbols)."""
    return word_tokenizer(WORDS, _pattern)


if __name__ == "__main__":
    import sys

    build_tokenizer().save_pretrained(Path(sys.argv[1]))
