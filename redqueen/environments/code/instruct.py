"""The `instruct` style: short English prompts with one worked example, for chat models.

The example is an earlier turn of the conversation: a small model copies its form, not its words.
"""

from collections.abc import Sequence

from redqueen.environments.code.replies import (
    read_answer,
    read_inputs_and_message,
    read_program_and_input,
)
from redqueen.environments.code.styles import PROGRAM_FORMAT, Pair, Style
from redqueen.types import Message, Messages


def _python(text: str) -> str:
    return f"```python\n{text}\n```"


_RULES = (
    "The function is called `f` and works out its value from its arguments alone: no randomness, "
    "time, files, printing or reading of input. Arguments and value are plain literals (int, "
    "float, bool, str, list, tuple, set, dict, None)."
)
_GOAL = {
    "code_o": "Somebody will see the function and the call, and has to work out the value.",
    "code_i": "Somebody will see the function and the value of the call, and has to find a call "
    "with this value.",
}


def _propose(kind: str, references: Sequence[Pair]) -> str:
    shown = "\n\n".join(_python(f"{program}\n\nf({args})") for program, args in references)
    earlier = f"\n\nThese puzzles are taken; yours must do something else:\n\n{shown}"
    return (
        f"Invent a Python puzzle: a function and one call of it. {_GOAL[kind]} It should take "
        f"several steps of thought, yet be solvable by hand. {_RULES}"
        f"{earlier if references else ''}\n\n"
        "Write one ```python block: the function, and in the last line the call."
    )


def _propose_f(program: str, inputs: int) -> str:
    return (
        f"Here is a Python function.\n{_python(program)}\n"
        f"Write {inputs} different calls of it, and a message that says in one sentence what it "
        "does. Somebody will see the message and the values of some calls, and has to write the "
        "function. So the calls should show every case; the message should not quote the code.\n\n"
        f"Write a line that begins with `Message:`, and one ```python block with the {inputs} "
        "calls, one a line."
    )


def _solve_o(program: str, args: str) -> str:
    return (
        f"What is the value of the last line?\n{_python(f'{program}{chr(10)}{chr(10)}f({args})')}\n"
        "Work through it step by step, in a few short sentences. Then write the value, as a Python "
        "literal, between <answer> and </answer>."
    )


def _solve_i(program: str, output: str) -> str:
    return (
        f"Find a call of `f` whose value is `{output}`. Any call with this value will do.\n"
        f"{_python(program)}\n"
        "Think step by step, in a few short sentences. Then write the call, with Python literals "
        "as arguments, between <answer> and </answer>."
    )


def _solve_f(message: str, examples: Sequence[Pair]) -> str:
    shown = "\n".join(f"f({args}) == {output}" for args, output in examples)
    return (
        f"Write a Python function `f`. What is known of it: {message}\n{_python(shown)}\n"
        "It will be tested with other arguments. It may use the standard library, but not read "
        "input, files or the clock.\n"
        "Think in a few short sentences. Then write the whole function in one ```python block."
    )


_WORDS = """\
def f(words, size):
    kept = []
    for word in words:
        if len(word) > size:
            kept.append(word.upper())
    return kept"""
_PARTS = """\
def f(text, mark):
    parts = text.split(mark)
    return len(parts), parts[-1]"""
_PUZZLE = """\
def f(prices, limit):
    total = 0
    bought = []
    for name, price in sorted(prices.items()):
        if total + price <= limit:
            total += price
            bought.append(name)
    return bought, limit - total

f({'pear': 3, 'fig': 5, 'kiwi': 2}, 6)"""
_PUZZLE_I = """\
def f(text):
    result = ''
    for i, char in enumerate(text):
        if i % 2 == 0:
            result = char + result
        else:
            result += char.upper()
    return result

f('window')"""
_CALLS = (
    "['to', 'tree', 'sky'], 2", "['a', 'bc'], 0", "[], 3", "['moon', 'Sun'], 3", "['one'], 5",
    "['x', 'yy', 'zzz', 'yy'], 1", "['River', 'sea'], 4", "['', 'b'], 0", "['abc', 'abcd'], 3",
    "['new', 'old', 'older'], 2", "['so'], 1", "['left', 'right'], 6",
)  # fmt: skip


def earlier_turns(task: str, inputs: int) -> Messages:
    """Return the worked example for a request: `propose_o`, `solve_f` and so on; `inputs` is the
    number of calls that a `propose_f` asks for."""
    if task == "propose_f":
        shown = (_CALLS * (1 + inputs // len(_CALLS)))[:inputs]
        calls = "\n".join(f"f({args})" for args in shown)
        request = _propose_f(_WORDS, inputs)
        reply = (
            f"Message: keeps the words that are longer than a size, in capitals\n{_python(calls)}"
        )
    else:
        request, reply = _EXAMPLES[task]
    return (Message("user", request), Message("assistant", reply))


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
            "<answer>f(['sun'], 3)</answer>",
        ),
        (
            _solve_i(_DIGITS, "12"),
            "The function adds up decimal digits. Digits with the sum 12 are 3 and 9, so n = 39.\n"
            "Check: 9 + 3 = 12.\n<answer>f(39)</answer>",
        ),
    ),
    "code_f": (
        (
            _solve_f("adds up decimal digits", [("407", "11"), ("39", "12"), ("0", "0")]),
            "407 gives 4 + 0 + 7 = 11 and 39 gives 3 + 9 = 12, as the message says.\n"
            + _python(_DIGITS),
        ),
    ),
}
"""Kind -> further worked examples, for the elicited base."""

_EXAMPLES = {
    "propose_o": (_propose("code_o", []), _python(_PUZZLE)),
    "propose_i": (_propose("code_i", []), _python(_PUZZLE_I)),
    "solve_o": (
        _solve_o(_WORDS, "['to', 'tree', 'sky'], 2"),
        "`size` is 2. 'to' has 2 letters, which is not more than 2, so it is left out. 'tree' has "
        "4, so 'TREE' is kept. 'sky' has 3, so 'SKY' is kept.\n<answer>['TREE', 'SKY']</answer>",
    ),
    "solve_i": (
        _solve_i(_PARTS, "(3, 'c')"),
        "The text must split into 3 parts, and the last must be 'c'. With '-' as the mark, "
        "'a-b-c' splits into 'a', 'b' and 'c'.\n<answer>f('a-b-c', '-')</answer>",
    ),
    "solve_f": (
        _solve_f(
            "keeps the words that are longer than a size, in capitals",
            [("['to', 'tree', 'sky'], 2", "['TREE', 'SKY']"), ("[], 3", "[]")],
        ),
        "Words with more letters than `size` are kept, in capitals and in order.\n"
        + _python("def f(words, size):\n    return [w.upper() for w in words if len(w) > size]"),
    ),
}
INSTRUCT = Style(
    propose=_propose,
    propose_f=_propose_f,
    solve_o=_solve_o,
    solve_i=_solve_i,
    solve_f=_solve_f,
    write_program_and_input=lambda program, args: _python(f"{program}\n\nf({args})"),
    read_program_and_input=read_program_and_input,
    read_inputs_and_message=read_inputs_and_message,
    read_answer=read_answer,
    earlier_turns=earlier_turns,
    worked=WORKED,
    openings=dict.fromkeys(WORKED, ("<answer>",)),
    proposal_format=("```python\n", "\n```\n", "Message: ", *PROGRAM_FORMAT),
)
