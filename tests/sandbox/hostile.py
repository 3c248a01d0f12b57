"""Programs that try to harm, hang, flood, escape or deceive, with the outcomes that are allowed.

Most are in hostile.txt, those that only a real CPython gives a chance in hostile_cpython.txt;
those that are huge or hold strange characters are made here. Shared by the tests and by
`python -m bench.sandbox`. `FILE` in a program stands for the path of a real file
that holds a secret; the same secret is in an environment variable.
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redqueen.sandbox import Call, OutcomeKind, Sandbox
from redqueen.sandbox.monty import GRACE

SECRET = "canary-5f1d9c"
VARIABLE = "REDQUEEN_CANARY"
SLACK = 1.5
"""Seconds that a loaded machine may add to a call's worst case."""

VALUE, EXCEPTION, UNSUPPORTED = OutcomeKind.VALUE, OutcomeKind.EXCEPTION, OutcomeKind.UNSUPPORTED
HEAVY = (EXCEPTION, OutcomeKind.MEMORY, OutcomeKind.TIMEOUT, OutcomeKind.OUTPUT)


@dataclass(frozen=True)
class Hostile:
    name: str
    code: str
    allowed: tuple[OutcomeKind, ...]
    text: str | None = None
    """The only value it may return, if it may return one."""
    cpython: tuple[OutcomeKind, ...] | None = None
    """What the cpython backend may make of it, if that is something else; so for its text."""
    cpython_text: str | None = None

    def on(self, backend: str) -> tuple[tuple[OutcomeKind, ...], tuple[str, ...] | None]:
        """What is allowed on a backend: kinds, and values if not all are. `alone` is the backend
        "monty", which refuses what the interpreter of that name does otherwise than CPython."""
        here = (self.allowed, self.text)
        there = here if self.cpython is None else (self.cpython, self.cpython_text)
        refusal = ((UNSUPPORTED,), None)
        sides = {
            "monty": [here], "alone": [here, refusal], "cpython": [there], "auto": [here, there],
        }[backend]  # fmt: skip
        texts = [text for kinds, text in sides if OutcomeKind.VALUE in kinds]
        values = None if None in texts else tuple(text for text in texts if text is not None)
        return tuple(kind for kinds, _ in sides for kind in kinds), values


_HEADER = re.compile(r"(allow|text|cpython|cpython text): (.*)")


def _read(path: Path) -> list[Hostile]:
    """Programs of a file of sections `=== name`, `allow: kinds`, perhaps `text: value`, `cpython:
    kinds` and `cpython text: value`, code."""
    programs = []
    for section in path.read_text(encoding="utf-8").split("\n=== ")[1:]:
        name, *lines = section.rstrip().split("\n")
        said: dict[str, str] = {}
        while match := _HEADER.fullmatch(lines[0]):
            said[match[1]] = match[2]
            del lines[0]
        kinds = tuple(map(OutcomeKind, said["allow"].split()))
        cpython = tuple(map(OutcomeKind, said["cpython"].split())) if "cpython" in said else None
        code = "\n".join(line for line in lines if not line.startswith("# ")).rstrip() + "\n"
        text, other = said.get("text"), said.get("cpython text")
        programs.append(Hostile(name, code, kinds, text, cpython, other))
    return programs


def _returning(name: str, value: str, *allowed: OutcomeKind, text: str | None = None) -> Hostile:
    return Hostile(name, f"def f(): return {value}", allowed, text)


_INDENTS = "".join(f"{' ' * (i + 1)}if 1:\n" for i in range(900))

