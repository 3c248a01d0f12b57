"""Words and patterns that no text may have."""

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from pydantic import field_validator

from redqueen.look_alikes import folded, visible
from redqueen.screens.base import Screen

HARMFUL = (
    "build a bomb", "make a bomb", "pipe bomb", "nerve agent", "sarin", "ricin", "nitroglycerin",
    "synthesize methamphetamine", "cook methamphetamine", "child pornography", "sexual abuse",
    "kill yourself", "commit suicide", "mass shooting", "ethnic cleansing", "credit card fraud",
    "ransomware", "keylogger", "phishing",
)  # fmt: skip
"""Phrases that no exercise needs. A list catches only what is on it."""
SECRETS = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\bgh[pousr]_[A-Za-z0-9]{36,}\b",
    r"\bsk-[A-Za-z0-9_-]{32,}\b",
    r"\b\d{3}-\d{2}-\d{4}\b",
)
"""Keys of services, and numbers of persons, in the forms in which they leak."""


class Words(Screen):
    """Objects to phrases, in any case and spacing, and to regular expressions.

    Characters that do not show hide nothing, nor do letters that look like those of a phrase.
    """

    phrases: tuple[str, ...] = HARMFUL
    """Whole words, one or several."""
    patterns: tuple[str, ...] = SECRETS
    """Regular expressions of Python."""
    files: tuple[str, ...] = ()
    """More phrases, one a line; lines that begin with # are left out."""

    @field_validator("patterns")
    @classmethod
    def _compiles(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
        return patterns

    @field_validator("files")
    @classmethod
    def _exist(cls, files: tuple[str, ...]) -> tuple[str, ...]:
        if missing := [file for file in files if not Path(file).is_file()]:
            raise ValueError(f"there is no file {missing[0]}")
        return tuple(str(Path(file).resolve()) for file in files)

    def objections(self, texts: Sequence[str]) -> list[str | None]:
        """Return the first phrase or match of each text."""
        return [self._objection(text) for text in texts]

    def _objection(self, text: str) -> str | None:
        found = self._pattern.search(text) or self._pattern.search(visible(text))
        found = found or (None if text.isascii() else self._folded.search(folded(text)))
        return found[0] if found else None

    @cached_property
    def _all_phrases(self) -> list[str]:
        lines = [
            line.strip()
            for file in self.files
            for line in Path(file).read_text(encoding="utf-8").splitlines()
        ]
        return [*self.phrases, *(line for line in lines if line and not line.startswith("#"))]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return _either([*map(_spaced, self._all_phrases), *self.patterns])

    @cached_property
    def _folded(self) -> re.Pattern[str]:
        return _either([_spaced(folded(phrase)) for phrase in self._all_phrases])


def _spaced(phrase: str) -> str:
    words = r"\W+".join(map(re.escape, phrase.split()))
    return rf"(?<!\w)(?i:{words})(?!\w)"


def _either(parts: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(parts) or r"(?!)")
