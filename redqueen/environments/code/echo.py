"""The guard `echo` for code_i: is the stated output itself an input that gives it?

A function that passes a value on, or a loop that ends where it began, takes its own output for an
input. Students who are paid for any input learn to repeat the output and read nothing.
"""

from collections.abc import Sequence

from redqueen.environments.code.answers import calls_of
from redqueen.environments.code.texts import is_output, repeated
from redqueen.sandbox import Outcome, OutcomeKind, Sandbox


def reaches(outcome: Outcome, output: str) -> bool:
    """Return whether a call gave `output`, as verdicts on answers have it."""
    same = outcome.text == output or is_output(outcome.text, output)
    return outcome.kind is OutcomeKind.VALUE and same


def find_echoes(sandbox: Sandbox, programs: Sequence[tuple[str, str, int]]) -> list[bool | Outcome]:
    """Return for each (program, output, arity) whether repeating the output solves it, or how the
    sandbox failed."""
    calls = [
        call
        for source, output, arity in programs
        for call in calls_of(source, [repeated(output, arity)])
    ]
    return [
        outcome if outcome.kind is OutcomeKind.INFRA_ERROR else reaches(outcome, output)
        for outcome, (_, output, _) in zip(sandbox.run(calls), programs, strict=True)
    ]
