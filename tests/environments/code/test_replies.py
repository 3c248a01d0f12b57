"""Replies of chat models: every form that stands for one thing is read, and no other."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redqueen.environments.code.reading import read_arguments, read_value
from redqueen.environments.code.replies import (
    blocks_of,
    read_answer,
    read_inputs_and_message,
    read_program_and_input,
)

F = "def f(a, b):\n    return a * b"
PROPOSALS = {
    "input block": f"Here:\n```python\n{F}\n```\n```input\n2, 3\n```",
    "call in the last line": f"```python\n{F}\n\nf(2, 3)\n```",
    "printed": f"```python\n{F}\n\nprint(f(2, 3))\n```",
    "assertion": f"```python\n{F}\nassert f(2, 3) == 6\n```",
    "last of several calls": f"```python\n{F}\nprint(f(0, 1))\nx = f(2, 3)\n```",
    "call in another block": f"```python\n{F}\n```\nThe call:\n```python\nf(2, 3)\n```",
    "call in the text": f"```python\n{F}\n```\nCall it as `f(2, 3)`, which gives 6.",
    "other line ends": f"```python\n{F}\n\nf(2, 3)\n```".replace("\n", "\r\n"),
    "open fence": f"```python\n{F}\n\nf(2, 3)",
    "names for its arguments": f"```python\n{F}\n\nx = 2\ny = 3\nprint(f(x, y))\n```",
    "labelled": f"```python\n{F}\n```\n**Input:** `2, 3`\n**Output:** `6`",
    "labelled block": f"```python\n{F}\n```\n### Input:\n```\n2, 3\n```\n### Output:\n```\n6\n```",
    "session": "```\n>>> def f(a, b):\n...     return a * b\n>>> f(2, 3)\n6\n```",
    "no fence": f"A puzzle:\n\n{F}\n\nf(2, 3)",
    "after thoughts":
        f"<think>\n```python\n{F}\nf(0, 0)\n```\n</think>\n```python\n{F}\nf(2, 3)\n```",
    "mentioned later": f"```python\n{F}\n\nf(2, 3)\n```\nIt is not like f(9, 9).",
    "fence at the end of a line": f"```python\n{F}\n\nf(2, 3)```",
    "pair of names": f"```python\n{F}\n\na, b = 2, 3\nf(a, b)\n```",
    "file name at the fence": f'```python title="p.py"\n{F}\n\nf(2, 3)\n```',
    "input under a heading": f"```python\n{F}\n```\n### Input\n```\n2, 3\n```",
    "tests and main program":
        f"```python\n{F}\n\ndef main():\n    print(f(0, 0))\n```\nThe call is `f(2, 3)`.",
    "fence in a list": "- ```python\n  def f(a, b):\n      return a * b\n  f(2, 3)\n  ```",
    "indented fence":
        "1. So:\n   ```python\n   def f(a, b):\n       return a * b\n   f(2, 3)\n   ```",
}  # fmt: skip


@pytest.mark.parametrize("name", PROPOSALS)
def test_program_and_input(name: str) -> None:
    parts = read_program_and_input(PROPOSALS[name])
    assert parts is not None
    assert parts[0].startswith(F)
    given_input = read_arguments(parts[1])
    assert given_input is not None
    assert given_input.bind(("a", "b")) == (2, 3)


@pytest.mark.parametrize(
    "text", ["", "f(2, 3)", f"```python\n{F}\n```", f"```python\n{F}\nf(x, 3)\n```", "```\n```"]
)
def test_a_proposal_without_one_of_its_parts(text: str) -> None:
    assert read_program_and_input(text) is None


def test_inputs_and_message() -> None:
    calls = "```python\nf(1, 2)\nf(3, b=4)\n```"
    blocks = "```input\n1, 2\n```\n```input\n3, 4\n```\n```message\nmultiplies\n```"
    assert read_inputs_and_message(f"Message: multiplies\n{calls}") == (
        ["f(1, 2)", "f(3, b=4)"], "multiplies",
    )  # fmt: skip
    assert read_inputs_and_message(f"**Message:** multiplies\n{calls}") is not None
    assert read_inputs_and_message(blocks) == (["1, 2", "3, 4"], "multiplies")
    lines = "```input\n1, 2\n3, 4\n```\nThe message: multiplies"
    assert read_inputs_and_message(lines) == (["1, 2", "3, 4"], "multiplies")
    for label in (
        "### Message\nmultiplies\n", "`Message:` multiplies\n", "`Message: multiplies`\n",
        "- Message: multiplies\n- Calls:\n", "1. Message: multiplies\n2. Calls:\n",
        "Message:\nmultiplies\n", "```python\n# Message: multiplies\n```\n",
    ):  # fmt: skip
        assert read_inputs_and_message(label + calls) == (["f(1, 2)", "f(3, b=4)"], "multiplies")
    assert read_inputs_and_message(calls) is None
    assert read_inputs_and_message("Message: none") is None


INPUTS = {
    "<answer>2, 3</answer>": (2, 3),
    "<answer>f(2, 3)</answer>": (2, 3),
    "<answer>b=3, a=2</answer>": (2, 3),
    "<answer>2, b=3</answer>": (2, 3),
    "<answer>assert f(2, 3) == 6</answer>": (2, 3),
    "<answer>\n```python\na = 2\nb = 3\n```\n</answer>": (2, 3),
    "Put it between <answer> and </answer>: <answer>f(2, 3)</answer>": (2, 3),
    "So one call is `f(2, 3)`.": (2, 3),
    "Therefore, f([1], ')') returns it.": ([1], ")"),
    "<answer>x = 2\ny = 3\nf(x, y)</answer>": (2, 3),
    "<answer>f(2, 3) = 6</answer>": (2, 3),
    "<answer>>>> f(2, 3)\n6</answer>": (2, 3),
    "<answer>```python\nprint(f(2, 3))  # Output: 6\n```</answer>": (2, 3),
    "<answer>f(a=“x”, b=3)</answer>": ("x", 3),
    "<answer>f(2, −3)</answer>": (2, -3),
    "\\boxed{f(2, 3)}": (2, 3),
    "The call f(9, 9) does not work, but f(2, 3) does.": (2, 3),
    "So the input is `2, 3`.": (2, 3),
    "The inputs are a = 2 and b = 3.": (2, 3),
    "<answer>a=2 and b=3</answer>": (2, 3),
    "<answer>a, b = 2, 3</answer>": (2, 3),
    "<answer>a, b = 2, 3\nf(a, b)</answer>": (2, 3),
    "So we need:\n\na = 2\nb = 3": (2, 3),
    "So we need:\n- `a = 2`\n- `b = 3`": (2, 3),
    "f(2, 3) works but f(2, 4) doesn't.": (2, 3),
    "```python\ndef f(a, b):\n    return a * b\n\nf(2, 3)\n```": (2, 3),
    "[ANSWER]f(2, 3)[/ANSWER]": (2, 3),
    "&lt;answer&gt;f(2, 3)&lt;/answer&gt;": (2, 3),
    "< answer >f(2, 3)</ answer >": (2, 3),
    "Answer: <answer>f(2, 3)<answer/>": (2, 3),
    "<answer>\u200bf(2, 3)</answer>": (2, 3),
    "<answer>(2, 3)</answer>": None,
    "<answer>2, c=3</answer>": None,
    "<answer>2, 3, 4</answer>": None,
}


@pytest.mark.parametrize("text", INPUTS)
def test_answers_that_are_arguments(text: str) -> None:
    answer = read_answer("code_i", text)
    assert answer is not None
    arguments = read_arguments(answer)
    assert arguments is not None
    assert arguments.bind(("a", "b")) == INPUTS[text]


@pytest.mark.parametrize(
    "text",
    [
        "Find a call of `f` whose value is `1`. Any call with this value will do.",
        "We need f(a) to return 1.",
        "For this input, the output is 1.",
        "f(a) = a * a = 1",
        "<answer>The output is 1</answer>",
        "`f(1)` or `f(2)`",
        "Any of them works, such as f(0), f(1), f(2).",
        "<answer>f(1), f(2)</answer>",
        "<answer>f(1) and f(2)</answer>",
        "<answer>`f(1)` / `f(2)`</answer>",
        "<answer>f(1)\nf(2)</answer>",
    ],
)
def test_an_output_is_no_input(text: str) -> None:
    answer = read_answer("code_i", text)
    assert answer is None or read_arguments(answer) is None


@pytest.mark.parametrize("text", ["\n", "`1` ", "is ", "f(", "<answer>", "```\n", "f(1)\n", "- "])
def test_long_replies_take_little_time(text: str) -> None:
    start = process_time()
    for kind in ("code_o", "code_i", "code_f"):
        read_answer(kind, text * 2000)
    read_program_and_input(f"```python\n{F}\n```\n{text * 2000}")
    read_inputs_and_message(text * 2000)
    assert process_time() - start < 3


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1/2", 0.5),
        ("[1/4, -3/2]", [0.25, -1.5]),
        ("f(2) == 'x'", "x"),
        ("set([])", set()),
        ("set((1, 2))", {1, 2}),
        ("assert f(1) == [2]", [2]),
    ],
)
def test_values(text: str, value: object) -> None:
    assert read_value(text) == (True, value)


@pytest.mark.parametrize(
    "text", ["9**9", "9**9**9", "1 + 2", "1/0", "'a'/2", "g(1) == 2", "f(1) == f(2)", "true", "nan",
             "set(1)", "float(1)", "set([1, [2]])", "f(1) != 2", "\x00", "("],
)  # fmt: skip
def test_no_values(text: str) -> None:
    assert read_value(text) == (False, None)


def test_a_program_is_the_last_one_that_defines_f() -> None:
    text = "```python\ndef f(a):\n    return 1\n```\nBetter:\n```py\ndef f(a):\n    return 2\n```\n"
    assert read_answer("code_f", f"{text}Try it:\n```python\nprint(f(1))\n```") == (
        "def f(a):\n    return 2"
    )
    assert read_answer("code_f", "def f(a):\n    return 3\n") == "def f(a):\n    return 3"
    assert read_answer("code_f", "<answer>\nf = lambda a: a\n</answer>") == "f = lambda a: a"
    prose = "So:\n\ndef f(a):\n    return 4\n\nThis works."
    assert read_answer("code_f", prose) == "def f(a):\n    return 4"
    assert read_answer("code_f", f"<think>\n{text}\n</think>\nNo.") is None
    assert read_answer("code_f", "It adds up.") is None


@pytest.mark.parametrize(
    "program",
    [
        "def f ( a ) :\n    return a", "def  f(a):\n    return a", "f: object = abs",
        "async def f(a):\n    return a", "class f:\n    pass",
    ],
)  # fmt: skip
def test_definitions_of_f(program: str) -> None:
    assert read_answer("code_f", f"```python\n{program}\n```") == program
    indented = "\n".join(f"    {line}" for line in program.split("\n"))
    assert read_answer("code_f", f"```{{python}}\n{indented}\n```") == program


def test_a_program_is_read_after_the_blocks_that_give_it_its_names() -> None:
    blocks = [
        "import math", "def half(x):\n    return math.floor(x / 2)", "def f(a):\n    return 0",
        "def f(a):\n    return half(a)",
    ]  # fmt: skip
    text = "\n".join(f"So:\n```python\n{block}\n```" for block in blocks)
    assert read_answer("code_f", text) == "\n".join([*blocks[:2], blocks[3]])
    assert read_answer("code_f", f"```python\n{F}\n```\n```python\n{F}\n```") == F


def test_a_fence_in_a_docstring_does_not_end_the_program() -> None:
    program = "def f(a):\n    '''Use:\n```\nf(1)\n```\n    '''\n    return a"
    assert [block.text for block in blocks_of(f"```python\n{program}\n```\nDone.")] == [program]


@given(st.text(alphabet="f(a)=1,'[]<>/answer`\n *:.is#\\", max_size=60))
def test_reading_never_raises(text: str) -> None:
    for kind in ("code_o", "code_i", "code_f"):
        read_answer(kind, f"<answer>{text}</answer>")
        read_answer(kind, text)
    read_program_and_input(f"```python\n{F}\n{text}\n```\n{text}")
    read_inputs_and_message(f"Message: x\n{text}")