_MADE = [
    _returning("deep parentheses", f"{'(' * 5000}1{')' * 5000}", EXCEPTION),
    _returning("many minus signs", f"{'-' * 20_000}1", EXCEPTION),
    _returning("long sum", "+".join("1" * 20_000), EXCEPTION, VALUE, text="20000"),
    _returning("long union", "|".join(["{1}"] * 4000), EXCEPTION, VALUE, text="{1}"),
    _returning("attribute chain", f"f{'.a' * 20_000}", EXCEPTION, UNSUPPORTED),
    _returning("many arguments", f"max({'1,' * 50_000})", VALUE, *HEAVY, text="1"),
    _returning("deep f-strings", "f'{" * 300 + "1" + "}'" * 300, EXCEPTION),
    _returning("deep lambdas", f"{'lambda: ' * 5000}1", EXCEPTION),
    _returning("long string literal", f"len('{'x' * 10**7}')", VALUE, *HEAVY, text="10000000"),
    _returning("null byte", "1\x00", EXCEPTION),
    _returning("null byte in a string", "'\x00'", VALUE, EXCEPTION, text="'\\x00'"),
    _returning("lone surrogate", "'\ud800'", EXCEPTION),
    _returning("bidirectional text", "'\u202e' # \u2066 2", VALUE, EXCEPTION, text="'\\u202e'"),
    _returning("fullwidth eval", "\uff45\uff56\uff41\uff4c('1+1')", VALUE, *HEAVY, text="2"),
    Hostile("deep indentation", f"def f():\n{_INDENTS}{' ' * 901}return 1", (EXCEPTION,)),
    Hostile("long program", "x = 1\n" * 200_000 + "def f(): return x", (VALUE, *HEAVY), "1"),
    Hostile(
        "form feed and tabs", "def f():\n\t\x0creturn 1\n        return 2", (VALUE, EXCEPTION), "1"
    ),
    Hostile("byte order mark", "\ufeffdef f(): return 1", (VALUE, EXCEPTION), "1"),
    Hostile("empty program", "", (EXCEPTION,)),
]

CORPUS = [
    *_read(Path(__file__).with_name("hostile.txt")),
    *_read(Path(__file__).with_name("hostile_cpython.txt")),
    *_MADE,
]


@contextmanager
def canary(folder: Path) -> Iterator[str]:
    """A file and an environment variable that hold the secret; yields the file's path."""
    path = folder / "canary.txt"
    path.write_text(SECRET, encoding="utf-8")
    os.environ[VARIABLE] = SECRET
    try:
        yield str(path)
    finally:
        del os.environ[VARIABLE]


def worst(seconds: float) -> float:
    """Longest that one call with this limit may take: it hangs, is killed, and is tried again."""
    return 2 * (seconds + GRACE) + SLACK


def attack(
    sandbox: Sandbox, hostile: Hostile, file: str, bound: float, backend: str = "monty"
) -> list[str]:
    """Run one program; return what went wrong (nothing, if the sandbox, a `backend`, holds).

    `bound` is the longest it may take, in seconds (see `worst`). Afterwards the sandbox must
    still work.
    """
    code = hostile.code.replace("FILE", repr(file))
    start = time.monotonic()
    [outcome] = sandbox.run([Call(code, "f")])
    seconds = time.monotonic() - start
    faults = []
    kinds, values = hostile.on(backend)
    # Whichever limit comes first: a loaded machine may run out of time before memory.
    late = outcome.kind is OutcomeKind.TIMEOUT and OutcomeKind.MEMORY in kinds
    if outcome.kind not in kinds and not late:
        faults.append(f"outcome {outcome}")
    if outcome.kind is VALUE and values is not None and outcome.text not in values:
        faults.append(f"returned {outcome.text[:80]!r} instead of {' or '.join(values)}")
    if SECRET in f"{outcome.text}{outcome.exception}{outcome.message}":
        faults.append("the secret leaked")
    if Path(file).read_text(encoding="utf-8") != SECRET:
        faults.append("the file was changed")
    if seconds > bound:
        faults.append(f"took {seconds:.2f} s, allowed {bound:.2f} s")
    [after] = sandbox.run([Call("def f(x): return x + 1", "f", (41,))])
    if after.kind is not VALUE or after.text != "42":
        faults.append(f"the sandbox no longer works: {after}")
    return [f"{hostile.name}: {fault}" for fault in faults]
