"""Worked runs against CPython: the lines executed and the values held, seen by `sys.settrace`."""

import ast
import re
import sys
from random import Random
from types import FrameType
from typing import Any

import pytest

from redqueen.environments.code.traced import (
    BANDS,
    BEYOND,
    TraceError,
    draw_program,
    held_out_pairs,
    trace_call,
)
from redqueen.environments.code.traced.programs import copied
from redqueen.environments.code.traced.trace_lines import listing_labels

BINDING = re.compile(r"([A-Za-z_]\w*) = (.*)")


class Watch:
    """Runs `f` in CPython and notes each executed line and the names before it."""

    def __init__(self, source: str):
        self.labels = listing_labels(source)
        self.space: dict[str, Any] = {}
        exec(compile(source, "program", "exec"), self.space)  # text of our own generator
        self.lines: list[int] = []
        self.before: list[dict[str, str]] = []
        self.frames: list[FrameType] = []

    def note(self, frame: FrameType, number: int) -> None:
        """One line of the trace begins."""
        self.lines.append(self.labels[number])
        self.before.append({name: repr(value) for name, value in frame.f_locals.items()})

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != "program" or frame.f_code.co_name.startswith("<"):
            return None
        if event == "call":
            self.note(frame, frame.f_code.co_firstlineno)
            self.before[-1] = {}
            self.frames.append(frame)
        elif event == "line":
            self.note(frame, frame.f_lineno)
        elif event == "return":
            self.frames.pop()
            if self.frames:
                self.note(self.frames[-1], self.frames[-1].f_lineno)
        return self

    def run(self, args: list[Any]) -> Any:
        """The value of `f(*args)`."""
        sys.settrace(self)
        try:
            return self.space["f"](*args)
        finally:
            sys.settrace(None)


def bindings(line: str) -> dict[str, str]:
    """The names that a trace line binds, with the texts of their values."""
    parts = line.partition(" ")[2].split("; ")
    return dict(found.groups() for part in parts if (found := BINDING.fullmatch(part)))


def states(lines: tuple[str, ...], first_lines: set[int]) -> list[dict[str, str]]:
    """What the trace says of the names in scope before each line; calls open a scope."""
    scopes: list[dict[str, str]] = [{}]
    before = []
    for line in lines:
        label = int(line[1:].partition(" ")[0])
        if label in first_lines:
            before.append({})
            scopes.append(bindings(line))
            continue
        before.append(dict(scopes[-1]))
        scopes[-1].update(bindings(line))
        if "return " in line:
            scopes.pop()
    return before


@pytest.mark.slow
@pytest.mark.parametrize("band", [*BANDS, *BEYOND])
@pytest.mark.parametrize("held_out", [False, True])
def test_runs_are_those_of_cpython(band: int, held_out: bool) -> None:
    rng = Random(band)
    for _ in range(12 if band < 4 else 4):
        program = draw_program(band, rng, held_out)
        watch = Watch(program.source)
        value = watch.run(copied(program.args))
        assert repr(value) == repr(program.trace.value)
        labels = [int(line[1:].partition(" ")[0]) for line in program.trace.lines]
        assert labels == watch.lines, program.source
        tree = ast.parse(program.source)
        firsts = {watch.labels[node.lineno] for node in tree.body}
        for known, held in zip(states(program.trace.lines, firsts), watch.before, strict=True):
            assert held.items() <= known.items(), program.source


def test_operations_say_what_they_give() -> None:
    rng = Random(3)
    checked = 0
    for _ in range(60):
        program = draw_program(3, rng)
        for line in program.trace.lines:
            for part in line.partition(" ")[2].split("; "):
                left, sign, right = part.rpartition(" = ")
                if (
                    sign
                    and not left.isidentifier()
                    and ".items()" not in left
                    and left[0] != "."
                    and not re.fullmatch(r"\[\S+\]", left)
                ):
                    assert repr(eval(left, {})) == right, part  # text of our own generator
                    checked += 1
    assert checked > 30


HELPER = """
def g(u, v):
    return u * v

def f(items, n):
    total = 0
    for i, item in enumerate(items):
        if item > n and (not item == 7):
            total += g(item, i) + 1
        else:
            items[i] = -1
    return total
""".strip()


