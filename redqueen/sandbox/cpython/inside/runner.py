"""Run untrusted code in a process of its own and say how it ended.

Whatever this module says is the program's word: it shares the process with the program, which can
rewrite it. So the word is taken for what it is, "my function returned this", about this process'
own request; who else should believe it decides outside.
"""

import builtins
import types
from collections.abc import Callable
from marshal import loads
from os import getcwd
from struct import pack as pack_struct
from sys import (
    _getframe,
    argv,
    excepthook,
    getrecursionlimit,
    setprofile,
    setrecursionlimit,
    settrace,
)
from sys import modules as loaded_modules
from sys import path as module_path
from typing import Any

__builtins__ = {**vars(builtins)}  # type: ignore[assignment]
"""Builtins of our own: what a program puts in their place is its own affair. Like the names above,
which are not looked up again in modules that it may have changed."""

Report = tuple[str, str, str]
"""Status, exception's name, detail."""

_MESSAGE_CHARS = 300
_NAME_CHARS = 80
_MARGIN = 5
"""What makes a program's deepest nesting the same as on monty."""
_ROOM = 100_000
"""Recursion limit of our own work, after the program's."""
_name_of = type.__dict__["__name__"].__get__
_CONTAINERS = frozenset({list, tuple, set, dict})


def report_calls(
    request: dict[str, Any], board: Any, header: Callable[[bytes, int], bytes], nonce: bytes
) -> None:
    """Call the function once for each of `request["calls"]`; write a report for each on `board`.

    Calls that share a namespace execute the module once, others once each.
    """
    write = board.write
    code, function = request["code"], request["function"]
    setrecursionlimit(request["recursion"] + _frames() + _MARGIN)
    reports: list[Report] = []
    scope: dict[str, Any] | None = None
    for packed in request["calls"]:
        report, scope = _call(code, function, packed, scope, request["chars"])
        if not request["shared"]:
            scope = None
        reports.append(report)
    text = pack(reports)
    board.seek(0)
    write(header(nonce, len(text)) + text)


def _frames() -> int:
    """Frames below a program's function: the server's and ours."""
    count, frame = 0, _getframe(1)
    while frame.f_back is not None:
        count, frame = count + 1, frame.f_back
    return count


def pack(reports: list[Report]) -> bytes:
    """Reports as bytes: each its length, then its parts with a null byte between them."""
    blobs = ["\0".join(report).encode("utf-8", "replace") for report in reports]
    return b"".join(pack_struct("!I", len(blob)) + blob for blob in blobs)


def _call(
    code: str, function: str, packed: bytes, scope: dict[str, Any] | None, chars: int
) -> tuple[Report, dict[str, Any] | None]:
    """The report of one call, and the namespace that it leaves."""
    limit = getrecursionlimit()
    try:
        compiled = compile(code, "<program>", "exec", 0, True) if scope is None else None
    except (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError) as error:
        # The parser calls what is nested too deep for it a MemoryError.
        return ("raised", _name_of(type(error)), str(error)[:_MESSAGE_CHARS]), scope
    try:
        if scope is None:
            scope = _module("program")
            exec(compiled, scope)  # type: ignore[arg-type]
        if function not in scope:
            return ("missing", "", function[:_NAME_CHARS]), scope
        value = scope[function](*loads(packed))
    except BaseException as error:
        _recover()
        return _raised(error), scope
    _recover()
    try:
        return _describe(value, chars), scope
    finally:
        setrecursionlimit(limit)


def _module(name: str) -> dict[str, Any]:
    """The namespace of a new module that is known by `name`."""
    module = types.ModuleType(name)
    loaded_modules[name] = module
    vars(module)["__builtins__"] = builtins
    return vars(module)


def _recover() -> None:
    """Undo what a program may have set that would get in our way."""
    setrecursionlimit(_ROOM)
    settrace(None)
    setprofile(None)


def _raised(error: BaseException) -> Report:
    kind = type(error)
    if kind is MemoryError and not error.args:
        return "memory", "", ""
    try:
        text = str(error)
    except BaseException:
        text = ""
    text = text[:_MESSAGE_CHARS] if type(text) is str else ""
    return "raised", _name_of(kind)[:_NAME_CHARS].replace("\0", ""), text


def _describe(value: object, limit: int) -> Report:
    """A value's text, if it is built from literals alone.

    Looks at exact types only, so that no code of the program's takes part. It goes level by level
    and looks at `limit` items at most, whatever sharing or cycles the value holds.
    """
    size = depth = 0
    level: list[Any] = [value]
    while level:
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is int or kind is bool or item is None:
                continue
            if kind is str or kind is bytes:
                size += len(item)
            elif kind in _CONTAINERS:
                size += len(item)
                if size > limit or depth >= _MAX_DEPTH:
                    return "output", "", ""
                below.extend(item)
                if kind is dict:
                    below.extend(item.values())
            elif (kind is not float and kind is not complex) or item != item:
                return "shape", "", _name_of(kind)[:_NAME_CHARS]
        if size > limit:
            return "output", "", ""
        level = below
        depth += 1
    try:
        text = repr(value)
    except (ValueError, MemoryError):
        return "output", "", ""
    return ("value", "", text) if len(text) <= limit else ("output", "", "")


_MAX_DEPTH = 64
"""Deepest nesting of a value; the same as `redqueen.sandbox.literals.MAX_DEPTH`."""


def run_script(request: dict[str, Any]) -> int:
    """Run a script as `python ENTRY` would; returns its exit status."""
    entry = request["entry"]
    scope = _module("__main__")
    scope["__file__"] = entry
    argv[:] = [entry]
    module_path.insert(0, getcwd())
    status = 0
    try:
        with open(entry, "rb") as file:
            source = file.read()
        exec(compile(source, entry, "exec", 0, True), scope)
    except SystemExit as stop:
        status = _exit_status(stop.code)
    except BaseException as error:
        trace = error.__traceback__
        error = error.with_traceback(trace and trace.tb_next)
        excepthook(type(error), error, error.__traceback__)
        status = 1
    # As the interpreter does at its end: wait for threads, run exit handlers, write what is left.
    import atexit
    import sys
    import threading

    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def _exit_status(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    import sys

    print(code, file=sys.stderr)
    return 1
