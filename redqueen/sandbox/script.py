"""Whole programs: files, standard input, and what is expected of their output."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from redqueen.sandbox.base import OutcomeKind


@dataclass(frozen=True, slots=True)
class Script:
    """Run file `entry` of `files` as `python entry` would, with `stdin` as its standard input.

    The expectation stays outside: `expected_output` is compared with what it wrote, unless it is
    None, and `expected_status` with how it ended. `max_output` limits each of the two outputs
    and each file that it writes, in bytes. `seconds` and `memory_mb` replace the sandbox's limits.

    Raises:
        ValueError: a file's name leads out of the directory, or `entry` is not among the files.
    """

    files: Mapping[str, str | bytes]
    entry: str = "main.py"
    stdin: str = ""
    expected_output: str | None = None
    expected_status: int = 0
    max_output: int = 1 << 20
    seconds: float | None = None
    memory_mb: float | None = None

    def __post_init__(self) -> None:
        for name in self.files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
                raise ValueError(f"a script's file {name!r} does not lie in its directory")
        if self.entry not in self.files:
            raise ValueError(f"a script's files {sorted(self.files)} lack its entry {self.entry!r}")


@dataclass(frozen=True, slots=True)
class ScriptOutcome:
    """How a script ended.

    `kind` is VALUE when it ended by itself, whatever its status; else TIMEOUT, OUTPUT or
    INFRA_ERROR. `status` is its exit status, or minus the signal that ended it. `output` and
    `errors` are what it wrote, untrusted text; after TIMEOUT and OUTPUT the first of it, as far as
    `max_output` goes.
    """

    kind: OutcomeKind
    status: int = 0
    output: str = ""
    errors: str = ""


def passes(script: Script, outcome: ScriptOutcome) -> bool:
    """Whether a script did what is expected of it. An `infra_error` must be looked at before."""
    if outcome.kind is not OutcomeKind.VALUE or outcome.status != script.expected_status:
        return False
    return script.expected_output is None or same_output(script.expected_output, outcome.output)


def same_output(expected: str, written: str) -> bool:
    """Whether two outputs have the same lines; white space at the ends of lines, and empty lines
    at the end, do not count."""
    return _lines(expected) == _lines(written)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]
