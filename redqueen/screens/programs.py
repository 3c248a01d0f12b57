"""Programs that reach for the machine."""

import re
import unicodedata
from collections.abc import Sequence

from redqueen.screens.base import Screen

_MODULES = """
    asyncio builtins code ctypes faulthandler ftplib gc getpass glob http importlib inspect io
    marshal mmap multiprocessing os pathlib pickle pip platform posix pty requests resource runpy
    select shelve shutil signal smtplib socket socketserver sqlite3 ssl subprocess sys tempfile
    threading urllib webbrowser
"""
_CALLS = "__import__ breakpoint compile eval exec globals input locals open vars"
_ATTRIBUTES = """
    __builtins__ __class__ __code__ __globals__ __loader__ __mro__ __reduce__ __reduce_ex__
    __subclasses__ f_back f_globals gi_frame tb_frame
"""


def _either(words: str) -> str:
    return "|".join(sorted(words.split()))


class Programs(Screen):
    """Objects to imports of modules with input, output, processes or network, to calls that run
    text or open files, and to attributes that lead into the interpreter.

    It reads the text itself, so no delimiter or syntax error hides a program from it. The sandbox
    is the fence; this says what never needs to reach it.
    """

    allow: tuple[str, ...] = ()
    """Modules, calls and attributes that are let through."""

    def objections(self, texts: Sequence[str]) -> list[str | None]:
        """Return the first word of each text that reaches outside."""
        return [self._objection(text) for text in texts]

    def _objection(self, text: str) -> str | None:
        # Python reads a name in letters of any width and style as the plain one.
        plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
        words = (match[match.lastindex or 0] for match in _REACHES.finditer(plain))
        return next((word for word in words if word not in self.allow), None)


_REACHES = re.compile(
    rf"^[ \t>]*import[ \t]+(?:\w+[ \t]*,[ \t]*)*({_either(_MODULES)})\b"
    rf"|^[ \t>]*from[ \t]+({_either(_MODULES)})(?:\.\w+)*[ \t]+import\b"
    rf"|(?<![\w.])({_either(_CALLS)})\("
    rf"|(?<!\w)({_either(_ATTRIBUTES)})(?!\w)",
    re.MULTILINE,
)
