"""The backends `auto` and `monty`: monty for what it is known to do as CPython does.

Monty answers small calls twenty times as fast, but differs in places that nothing marks. For `auto`
its word counts when the call is one on which both agree (see `agreement`) and it ends with a value;
everything else CPython is asked. Alone, as the backend `monty`, it is asked everything but what it
is known to do otherwise (see `differences`), which is unsupported.
"""

from collections.abc import Sequence

from redqueen.closing import Closing
from redqueen.config.sandbox import SandboxConfig
from redqueen.sandbox.agreement import agrees
from redqueen.sandbox.base import Call, Outcome, OutcomeKind, Sandbox
from redqueen.sandbox.cpython import CPythonSandbox
from redqueen.sandbox.differences import difference
from redqueen.sandbox.monty import MontySandbox

_DISAGREES = "monty may not do this as CPython does ({}); set sandbox.backend to auto or cpython"


class AutoSandbox(Closing):
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


class MontyAlone(Closing):
    """Asks monty but for what it is known to do otherwise than CPython: that is unsupported."""

    python = "pure"

    @classmethod
    def start(cls, config: SandboxConfig) -> "MontyAlone":
        """Return monty behind the list of what differs; see `Backend.start`."""
        return cls(MontySandbox(config))

    def __init__(self, monty: Sandbox) -> None:
        self._monty = monty

    def run(self, calls: Sequence[Call]) -> list[Outcome]:
        """See `Sandbox.run`."""
        kinds = [difference(call.code, call.args) for call in calls]
        asked = [call for call, kind in zip(calls, kinds, strict=True) if kind is None]
        made = iter(self._monty.run(asked))
        return [
            next(made)
            if kind is None
            else Outcome(OutcomeKind.UNSUPPORTED, message=_DISAGREES.format(kind))
            for kind in kinds
        ]

    def close(self) -> None:
        """End all worker processes. Safe to call twice."""
        self._monty.close()
