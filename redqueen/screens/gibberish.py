"""Texts that say nothing."""

import unicodedata
import zlib
from collections.abc import Sequence

from pydantic import Field

from redqueen.screens.base import Screen


class Gibberish(Screen):
    """Objects to endless repetition, to words without end, and to characters that nobody writes."""

    min_compressed: float = Field(0.02, ge=0, le=1)
    """Least size of a text after compression (zlib), relative to its size before."""
    least_chars: int = Field(500, ge=0)
    """Shorter texts may repeat themselves."""
    longest_word: int = Field(1000, ge=1)
    """Characters without white space between them."""
    max_odd: float = Field(0.1, ge=0, le=1)
    """Share of control characters, of characters that are no text, and of unassigned ones."""

    def objections(self, texts: Sequence[str]) -> list[str | None]:
        """Return what each text has too much of."""
        return [self._objection(text) for text in texts]

    def _objection(self, text: str) -> str | None:
        data = text.encode("utf-8", "surrogatepass")
        if len(text) >= self.least_chars:
            ratio = len(zlib.compress(data)) / len(data)
            if ratio < self.min_compressed:
                return f"it repeats itself: compressed to {ratio:.1%}"
        if max(map(len, text.split()), default=0) > self.longest_word:
            return "a word without end"
        odd = sum(map(_is_odd, text))
        if odd > self.max_odd * max(1, len(text)):
            return f"{odd} of {len(text)} characters are no text"
        return None


def _is_odd(char: str) -> bool:
    if char in "\n\r\t":
        return False
    return char == "\ufffd" or unicodedata.category(char) in ("Cc", "Cn", "Co", "Cs")
