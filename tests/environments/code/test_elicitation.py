"""Help for the untrained base: worked examples that are right, and what may not come at once."""

import re

import pytest

from redqueen.environments.base import Elicits, elicit
from redqueen.environments.code.dialects import STYLES
from redqueen.environments.code.instruct import INSTRUCT, WORKED
from redqueen.sandbox import Sandbox
from redqueen.types import Task
from tests.code_cases import make_code


def run(program: str, args: str) -> object:
    """What CPython says of our own program."""
    space: dict[str, object] = {}
    exec(program, space)
    return eval(f"f({args})", space)


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)\n```", text, re.DOTALL)


def test_worked_examples_are_read_and_right() -> None:
    for prompt, worked in WORKED["code_o"]:
        (program,), (args,) = blocks(prompt, "python"), blocks(prompt, "input")
        assert eval(INSTRUCT.read_answer(worked) or "") == run(program, args)
    for prompt, worked in WORKED["code_i"]:
        (program,), (output,) = blocks(prompt, "python"), blocks(prompt, "output")
        assert run(program, INSTRUCT.read_answer(worked) or "") == eval(output)
    for prompt, worked in WORKED["code_f"]:
        (shown,) = blocks(prompt, "python")
        for args, output in re.findall(r"f\((.*)\) == (.*)", shown):
            assert run(INSTRUCT.read_answer(worked) or "", args) == eval(output)


@pytest.mark.parametrize("style", sorted(STYLES))
def test_no_worked_example_begins_as_it_may_not(style: str) -> None:
    for kind, pairs in STYLES[style].worked.items():
        for _, answer in pairs:
            assert not answer.startswith(STYLES[style].openings[kind])


def test_examples_come_as_earlier_turns(sandbox: Sandbox) -> None:
    chat = make_code(sandbox, "instruct")
    assert isinstance(chat, Elicits)
    task = Task("t", "code", "code_o", {"program": "def f(a):\n    return a", "input": "1"})
    asked = elicit(chat, task)
    roles = [message.role for message in asked.messages]
    assert roles == ["user", "assistant", "user", "assistant", "user"]
    assert asked.messages[-1:] == chat.prompt(task)
    assert asked.openings == ("<answer>",)
