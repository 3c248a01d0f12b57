"""What the tests of the code environment share: fakes, texts in both styles, CPython to compare."""

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from redqueen.environments.base import Draft, Services
from redqueen.environments.code import Code
from redqueen.environments.code.environment import CodeEnvironment
from redqueen.environments.code.instruct import INSTRUCT
from redqueen.environments.code.styles import COMPACT, Style
from redqueen.sandbox import Call, Outcome, OutcomeKind, Sandbox
from redqueen.types import Task

STYLES = {"compact": COMPACT, "instruct": INSTRUCT}


def make_code(sandbox: Sandbox | None, style: str = "compact", **keys: Any) -> CodeEnvironment:
    """The code environment in a style; without a sandbox it can do all but run programs."""

    def started() -> Sandbox:
        assert sandbox is not None, "nothing should run"
        return sandbox

    return Code(style=style, **keys).build(Services(started, "seedling"))


class FakeSandbox:
    """Answers each call by a function of (call, how many calls came before)."""

    def __init__(self, answer: Callable[[Call, int], Outcome]):
        self.answer = answer
        self.calls: list[Call] = []

    def run(self, calls: Sequence[Call]) -> list[Outcome]:
        outcomes = []
        for call in calls:
            outcomes.append(self.answer(call, len(self.calls)))
            self.calls.append(call)
        return outcomes

    def close(self) -> None:
        pass

    def __enter__(self) -> "FakeSandbox":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def value(text: str) -> Outcome:
    return Outcome(OutcomeKind.VALUE, text=text)


def cpython(program: str, args: Sequence[Any]) -> Any:
    """The value of a trusted program under CPython."""
    scope: dict[str, Any] = {}
    exec(program, scope)
    return scope["f"](*args)


def proposal_text(style: Style, program: str, *inputs: str, message: str = "a hint") -> str:
    """What a well-behaved teacher writes; several inputs make a code_f proposal."""
    if style is COMPACT:
        if len(inputs) == 1:
            return f"{program}\n<input>\n{inputs[0]}"
        return f"<message>\n{message}\n<input>\n" + "\n".join(inputs)
    blocks = "\n".join(f"```input\n{text}\n```" for text in inputs)
    if len(inputs) == 1:
        return f"Let me think.\n```python\n{program}\n```\n{blocks}"
    return f"{blocks}\n```message\n{message}\n```"


def answer_text(style: Style, answer: str) -> str:
    """What a well-behaved student writes."""
    if style is COMPACT:
        return f"g = 1 + 2 = 3\n<answer>\n{answer}"
    return f"First, this.\n<answer>\n```python\n{answer}\n```\n</answer>"


def draft(kind: str, text: str, reference: Task | None = None) -> Draft:
    return Draft(kind, text, (reference,) if reference else (), author=3, step=7)


def only(results: Sequence[Any]) -> Any:
    [result] = results
    return result


def make_task(environment: CodeEnvironment, kind: str, program: str, *inputs: str) -> Task:
    """A task as a teacher would make it; code_f needs `code_f_inputs` inputs."""
    style = environment.style
    base = None
    if kind == "code_f":
        base = make_task(environment, "code_o", program, inputs[0])
    task = only(environment.validate([draft(kind, proposal_text(style, program, *inputs), base)]))
    assert isinstance(task, Task), task
    return task


_SCRAPS = st.sampled_from(
    [
        "\n<input>\n", "<answer>\n", "<message>\n", "```", "```input\n", "```python\n", "</answer>",
        "<answer>", "\n", "    ", "(", ")", "[", "'", '"""', "#", ";", ":", ",", "\\", "{", "}",
        "import os\n", "def f(a):\n", "lambda: ", "**", "9" * 30, "1e999", "-", "nan", "\x00",
        "\ud800", "é", "\u2028", "\r", "\f", "f'{a!r:{a}}'", "0x", "1_0", "True", "None", "...",
    ]
)  # fmt: skip
_EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 12), st.one_of(_SCRAPS, st.text(max_size=3))),
    max_size=4,
)


def _edit(text: str, edits: list[tuple[float, int, str]]) -> str:
    for where, cut, scrap in edits:
        at = int(where * len(text))
        text = text[:at] + scrap + text[at + cut :]
    return text


def damaged(texts: Sequence[str]) -> st.SearchStrategy[str]:
    """Arbitrary text, surrogates included, and texts that were valid before a few edits."""
    anything = st.text(st.characters(), max_size=200)
    return st.one_of(st.builds(_edit, st.sampled_from(list(texts)), _EDITS), anything)
