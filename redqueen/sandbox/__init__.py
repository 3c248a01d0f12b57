"""Isolated execution of untrusted Python. It returns verdict material and never raises on bad code.

    with make_sandbox(SandboxConfig()) as sandbox:
        [outcome] = sandbox.run([Call("def f(x): return x + 1", "f", (1,))])
        assert outcome == Outcome(OutcomeKind.VALUE, text="2")

A backend is one class behind the protocols `Sandbox` and `Backend`, and one line in the registry.
"""

from redqueen import registry
from redqueen.config.sandbox import SandboxConfig
from redqueen.sandbox.base import (
    NOT_A_LITERAL,
    Backend,
    Call,
    Limits,
    Outcome,
    OutcomeKind,
    Sandbox,
    State,
)
from redqueen.sandbox.literals import (
    evaluate_literal,
    literals_equal,
    parse_arguments,
    parse_literal,
    plain_problem,
    render_literal,
    tells,
)
from redqueen.sandbox.syntax import parse_expression, parse_module

__all__ = [
    "NOT_A_LITERAL",
    "Call",
    "Limits",
    "Outcome",
    "OutcomeKind",
    "Sandbox",
    "State",
    "evaluate_literal",
    "literals_equal",
    "make_sandbox",
    "parse_arguments",
    "parse_expression",
    "parse_literal",
    "parse_module",
    "plain_problem",
    "render_literal",
    "tells",
]


def make_sandbox(config: SandboxConfig) -> Sandbox:
    """Start the sandbox that `config` names, with its workers.

    Raises:
        ConfigError: there is no such backend, or it cannot be imported.
        InfrastructureError: the backend cannot start; the message has the remedy.
    """
    backend: type[Backend] = registry.load("sandbox", config.backend)
    return backend.start(config)
