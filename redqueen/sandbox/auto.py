"""The backends `auto` and `monty`: monty for what it is known to do as CPython does.

Monty answers small calls twenty times as fast, but differs in places that nothing marks. Its word
counts when the call is one on which both agree (see `agreement`). Everything else CPython is asked
for by `auto`, and so whenever monty has no value: it says that the program raised, took too long or
uses what it does not have. Alone, as the backend `monty`, it calls everything else unsupported.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from redqueen.config.sandbox import SandboxConfig
from redqueen.sandbox.agreement import agrees
from redqueen.sandbox.base import Call, Outcome, OutcomeKind, Sandbox
from redqueen.sandbox.cpython import CPythonSandbox
from redqueen.sandbox.monty import MontySandbox

_DISAGREES = Outcome(
    OutcomeKind.UNSUPPORTED,
    message="monty may not answer this as CPython does; set sandbox.backend to auto or cpython",
)


class AutoSandbox:
    """Asks `first` where both agree, and `second` for the rest and whenever `first` has no value.

    It closes both.
    """

    python = "stdlib"

    @classmethod
    def start(cls, config: SandboxConfig) -> "AutoSandbox":
        """Return monty in front of a jailed CPython; see `Backend.start`."""
        second = CPythonSandbox(config)
        try:
            return cls(MontySandbox(config), second)
        except BaseException:
            second.close()
            raise

    def __init__(self, first: Sandbox, second: Sandbox) -> None:
        self._first, self._second = first, second

    def run(self, calls: Sequence[Call]) -> list[Outcome]:
        """See `Sandbox.run`."""
        outcomes: dict[int, Outcome] = {}
        for number, outcome in _agreed(self._first, calls).items():
            if outcome.kind is OutcomeKind.VALUE:
                outcomes[number] = outcome
        rest = [number for number in range(len(calls)) if number not in outcomes]
        made = self._second.run([calls[number] for number in rest])
        outcomes.update(zip(rest, made, strict=True))
        return [outcomes[number] for number in range(len(calls))]

    def close(self) -> None:
        """End all worker processes. Safe to call twice."""
        self._first.close()
        self._second.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class MontyAlone:
    """Asks monty where it agrees with CPython; everything else is unsupported."""

    python = "pure"

    @classmethod
    def start(cls, config: SandboxConfig) -> "MontyAlone":
        """Return monty behind the list of what it agrees on; see `Backend.start`."""
        return cls(MontySandbox(config))

    def __init__(self, monty: Sandbox) -> None:
        self._monty = monty

    def run(self, calls: Sequence[Call]) -> list[Outcome]:
        """See `Sandbox.run`."""
        outcomes = _agreed(self._monty, calls)
        return [outcomes.get(number, _DISAGREES) for number in range(len(calls))]

    def close(self) -> None:
        """End all worker processes. Safe to call twice."""
        self._monty.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _agreed(monty: Sandbox, calls: Sequence[Call]) -> dict[int, Outcome]:
    """Return what monty makes of the calls on which both agree, by their numbers."""
    numbers = [n for n, call in enumerate(calls) if agrees(call.code, call.args)]
    return dict(zip(numbers, monty.run([calls[n] for n in numbers]), strict=True))
