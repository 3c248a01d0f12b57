"""The second seedling's tokenizer: bytes, whole words of the language, line labels.

Digits and letters of names stay single and nothing is merged, so a token never spans two values.
A word that begins with a letter is only taken at the start of an identifier: `printf(` is no `f(`.
"""

import re
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from recipes.seedling.tokenizer import END, PAD, byte_symbols

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
    text = "".join(f"\\x{{{ord(c):x}}}" for c in word)
    return f"(?<![A-Za-z0-9_]){text}" if re.match(r"[A-Za-z]", word) else text


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Make the tokenizer (about 410 symbols)."""
    symbols = byte_symbols()
    names = [END, PAD, *(symbols[byte] for byte in range(256))]
    names += ["".join(symbols[byte] for byte in word.encode()) for word in WORDS]
    assert len(set(names)) == len(names), "a word is listed twice"
    vocab = {name: index for index, name in enumerate(names)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[], ignore_merges=True))
    words = "|".join(map(_pattern, sorted(WORDS, key=len, reverse=True)))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(f"(?:{words})|[\\s\\S]"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([END, PAD])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
    )


if __name__ == "__main__":
    import sys

    build_tokenizer().save_pretrained(Path(sys.argv[1]))
