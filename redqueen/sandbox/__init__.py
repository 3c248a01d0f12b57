"""Isolated execution of untrusted Python. It returns verdict material and never raises on bad code.

    with make_sandbox(SandboxConfig()) as sandbox:
        [outcome] = sandbox.run([Call("def f(x): return x + 1", "f", (1,))])
        assert outcome == Outcome(OutcomeKind.VALUE, text="2")

A backend is one class behind the `Sandbox` protocol and one line in `BACKENDS`.
"""

from collections.abc import Callable

from redqueen.config import SandboxConfig
from redqueen.sandbox.api import NOT_A_LITERAL, Call, Limits, Outcome, OutcomeKind, Sandbox, State
from redqueen.sandbox.literals import (
    literals_equal,
    parse_arguments,
    parse_literal,
    plain_problem,
    render_literal,
    tells,
)
from redqueen.sandbox.syntax import parse_module
from redqueen.types import ConfigError, InfrastructureError

__all__ = [
    "BACKENDS",
    "NOT_A_LITERAL",
    "Call",
    "Limits",
    "Outcome",
    "OutcomeKind",
    "Sandbox",
    "State",
    "literals_equal",
    "make_sandbox",
    "parse_arguments",
    "parse_literal",
    "parse_module",
    "plain_problem",
    "render_literal",
    "tells",
]


def _monty(config: SandboxConfig) -> Sandbox:
    try:
        from redqueen.sandbox.monty import MontySandbox
    except ImportError as error:
        raise InfrastructureError(
            f"sandbox backend monty is not installed ({error}); "
            "run: pip install 'pydantic-monty>=1.4,<2'"
        ) from error
    return MontySandbox(config)


def _cpython(config: SandboxConfig) -> Sandbox:
    from redqueen.sandbox.cpython import CPythonSandbox

    return CPythonSandbox(config)


def _auto(config: SandboxConfig) -> Sandbox:
    from redqueen.sandbox.auto import AutoSandbox

    second = _cpython(config)
    try:
        return AutoSandbox(_monty(config), second)
    except BaseException:
        second.close()
        raise


BACKENDS: dict[str, Callable[[SandboxConfig], Sandbox]] = {
    "monty": _monty,
    "cpython": _cpython,
    "auto": _auto,
}
"""Factories by the name that `sandbox.backend` takes."""


def make_sandbox(config: SandboxConfig) -> Sandbox:
    """Start the sandbox that `config` names, with its workers.

    Raises:
        ConfigError: there is no such backend.
        InfrastructureError: the backend is missing or cannot start; the message has the remedy.
    """
    factory = BACKENDS.get(config.backend)
    if factory is None:
        known = ", ".join(BACKENDS)
        raise ConfigError(f"sandbox.backend = {config.backend!r} is unknown; known: {known}")
    return factory(config)
