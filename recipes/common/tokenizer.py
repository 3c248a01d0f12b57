"""A tokenizer of bytes and whole words: nothing is merged, so a token never spans two values."""

from collections.abc import Callable, Sequence

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

END, PAD = "<|end|>", "<|pad|>"


def byte_symbols() -> dict[int, str]:
    """The printable stand-in of each byte that byte-level tokenizers use."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {byte: chr(byte) for byte in kept}
    spare = iter(range(256, 512))
    return {byte: table.get(byte) or chr(next(spare)) for byte in range(256)}


def literal(word: str) -> str:
    """The regular expression of a word, every character escaped."""
    return "".join(f"\\x{{{ord(c):x}}}" for c in word)


def word_tokenizer(
    words: Sequence[str], pattern: Callable[[str], str] = literal
) -> PreTrainedTokenizerFast:
    """Make a byte-level tokenizer in which each of `words` is one token; the longest wins.

    Ids: end, padding, the 256 bytes, then the words in their order. Any text survives a round trip.
    `pattern` is the regular expression that finds a word.

    Raises:
        ValueError: a word is listed twice.
    """
    symbols = byte_symbols()
    names = [END, PAD, *(symbols[byte] for byte in range(256))]
    names += ["".join(symbols[byte] for byte in word.encode()) for word in words]
    if len(set(names)) != len(names):
        raise ValueError("a word is listed twice")
    vocab = {name: index for index, name in enumerate(names)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[], ignore_merges=True))
    choices = "|".join(map(pattern, sorted(words, key=len, reverse=True)))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(f"(?:{choices})|[\\s\\S]"), behavior="isolated"),
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
