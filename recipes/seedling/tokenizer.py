"""The seedling's tokenizer: bytes, plus whole words of the small Python; digits stay single.

Byte-level, so any text survives a round trip; no merges, so a token never spans two values.
"""

from pathlib import Path

from transformers import PreTrainedTokenizerFast

from recipes.common.tokenizer import word_tokenizer

# Longest first matters in the split expression, not in the ids.
WORDS = (
    "<code_o>\n", "<code_i>\n", "<code_f>\n", "<propose_o>\n", "<propose_i>\n", "<propose_f>\n",
    "<task>\n", "\n<input>\n", "\n<output>\n", "<message>\n", "\n<examples>\n", "<think>\n",
    "<answer>\n",
    "def f(", "):\n    ", "return ", "if ", "else:", "for ", "while ", " in ", " if ", " for ",
    "not ", " and ", " or ", "True", "False", "None",
    "\n    ", "\n        ", "\n            ", ":\n        ", ":\n            ",
    " = ", " + ", " - ", " * ", " // ", " % ", " > ", " < ", " == ", " != ", " >= ", " <= ",
    ", ", ": ", " -> ", "[]", "[::-1]", "[1:]", "[:2]", "[:-1]",
    "len(", "sum(", "max(", "min(", "sorted(", "range(", "abs(", "str(", "int(", "list(",
    ".upper()", ".lower()", ".replace(", ".count(", ".index(", ".append(", ".get(", ".values()",
    "add", "sub", "mul", "mod", "item", "reverse", "sort", "append", "prepend", "tail", "head",
    "pair", "map", "keep", "concat", "upper", "char", "repeat", "replace", "greater", "contains",
    "tuple", "get", "loop", "len", "sum", "max", "min", "start", "accumulate",
)  # fmt: skip


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Make the tokenizer (about 370 symbols)."""
    return word_tokenizer(WORDS)


if __name__ == "__main__":
    import sys

    build_tokenizer().save_pretrained(Path(sys.argv[1]))
