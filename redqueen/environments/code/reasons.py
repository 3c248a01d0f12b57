"""Why the code domain turns down a proposal."""

from redqueen.sandbox import NOT_A_LITERAL, Outcome, OutcomeKind
from redqueen.types import Rejection

MALFORMED_REASONS = frozenset({"unparsable", "syntax_error", "no_function", "bad_input"})
"""Reasons that mean the text could not be read as a task; all others are well-formed."""
WELL_FORMED_REASONS = frozenset(
    {
        "too_long", "too_deep", "forbidden", "too_few_inputs", "exception", "no_literal",
        "timeout", "memory", "output_too_long", "unsupported", "nondeterministic", "constant",
        "huge_constant", "leak", "lookup",
    }
)  # fmt: skip
"""Reasons for turning down a task that could be read. `infra_error` is neither: it is ours."""

OUTCOME_REASONS = {
    OutcomeKind.EXCEPTION: "exception",
    OutcomeKind.TIMEOUT: "timeout",
    OutcomeKind.MEMORY: "memory",
    OutcomeKind.OUTPUT: "output_too_long",
    OutcomeKind.UNSUPPORTED: "unsupported",
}
EXCEPTION_REASONS = {"SyntaxError": "syntax_error", NOT_A_LITERAL: "no_literal"}
"""Exceptions with a reason of their own. Some syntax errors only show when code is compiled."""


def our_failure(outcome: Outcome) -> Rejection:
    """The sandbox failed: this says nothing about the proposal."""
    return Rejection("infra_error", malformed=False, infra=True, detail=outcome.message)


def reject(reason: str, detail: str = "") -> Rejection:
    """A rejection for one of the reasons above."""
    return Rejection(reason, malformed=reason in MALFORMED_REASONS, detail=detail)
