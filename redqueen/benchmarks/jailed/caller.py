"""Call one function of `program.py` with many arguments, and write a line for each call.

The file `calls` holds a marshalled (path to the function, what to report, list of arguments). A
line is `seconds value TEXT`, `seconds raised NAME` or `seconds shape NAME`, with the processor time
of the call. TEXT is a canonical literal, or `#` and a digest of one that is long: equal texts are
equal values. All calls share one namespace. What the program prints is dropped.
"""

import io
import marshal
import os
import sys
import time
from collections.abc import Callable, Set
from decimal import Decimal
from fractions import Fraction
from typing import Any

LONGEST_TEXT = 100_000


class Shapeless(Exception):
    """A value that equals no literal."""


class Sink(io.TextIOBase):
    """Takes all text and keeps none."""

    def write(self, text: str) -> int:
        """Return the length, as a stream does."""
        return len(text)


def canonical(value: Any) -> str:
    """Return the text of a value as of the plain value that equals it: a named tuple is a tuple, a
    counter a dict, a view of keys a set, a fraction a float.

    Raises:
        Shapeless: no plain value equals it.
    """
    if value is None or isinstance(value, bool | bytes):
        return repr(value)
    if isinstance(value, int):
        # Decimal digits of a huge number would take for ever.
        return hex(value) if value.bit_length() > 14_000 else int.__repr__(value)
    if isinstance(value, str):
        return str.__repr__(value)
    if isinstance(value, float):
        if value != value:
            raise Shapeless
        return float.__repr__(value).replace("inf", "1e309")
    if isinstance(value, complex):
        if value != value:
            raise Shapeless
        return complex.__repr__(value)
    if isinstance(value, list):
        return f"[{', '.join(map(canonical, value))}]"
    if isinstance(value, tuple):
        return f"({''.join(f'{canonical(item)}, ' for item in value)})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{canonical(k)}: {canonical(v)}' for k, v in value.items())}}}"
    if isinstance(value, Set):
        return f"{{{', '.join(sorted(map(canonical, value)))}}}" if value else "set()"
    if isinstance(value, Fraction | Decimal) and float(value) == value:
        return canonical(float(value))
    raise Shapeless


REPORTS: dict[str, Callable[[Any], Any]] = {
    "value": lambda value: value,
    "set": set,
    "not_none": lambda value: value if isinstance(value, bool) else value is not None,
}
"""What to report of a returned value."""


def main() -> None:
    """Make the calls; an error in the program before its first call ends the process."""
    clock = time.process_time
    with open("calls", "rb") as file:
        path, report, calls = marshal.load(file)
    with open("program.py", encoding="utf-8") as file:
        source = file.read()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace")
    sys.stdout = sys.stderr = Sink()
    scope: dict[str, Any] = {"__name__": "program"}
    exec(compile(source, "program.py", "exec", 0, True), scope)
    first, *rest = path.split(".")
    function = scope[first]
    for name in rest:
        function = getattr(function() if isinstance(function, type) else function, name)
    for args in calls:
        begun = clock()
        try:
            line = f"value {_text(REPORTS[report](function(*args)))}"
        except Shapeless:
            line = "shape -"
        except BaseException as error:
            line = f"raised {type(error).__name__}"
        out.write(f"{clock() - begun:.4f} {line}\n")
        out.flush()


def _text(value: Any) -> str:
    text = canonical(value)
    if len(text) <= LONGEST_TEXT:
        return text
    import hashlib

    return f"#{hashlib.sha256(text.encode('utf-8', 'backslashreplace')).hexdigest()}"


if __name__ == "__main__":
    main()
