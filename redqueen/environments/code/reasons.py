"""Why the code environment rejects a proposal."""

from collections.abc import Mapping

from redqueen.sandbox import NOT_A_LITERAL, Outcome, OutcomeKind
from redqueen.types import Rejection

MALFORMED_REASONS: Mapping[str, str] = {
    "unparsable": "The parts of a proposal (program, input, message) are not there.",
    "syntax_error": "The program is not Python.",
    "no_function": "The program does not define one plain function f.",
    "bad_input": "An input is not a list of literals, or not as many as f takes.",
}
"""Reasons that mean that the text could not be read as a task -> a sentence."""
WELL_FORMED_REASONS: Mapping[str, str] = {
    "too_long": "The program, a value or the prompt is longer than the limit.",
    "too_deep": "The program is nested too deep.",
    "forbidden": "The program uses what no task may: randomness, time, input, files …; with the "
    "profile `pure` also classes, generators and most modules.",
    "too_few_inputs": "A code_f proposal has too few different inputs.",
    "exception": "The program raises an exception on its input.",
    "no_literal": "The program returns something that has no literal.",
    "timeout": "The program runs too long.",
    "memory": "The program needs too much memory.",
    "output_too_long": "The output is longer than the limit.",
    "other_result": "The output is of a type that `results` does not name.",
    "unsupported": "The program uses Python that the sandbox does not have.",
    "nondeterministic": "Two runs on the same input give different outputs.",
    "constant": "The output does not depend on the input.",
    "echo": "The stated output, put in for every argument, is an answer.",
    "huge_constant": "The program or an input holds a huge number or a long text.",
    "leak": "The prompt gives the answer away.",
    "other_payload": "The task of another node is not what its program makes here.",
    "lookup": "The program is a table that nobody can infer.",
}
"""Reasons for rejecting a task that could be read -> a sentence. `infra_error` is neither: it is
ours."""

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
    """Return the rejection after a failure of the sandbox: it says nothing about the proposal."""
    return Rejection("infra_error", malformed=False, infra=True, detail=outcome.message)


def reject(reason: str, detail: str = "") -> Rejection:
    """Return a rejection for one of the reasons above."""
    return Rejection(reason, malformed=reason in MALFORMED_REASONS, detail=detail)
