"""The seedling's tokenizer: bytes, plus whole words of the small Python; digits stay single.

Byte-level, so any text survives a round trip; no merges, so a token never spans two values.
"""

from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

END, PAD = "<|end|>", "<|pad|>"

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


def byte_symbols() -> dict[int, str]:
    """The printable stand-in of each byte that byte-level tokenizers use."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {byte: chr(byte) for byte in kept}
    spare = iter(range(256, 512))
    return {byte: table.get(byte) or chr(next(spare)) for byte in range(256)}


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Make the tokenizer (about 370 symbols)."""
    symbols = byte_symbols()
    names = [END, PAD, *(symbols[byte] for byte in range(256))]
    names += ["".join(symbols[byte] for byte in word.encode()) for word in WORDS]
    assert len(set(names)) == len(names), "a word is listed twice"
    vocab = {name: index for index, name in enumerate(names)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[], ignore_merges=True))
    ordered = sorted(WORDS, key=len, reverse=True)
    words = "|".join("".join(f"\\x{{{ord(c):x}}}" for c in word) for word in ordered)
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
