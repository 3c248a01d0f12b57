"""The seccomp filter of a jailed program: an allowlist of system calls, as classic BPF.

A call that is not on the list fails with EPERM. It does not kill the program: a library that
tries something and lives without it goes on, and the program meets an `OSError`.
"""

import errno
import platform
import struct

from redqueen.errors import InfrastructureError
from redqueen.sandbox.cpython.syscalls import ARCHITECTURES, NUMBERS, allowed

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
"""Offsets in `struct seccomp_data`; both machines are little-endian."""
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_X32 = 0x40000000
"""Calls of x86-64's other ABI have this bit: none is allowed."""
_CLONE_THREAD = 0x00010000
_RLIMIT_STACK = 3
_FCNTL = (0, 1, 2, 3, 4, 1030)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC."""

_Line = tuple[int, int, int, int]
"""Code, jump if true, jump if false, operand: `struct sock_filter`."""


def _refuse(number: int) -> _Line:
    return (_RETURN, 0, 0, _ERRNO | number)


_PASS: _Line = (_RETURN, 0, 0, _ALLOW)
_NO = _refuse(errno.EPERM)


def _load(offset: int) -> _Line:
    return (_LOAD, 0, 0, offset)


def _low(argument: int) -> _Line:
    """Load the low half of an argument: all that the kernel reads of those that are no pointers."""
    return _load(_ARGUMENTS + 8 * argument)


def _high(argument: int) -> _Line:
    return _load(_ARGUMENTS + 8 * argument + 4)


def _rules() -> dict[str, list[_Line]]:
    """What happens to the calls that depend on their arguments, or that are answered by us."""
    return {
        # A thread, never a process.
        "clone": [_low(0), (_JUMP_ANY_BIT, 0, 1, _CLONE_THREAD), _PASS, _NO],
        # Its flags are in memory, out of our sight; without it the C library falls back to clone.
        "clone3": [_refuse(errno.ENOSYS)],
        # It may read its own limits, and set that of its stack (scripts that recurse do). Of the
        # others it sets none: a process killed for a limit of its own would look like our failure.
        "prlimit64": [
            _low(0),
            (_JUMP_EQUAL, 0, 7, 0),
            _low(1),
            (_JUMP_EQUAL, 4, 0, _RLIMIT_STACK),
            _low(2),
            (_JUMP_EQUAL, 0, 3, 0),
            _high(2),
            (_JUMP_EQUAL, 0, 1, 0),
            _PASS,
            _NO,
        ],
        # "No terminal", which is what CPython asks of every file that it opens.
        "ioctl": [_refuse(errno.ENOTTY)],
        "fcntl": [
            _low(1),
            *[(_JUMP_EQUAL, len(_FCNTL) - i, 0, command) for i, command in enumerate(_FCNTL)],
            _NO,
            _PASS,
        ],
        # Sleep takes no time: it is over, says the kernel, without having begun.
        "nanosleep": [_refuse(0)],
        "clock_nanosleep": [_refuse(0)],
    }


def filter_lines(machine: str) -> list[_Line]:
    """The filter for `machine`, line by line.

    Raises:
        InfrastructureError: the numbers of its system calls are not known here.
    """
    if machine not in NUMBERS:
        raise InfrastructureError(
            f"the cpython sandbox knows no system calls of {machine}; it runs on "
            f"{' and '.join(NUMBERS)}; use sandbox.backend = 'monty'"
        )
    lines: list[_Line] = [
        _load(_ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL),
        _load(_NUMBER),
        (_JUMP_AT_LEAST, 0, 1, _X32),
        _NO,
    ]
    for number in allowed(machine):
        lines += [(_JUMP_EQUAL, 0, 1, number), _PASS]
    for name, rule in _rules().items():
        # A rule returns, or loads something else: so the number is needed by none after it.
        lines += [(_JUMP_EQUAL, 0, len(rule), NUMBERS[machine][name]), *rule]
    return [*lines, _NO]


def filter_program(machine: str | None = None) -> bytes:
    """The filter as the kernel reads it: 8 bytes a line; for this machine if none is named."""
    lines = filter_lines(machine or platform.machine())
    return b"".join(struct.pack("<HBBI", *line) for line in lines)
