"""The `instruct` style: full English with fenced blocks, for ordinary instruction-tuned models."""

import re
from collections.abc import Sequence

from redqueen.environments.code.styles import PROGRAM_FORMAT, Pair, Style

_RULES = """\
Rules for the function:
- It is called `f`, takes at least one argument, and returns a value.
- Arguments and result are plain literals: int, float, bool, str, list, tuple, dict or None.
- The same input always gives the same output: no randomness, no time, no state kept between calls.
- No input or output, files, network, processes, classes or decorators.\
"""

_GOAL = {
    "code_o": "Another model will see the function and the input, and must predict the output.",
    "code_i": "Another model will see the function and its output, and must find an input for it.",
}

_THINK = "Think step by step first. Then give the final answer"


def _fence(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def _propose(kind: str, references: Sequence[Pair]) -> str:
    shown = "\n\n".join(
        f"Example {number}:\n{_fence('python', program)}\n{_fence('input', args)}"
        for number, (program, args) in enumerate(references, 1)
    )
    examples = f"\nTasks that exist already; write one that differs from them:\n\n{shown}\n"
    return (
        "Invent a Python puzzle: a function and one input for it.\n"
        f"{_GOAL[kind]} It should take real reasoning, yet be solvable.\n\n"
        f"{_RULES}\n{examples if references else ''}\n"
        f"{_THINK} as exactly two blocks: the function in a ```python block, and its arguments, "
        "separated by commas, in an ```input block, for instance:\n"
        f"{_fence('python', 'def f(name, count):' + chr(10) + '    return name * count')}\n"
        f"{_fence('input', repr('ab') + ', 3')}"
    )


def _propose_f(program: str, inputs: int) -> str:
    return (
        f"Here is a Python function.\n{_fence('python', program)}\n"
        f"Write {inputs} different inputs for it, and a message about what it does. Another model "
        "will see the message and some of the inputs with their outputs, and must write the "
        "function. Together they should pin the function down without giving its code away.\n\n"
        f"{_THINK} as {inputs} ```input blocks, each with the arguments of one call separated by "
        "commas, and one ```message block."
    )


def _solve_o(program: str, args: str) -> str:
    return (
        f"Here is a Python function.\n{_fence('python', program)}\n"
        f"What does it return for this input?\n{_fence('input', args)}\n"
        f"{_THINK}, a Python literal, between <answer> and </answer>."
    )


def _solve_i(program: str, output: str) -> str:
    return (
        f"Here is a Python function.\n{_fence('python', program)}\n"
        f"Find an input for which it returns this:\n{_fence('output', output)}\n"
        f"{_THINK}, the arguments of the call separated by commas, between <answer> and </answer>."
    )


def _solve_f(message: str, examples: Sequence[Pair]) -> str:
    shown = "\n".join(f"f({args}) == {output}" for args, output in examples)
    return (
        f"Write a Python function `f`. What is known of it: {message}\n"
        f"{_fence('python', shown)}\n"
        "It will be tested on further, hidden inputs.\n"
        f"{_THINK}, the whole function, in a ```python block between <answer> and </answer>."
    )


def _blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}[ \t]*\n(.*?)\n?```", text, flags=re.DOTALL)


def _read_program_and_input(text: str) -> Pair | None:
    programs, inputs = _blocks(text, "python"), _blocks(text, "input")
    return (programs[-1], inputs[-1].strip()) if programs and inputs else None


def _read_inputs_and_message(text: str) -> tuple[list[str], str] | None:
    inputs, messages = _blocks(text, "input"), _blocks(text, "message")
    if not inputs or not messages:
        return None
    return [item.strip() for item in inputs], messages[-1].strip()


def _read_answer(text: str) -> str | None:
    """Return what the last pair of answer tags holds, without its fence."""
    before, closed, _ = text.rpartition("</answer>")
    _, opened, answer = before.rpartition("<answer>")
    if not (closed and opened and answer.strip()):
        return None
    answer = answer.strip()
    fenced = re.findall(r"```(?:\w+)?[ \t]*\n(.*?)\n?```", answer, flags=re.DOTALL)
    return (fenced[-1] if fenced else answer).strip("\n") or None


_KEEP = """\
def f(words, limit):
    kept = []
    for word in words:
        if len(word) <= limit:
            kept.append(word[::-1])
    return kept"""
_DIGITS = """\
def f(n):
    total = 0
    while n > 0:
        total += n % 10
        n //= 10
    return total"""

WORKED = {
    "code_o": (
        (
            _solve_o(_KEEP, "['tea', 'lemon', 'ice'], 3"),
            "The loop visits each word.\n- 'tea' has 3 letters and 3 <= 3, so 'aet' is appended.\n"
            "- 'lemon' has 5 letters, so it is skipped.\n- 'ice' has 3 letters, so 'eci' is "
            "appended.\n<answer>['aet', 'eci']</answer>",
        ),
        (
            _solve_o(_DIGITS, "407"),
            "n = 407: total = 0 + 7 = 7, n = 40.\nn = 40: total = 7 + 0 = 7, n = 4.\n"
            "n = 4: total = 7 + 4 = 11, n = 0, and the loop ends.\n<answer>11</answer>",
        ),
    ),
    "code_i": (
        (
            _solve_i(_KEEP, "['nus']"),
            "Kept words are reversed, so one word must be 'sun', and the limit at least 3. No "
            "other word is needed.\nCheck: len('sun') = 3 <= 3, and 'sun' reversed is 'nus'.\n"
            "<answer>['sun'], 3</answer>",
        ),
        (
            _solve_i(_DIGITS, "12"),
            "The function adds up decimal digits. Digits with the sum 12 are 3 and 9, so n = 39.\n"
            "Check: 9 + 3 = 12.\n<answer>39</answer>",
        ),
    ),
    "code_f": (
        (
            _solve_f("adds up decimal digits", [("407", "11"), ("39", "12"), ("0", "0")]),
            "407 gives 4 + 0 + 7 = 11 and 39 gives 3 + 9 = 12, as the message says.\n"
            f"<answer>\n{_fence('python', _DIGITS)}\n</answer>",
        ),
    ),
}
"""Kind -> prompts with model answers."""

INSTRUCT = Style(
    propose=_propose,
    propose_f=_propose_f,
    solve_o=_solve_o,
    solve_i=_solve_i,
    solve_f=_solve_f,
    read_program_and_input=_read_program_and_input,
    read_inputs_and_message=_read_inputs_and_message,
    read_answer=_read_answer,
    worked=WORKED,
    openings=dict.fromkeys(WORKED, ("<answer>",)),
    proposal_format=("```python\n", "\n```\n", "```input\n", "```message\n", *PROGRAM_FORMAT),
)
