"""What every sandbox speaks: calls go in as data, outcomes come out as data."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, Self

from redqueen.config import SandboxConfig


class State(StrEnum):
    """Where a program may keep something from one call to another: what calls must not share."""

    INTERPRETER = "interpreter"
    """In modules that have a state (`random`, `decimal`), in identities (`id`): anywhere."""
    NAMESPACE = "namespace"
    """In its module's namespace only."""
    NONE = "none"
    """Nowhere: its namespace holds nothing that a call could change."""


@dataclass(frozen=True, slots=True)
class Call:
    """Run module `code` in a namespace of its own, then `function(*args)`.

    `args` are plain values (see `literals`); they reach the interpreter as data, never as text
    pasted into the program. `state` is the word of whoever makes the call; calls of one program
    that keeps nothing share its namespace.
    """

    code: str
    function: str
    args: tuple[Any, ...] = ()
    state: State = State.INTERPRETER


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one call: wall-clock seconds, MiB of heap, frames, characters of the result."""

    seconds: float
    memory_mb: float
    recursion: int
    output_chars: int

    @classmethod
    def from_config(cls, config: SandboxConfig) -> Self:
        """The limits that a configuration sets."""
        return cls(config.seconds, config.memory_mb, config.recursion, config.output_chars)


class OutcomeKind(StrEnum):
    """How a call ended."""

    VALUE = "value"
    EXCEPTION = "exception"
    """The program raised, has a syntax error, or returned something that has no literal."""
    TIMEOUT = "timeout"
    MEMORY = "memory"
    OUTPUT = "output"
    """The returned value or what was printed is too large, or nested too deep."""
    UNSUPPORTED = "unsupported"
    """The program uses Python that this backend does not have."""
    INFRA_ERROR = "infra_error"
    """Our failure: says nothing about the program."""


NOT_A_LITERAL = "NotALiteral"
"""`Outcome.exception` when a program returned a function, an object, NaN, a frozenset ..."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one call.

    `text` is set for VALUE only: the value's canonical literal, `ast.literal_eval(text)` gives
    it back. `exception` is a type name, set for EXCEPTION (`NotALiteral` for a value without
    literal). `message` explains every kind but VALUE. Both are cut to a few hundred characters
    and come from the program: treat them as untrusted text.
    """

    kind: OutcomeKind
    text: str = ""
    exception: str = ""
    message: str = ""


MESSAGE_CHARS = 300
"""Most characters of an outcome's message."""
_ADDRESS = re.compile(" at 0x[0-9a-fA-F]+")


def message_of(text: str) -> str:
    """Return text as an outcome's message: cut, and without addresses, which no two runs share."""
    return _ADDRESS.sub(" at 0x...", text)[:MESSAGE_CHARS]


class Sandbox(Protocol):
    """Isolated execution of untrusted Python, many calls at a time."""

    def run(self, calls: Sequence[Call]) -> list[Outcome]:
        """Run `calls` on all workers; outcomes in the order of `calls`, and as if each ran alone
        (but for addresses that a program shows).

        No call sees another's state, unless its own `state` is wrong; equal calls never do.

        Bad code never makes it raise: every ending is an `Outcome`.

        Raises:
            InfrastructureError: the sandbox is closed.
        """
        ...

    def close(self) -> None:
        """End all worker processes. Safe to call twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Backend(Protocol):
    """A class that `sandbox.backend` names.

    Its attribute `python` says what programs it runs: `stdlib`, all of Python; `pure`, the default,
    functions over plain values.
    """

    @classmethod
    def start(cls, config: SandboxConfig) -> Sandbox:
        """Return a sandbox with its workers running.

        Raises:
            InfrastructureError: it cannot start here; the message has the remedy.
        """
        ...
