"""What a request's process says, turned into outcomes outside it."""

import signal
import struct

from redqueen.sandbox.base import NOT_A_LITERAL, Outcome, OutcomeKind, message_of
from redqueen.sandbox.cpython.inside.server import CPU, ENDED, FAILED
from redqueen.sandbox.cpython.jail import IDLE, Answer
from redqueen.sandbox.literals import canonical_repr
from redqueen.sandbox.script import ScriptOutcome

_LATE = {
    CPU: "the processor time is used up",
    IDLE: "the program waited for longer than it may run",
}
_Report = tuple[str, str, str]


def ended_well(answer: Answer, print_bytes: int) -> bool:
    """Whether a process ended by itself, in time, with status 0 and without a flood of output."""
    flooded = max(len(answer.output), len(answer.errors)) >= print_bytes
    return answer.how == ENDED and answer.status == 0 and not flooded


def call_outcomes(answer: Answer, count: int, print_bytes: int) -> list[Outcome]:
    """The outcomes of `count` calls that shared a process.

    Only a process that ended by itself, in time and with status 0, has reports that count. If it
    did not, all its calls get the same outcome: there is no telling which of them was to blame.
    """
    if answer.how == FAILED:
        return [Outcome(OutcomeKind.INFRA_ERROR, message=message_of(_text(answer.report)))] * count
    if answer.how in _LATE:
        return [Outcome(OutcomeKind.TIMEOUT, message=_LATE[answer.how])] * count
    if max(len(answer.output), len(answer.errors)) >= print_bytes:
        return [Outcome(OutcomeKind.OUTPUT, message="printed too much")] * count
    reports = _unpack(answer.report)
    if len(reports) != count:
        message = f"the program ended its process ({_ending(answer.status)})"
        return [Outcome(OutcomeKind.EXCEPTION, exception="SystemExit", message=message)] * count
    return [_outcome(*report) for report in reports]


def script_outcome(answer: Answer, print_bytes: int) -> ScriptOutcome:
    """The outcome of a script."""
    output, errors = _text(answer.output), _text(answer.errors)
    if answer.how == FAILED:
        return ScriptOutcome(OutcomeKind.INFRA_ERROR, errors=_text(answer.report))
    if answer.how in _LATE:
        kind = OutcomeKind.TIMEOUT
    elif max(len(answer.output), len(answer.errors)) >= print_bytes:
        kind = OutcomeKind.OUTPUT
    else:
        kind = OutcomeKind.VALUE
    return ScriptOutcome(kind, answer.status, output, errors)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _ending(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def _unpack(data: bytes) -> list[_Report]:
    """The reports in bytes that the program may have written: none if they are not well formed."""
    reports: list[_Report] = []
    place = 0
    while place < len(data):
        if place + 4 > len(data):
            return []
        (size,) = struct.unpack_from("!I", data, place)
        parts = _text(data[place + 4 : place + 4 + size]).split("\0", 2)
        place += 4 + size
        if place > len(data) or len(parts) != 3:
            return []
        reports.append((parts[0], parts[1], parts[2]))
    return reports


def _outcome(status: str, exception: str, detail: str) -> Outcome:
    if status == "value":
        text = canonical_repr(detail)
        if text is not None:
            return Outcome(OutcomeKind.VALUE, text)
        detail = "a value"
    if status == "raised":
        name, message = message_of(exception), message_of(detail)
        return Outcome(OutcomeKind.EXCEPTION, exception=name, message=message)
    if status == "memory":
        return Outcome(OutcomeKind.MEMORY, message="out of memory")
    if status == "missing":
        message = message_of(f"the program defines no {detail!r}")
        return Outcome(OutcomeKind.EXCEPTION, exception="NameError", message=message)
    if status == "output":
        return Outcome(OutcomeKind.OUTPUT, message="the returned value is too long or too deep")
    what = "nan" if detail == "float" else f"a value of type {detail}"
    message = message_of(f"the program returned {what}, which has no literal")
    return Outcome(OutcomeKind.EXCEPTION, exception=NOT_A_LITERAL, message=message)