def test_lines_of_every_construct() -> None:
    assert trace_call(HELPER, [[4, 9, 7], 5]).text == (
        "\n#3 items = [4, 9, 7]; n = 5"
        "\n#4 total = 0"
        "\n#5 i = 0; item = 4; rest [9, 7]"
        "\n#6 4 > 5; if False"
        "\n#9 [0] = -1; items = [-1, 9, 7]"
        "\n#5 i = 1; item = 9; rest [7]"
        "\n#6 9 > 5 = True; 9 == 7 = False; not False; if True"
        "\n#7 g(9, 1)"
        "\n#1 u = 9; v = 1"
        "\n#2 9 * 1; return 9"
        "\n#7 9 + 1 = 10; 0 + 10; total = 10"
        "\n#5 i = 2; item = 7; rest []"
        "\n#6 7 > 5 = True; 7 == 7 = True; not True; if False"
        "\n#9 [2] = -1; items = [-1, 9, -1]"
        "\n#5 done"
        "\n#10 return 10"
    )


@pytest.mark.parametrize(
    ("body", "value", "line"),
    [
        ("return sum(a)", 12, "#2 sum([3, 4, 5]); 3 + 4 = 7; 7 + 5; return 12"),
        ("return 23 * 14 + a[0]", 325, "#2 23 * 14; 23 * 10 = 230; 23 * 4 = 92; 230 + 92 = 322; "
         "[3, 4, 5][0] = 3; 322 + 3; return 325"),
        ("return [x * 2 for x in a if x > 3]", [8, 10], "#2 x = 3; 3 > 3 = False; x = 4; "
         "4 > 3 = True; 4 * 2 = 8; x = 5; 5 > 3 = True; 5 * 2 = 10; return [8, 10]"),
        ("return 7 if a == [] else len(a)", 3, "#2 [3, 4, 5] == [] = False; len([3, 4, 5]); "
         "return 3"),
        ("return any(x > 3 for x in a)", True, "#2 x = 3; 3 > 3 = False; x = 4; 4 > 3 = True; "
         "any([False, True]); return True"),
        ("return a[1:] + a[::-1]", [4, 5, 5, 4, 3], "#2 [3, 4, 5][1:] = [4, 5]; "
         "[3, 4, 5][::-1] = [5, 4, 3]; [4, 5] + [5, 4, 3]; return [4, 5, 5, 4, 3]"),
        ("return 0 < len(a) < 3", False, "#2 len([3, 4, 5]) = 3; 0 < 3 = True; 3 < 3; "
         "return False"),
    ],
)  # fmt: skip
def test_expressions(body: str, value: object, line: str) -> None:
    trace = trace_call(f"def f(a):\n    {body}", [[3, 4, 5]])
    assert (trace.value, trace.lines[1]) == (value, line)


def test_an_alias_is_changed_too() -> None:
    source = "def f(a):\n    b = a\n    b.append(1)\n    return a"
    assert trace_call(source, [[]]).lines[2] == "#3 .append(1); a = [1]; b = [1]"


@pytest.mark.parametrize(
    "body",
    ["return 1 / a", "return a[5]", "import math", "return f(a)", "return 10 ** a", "x = a",
     "return lambda: a", "while True:\n        pass", "return 'x' * 99"],
)  # fmt: skip
def test_what_is_outside_the_language(body: str) -> None:
    with pytest.raises(TraceError):
        trace_call(f"def f(a):\n    {body}", [3])


@pytest.mark.parametrize("items", ["a", "enumerate(a)", "zip(a, [3, 4])"])
def test_a_list_that_grows_under_its_loop_is_outside_the_language(items: str) -> None:
    """CPython goes over the new items too, for ever in the first two."""
    with pytest.raises(TraceError, match="changes while a loop"):
        trace_call(f"def f(a):\n    for b in {items}:\n        a += [1]\n    return a", [[1, 2]])


def test_corpus_programs_have_no_held_out_pair() -> None:
    rng = Random(4)
    assert not any(held_out_pairs(draw_program(3, rng).source) for _ in range(20))
    assert all(held_out_pairs(draw_program(3, rng, True).source) for _ in range(4))
