"""The auto backend: monty for what it is known to do as CPython does, CPython for all the rest.

Monty answers small calls twenty times as fast. Its word counts when the call is one on which both
agree (see `agreement`) and it ends with a value. Whatever else it says, that the program raised,
took too long or uses what it does not have, CPython is asked.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from redqueen.config.sandbox import SandboxConfig
from redqueen.sandbox.agreement import agrees
from redqueen.sandbox.base import Call, Outcome, OutcomeKind, Sandbox
from redqueen.sandbox.cpython import CPythonSandbox
from redqueen.sandbox.monty import MontySandbox


class AutoSandbox:
    """Asks `first` where both agree, and `second` for the rest and whenever `first` has no value.

    It closes both.
    """

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
        quick = [n for n, call in enumerate(calls) if agrees(call.code, call.args)]
        for number, outcome in zip(quick, self._first.run([calls[n] for n in quick]), strict=True):
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
