"""The `traced` style: what it shows, and what it cuts out of completions."""

import pytest

from redqueen.environments.code.traced.prompts import TRACED, listing

PROGRAM = "def g(u):\n    return u\n\ndef f(a):\n    return g(a)"


def test_lines_are_numbered_and_blank_ones_are_left_out() -> None:
    assert listing(PROGRAM) == ("\n#1 def g(u):\n#2     return u\n#3 def f(a):\n#4     return g(a)")


def test_prompts() -> None:
    assert TRACED.solve_o("def f(a):\n    return a", "3") == (
        "<code_o>\n#1 def f(a):\n#2     return a\n<input>\n3\n<think>"
    )
    assert TRACED.solve_i("def f(a):\n    return a", "3") == (
        "<code_i>\n#1 def f(a):\n#2     return a\n<output>\n3\n<think>"
    )
    assert TRACED.solve_f("+ []", [("1", "2"), ("3", "4")]) == (
        "<code_f>\n<message>\n+ []\n<examples>\n1 -> 2\n3 -> 4\n<think>"
    )
    assert TRACED.propose("code_i", [("P", "1")]) == (
        "<propose_i>\n<task>\nP\n<input>\n1\n<answer>\n"
    )
    assert TRACED.propose_f("P", 6) == "<propose_f>\n<task>\nP\n<answer>\n"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("\n#1 a = 3\n#2 return 3\n<answer>\n3", "3"),
        ("\n#1 a = 3\n<answer>\n4\n#2 return 3\n<answer>\n3\n", "3"),
        ("\n#1 a = 3", None),
        ("\n#1 a = 3\n<answer>\n ", None),
    ],
)
def test_the_last_answer_counts(text: str, answer: str | None) -> None:
    assert TRACED.read_answer("code_o", text) == answer


def test_proposals_are_read() -> None:
    assert TRACED.read_program_and_input("P\n<input>\n1, 2") == ("P", "1, 2")
    assert TRACED.read_program_and_input("P") is None
    assert TRACED.read_program_and_input("P\n<input>\n1\n<input>\n2") is None
    assert TRACED.read_inputs_and_message("+ -\n<input>\n1\n\n2") == (["1", "2"], "+ -")
    assert TRACED.read_inputs_and_message("1\n2") is None
