"""Texts as a reader sees them: without characters that do not show, and with one spelling for
letters that look alike. So that a copy is not new because of what nobody sees."""

import unicodedata

_CYRILLIC = str.maketrans("авекмнорстухіјѕһԁԛԝёї", "abekmhopctyxijshdqwei")
_GREEK = str.maketrans("αβεζηικμνορτυχ", "abezhikmnoptyx")
_LATIN = str.maketrans("ıɑɡɩʋ", "iagiu")
_LOOK_ALIKES = {**_CYRILLIC, **_GREEK, **_LATIN}
_UNSEEN = ("Cf", "Me", "Mn")
"""Categories of characters that do not show by themselves: format characters, marks."""


def visible(text: str) -> str:
    """Return a text without format characters: joiners, soft hyphens, marks of direction."""
    if text.isascii():
        return text
    return "".join(sign for sign in text if unicodedata.category(sign) != "Cf")


def folded(text: str) -> str:
    """Return a text in small letters of one form, without marks on them; Cyrillic and Greek ones
    that look like Latin ones are these."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text).casefold()
    kept = (sign for sign in plain if unicodedata.category(sign) not in _UNSEEN)
    return "".join(kept).translate(_LOOK_ALIKES)
