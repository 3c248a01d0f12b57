"""Answers in the texts that models write, and answers that are nearly right."""

import re
from collections.abc import Iterator

TEXTS = (
    "Step by step, as in \\boxed{{x}} of an example.\n\nThe answer is $\\boxed{{{answer}}}$.",
    "First $2 + 2 = 4$. Therefore\n\\[\n\\boxed{{{answer}}}\n\\]",
    "**Solution.** After some algebra we find the result.\n\nFinal answer: \\boxed{{{answer}}}",
    "So \\(\\boxed{{{answer}}}\\) is what was asked for.",
)
_NUMBER = re.compile(r"\d+")
_DOLLAR = re.compile(r"(?<!\\)\$")


def usual_text(answer: str, number: int) -> str:
    """Return a completion that ends with the answer in a box."""
    return TEXTS[number % len(TEXTS)].format(answer=_DOLLAR.sub("", answer.strip()))


def of(reference: str) -> Iterator[str]:
    """Yield wrong answers: a number one more, the sign turned, one more and one fewer in a list."""
    numbers = list(_NUMBER.finditer(reference))
    if numbers:
        # The first digit: a later one of a rounded number may lie within the tolerance.
        first = numbers[0]
        digit = str((int(first[0][0]) + 1) % 10 or 1)
        changed = reference[: first.start()] + digit + reference[first.start() + 1 :]
        if changed != reference:
            yield changed
    plain = reference.strip().strip("$")
    if re.fullmatch(r"\d+(\.\d+)?|\\frac\{\d+\}\{\d+\}|\d*\\sqrt\{\d+\}", plain) and plain != "0":
        yield f"-{plain}"
        yield f"{plain}, 987654"
    if re.fullmatch(r"-?\d+(, ?-?\d+)+", plain):
        yield plain.rpartition(",")[0]
        yield f"{plain}, 987654"
