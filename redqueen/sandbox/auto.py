"""The backends `auto` and `monty`: monty for what it is known to do as CPython does.

Monty answers small calls twenty times as fast, but differs in places that nothing marks. For `auto`
its word counts when the call is one on which both agree (see `agreement`) and it ends with a value;
everything else CPython is asked. Alone, as the backend `monty`, it is asked everything but what it
is known to do otherwise (see `differences`), which is unsupported.
"""

import functools
from collections.abc import Sequence

from redqueen.closing import Closing
from redqueen.config.sandbox import SandboxConfig
from redqueen.sandbox.agreement import agrees
from redqueen.sandbox.base import Call, Outcome, OutcomeKind, Sandbox, message_of
from redqueen.sandbox.cpython import CPythonSandbox
from redqueen.sandbox.differences import difference
from redqueen.sandbox.monty import MontySandbox
from redqueen.sandbox.syntax import compile_problem

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


def _known(call: Call) -> Outcome | None:
    """Return the outcome of a call that monty alone is not asked: that of a program which CPython
    does not compile, whatever monty makes of it, and of one that it may do otherwise."""
    kind = difference(call.code, call.args)
    if kind is not None:
        return Outcome(OutcomeKind.UNSUPPORTED, message=_DISAGREES.format(kind))
    name, message = _problem(call.code)
    return Outcome(OutcomeKind.EXCEPTION, exception=name, message=message) if name else None


@functools.lru_cache(1 << 12)
def _problem(code: str) -> tuple[str, str]:
    """Return the type and message of what CPython's compiler says; empty: nothing."""
    problem = compile_problem(code)
    return (type(problem).__name__, message_of(str(problem))) if problem else ("", "")


class MontyAlone(Closing):
    """Asks monty but for what it is known to do otherwise than CPython: that is unsupported, and
    what CPython does not compile raises here."""

    python = "pure"

    @classmethod
    def start(cls, config: SandboxConfig) -> "MontyAlone":
        """Return monty behind the list of what differs; see `Backend.start`."""
        return cls(MontySandbox(config))

    def __init__(self, monty: Sandbox) -> None:
        self._monty = monty

    def run(self, calls: Sequence[Call]) -> list[Outcome]:
        """See `Sandbox.run`."""
        known = [_known(call) for call in calls]
        asked = [call for call, outcome in zip(calls, known, strict=True) if outcome is None]
        made = iter(self._monty.run(asked))
        return [next(made) if outcome is None else outcome for outcome in known]

    def close(self) -> None:
        """End all worker processes. Safe to call twice."""
        self._monty.close()
