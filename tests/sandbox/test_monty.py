"""The monty backend against CPython, and what tells its gaps from a program's own errors."""

import ast
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redqueen.config import SandboxConfig
from redqueen.sandbox import (
    NOT_A_LITERAL,
    Call,
    Limits,
    OutcomeKind,
    Sandbox,
    State,
    render_literal,
)
from redqueen.sandbox.cpython import CPythonSandbox
from redqueen.sandbox.monty import SHARED_CALLS, MontySandbox, _sessions

from .test_literals import PLAIN, nest

_SECTIONS = Path(__file__).with_name("programs.txt").read_text(encoding="utf-8").split("\n=== ")[1:]
PROGRAMS = dict(section.split("\n", 1) for section in _SECTIONS)


def cpython(code: str) -> tuple[str, str]:
    """What CPython makes of `f()`: ("value", literal) or ("exception", type name)."""
    scope: dict[str, Any] = {"__name__": "program"}
    limit = sys.getrecursionlimit()
    try:
        exec(code, scope)
        if "f" not in scope:
            raise NameError("f")
        text = render_literal(scope["f"]())
    except BaseException as error:
        return "exception", type(error).__name__
    finally:
        sys.setrecursionlimit(limit)
    return ("value", text) if text is not None else ("exception", NOT_A_LITERAL)


@pytest.mark.parametrize("name", PROGRAMS)
def test_supported_programs_end_as_in_cpython(sandbox: Sandbox, name: str) -> None:
    [outcome] = sandbox.run([Call(PROGRAMS[name], "f")])
    kind, what = cpython(PROGRAMS[name])
    assert (outcome.kind.value, outcome.text or outcome.exception) == (kind, what), outcome
    if kind == "value":
        assert render_literal(ast.literal_eval(outcome.text)) == outcome.text


UNSUPPORTED = {
    "generator": "def f():\n    yield 1",
    "del": "def f():\n    d = {1: 2}\n    del d[1]\n    return d",
    "inheritance": "class A: pass\nclass B(A): pass\ndef f(): return 1",
    "own exception": "class E(Exception): pass\ndef f(): return 1",
    "property": "class A:\n    @property\n    def x(self): return 1\ndef f(): return A().x",
    "exception group": "def f():\n    try: return 1\n    except* ValueError: pass",
    "wildcard import": "from math import *\ndef f(): return pi",
    "heapq": "import heapq\ndef f(): return 1",
    "string": "def f():\n    import string\n    return string.digits",
    "operator": "from operator import itemgetter\ndef f(): return 1",
    "submodule": "import xml.dom\ndef f(): return 1",
    "OrderedDict": "from collections import OrderedDict\ndef f(): return 1",
    "translate": "def f(): return 'a'.translate({97: 98})",
    "maketrans": "def f(): return str.maketrans('a', 'b')",
    "bit_length": "def f(): return (5).bit_length()",
    "from_bytes": "def f(): return int.from_bytes(b'a', 'big')",
    "is_integer": "def f(): return (1.5).is_integer()",
    "__class__": "def f(): return (1).__class__ is int",
    "function name": "def f(): return f.__name__",
    "callable": "def f(): return callable(3)",
    "issubclass": "def f(): return issubclass(int, int)",
    "bytearray": "def f(): return list(bytearray(b'a'))",
    "globals": "def f(): return len(globals())",
    "super": "class A:\n    def __init__(self): super().__init__()\ndef f(): return A() and 1",
    "bytes of a list": "def f(): return bytes([65])",
    "object": "def f(): return object() is None",
    "modular inverse": "def f(): return pow(3, -1, 7)",
    "exit code": "def f(): raise SystemExit(3)",
    "open": "def f(): return open('x').read()",
    "environment": "import os\ndef f(): return os.environ['HOME']",
    "digits of others": "def f(): return int('\\u0661')",
    "digits of others, with a point": "def f(): return float('\\u0661.5')",
    "encoding": "def f(): return 'a'.encode('latin-1')",
    "matrix product": "def f():\n    a = 1\n    a @= 2",
    "generic type": "import typing\ndef f(): return str(typing.List[int])",
}


def test_what_cpython_raises_too_is_no_gap(sandbox: Sandbox) -> None:
    raising = ["[1] + 'b'", "[1] + 2", "chr(-1)", "int('x')", "'a'.encode('none-such')"]
    outcomes = sandbox.run([Call(f"def f(): return {program}", "f") for program in raising])
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.EXCEPTION}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_gaps_are_unsupported_not_exceptions(sandbox: Sandbox, name: str) -> None:
    [outcome] = sandbox.run([Call(UNSUPPORTED[name], "f")])
    assert outcome.kind is OutcomeKind.UNSUPPORTED, outcome
    assert outcome.message
    assert outcome.text == outcome.exception == ""


@settings(max_examples=60, deadline=None)
@given(st.lists(PLAIN, max_size=3).map(tuple))
def test_arguments_and_values_cross_unchanged(sandbox: Sandbox, arguments: tuple[Any, ...]) -> None:
    [outcome] = sandbox.run([Call("def f(*args): return args", "f", arguments)])
    assert outcome.text == render_literal(arguments), outcome


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_floats_have_cpythons_digits(sandbox: Sandbox, numbers: list[float]) -> None:
    [outcome] = sandbox.run([Call("def f(x): return [repr(n) for n in x]", "f", (numbers,))])
    for text, number in zip(ast.literal_eval(outcome.text), numbers, strict=True):
        # Two shortest texts may stand for one number (70368744177664.62 and .63); CPython takes
        # the nearer one, monty either.
        assert float(text) == number
        assert len(text) == len(repr(number))


@pytest.mark.parametrize(
    "text", ["'); import os; ('", "__import__('os')", "{x}", "\\", "'''", "\n"]
)
def test_arguments_are_data_whatever_they_look_like(sandbox: Sandbox, text: str) -> None:
    [outcome] = sandbox.run([Call("def f(x): return x, len(x)", "f", (text,))])
    assert ast.literal_eval(outcome.text) == (text, len(text))


@pytest.mark.parametrize("name", ["f()", "f(1); f", "code", "print", "", "f\n", "__name__x", "run"])
def test_function_names_are_data_too(sandbox: Sandbox, name: str) -> None:
    [outcome] = sandbox.run([Call("def f(x=1): return x", name)])
    assert (outcome.kind, outcome.exception) == (OutcomeKind.EXCEPTION, "NameError")


@pytest.mark.parametrize(
    "value",
    [nest(65), 10**5000, "\ud800", ..., frozenset(), float("nan"), object()],
    ids=["deep", "huge", "surrogate", "ellipsis", "frozenset", "nan", "object"],
)
def test_arguments_without_a_literal_are_refused(sandbox: Sandbox, value: object) -> None:
    [outcome] = sandbox.run([Call("def f(x): return 1", "f", (value,))])
    assert outcome.kind is OutcomeKind.UNSUPPORTED
    assert outcome.message.startswith("argument: ")


def test_an_argument_may_be_as_deep_as_a_value(sandbox: Sandbox) -> None:
    calls = [Call("def f(x): return x", "f", (nest(depth),)) for depth in (62, 63)]
    assert [outcome.text for outcome in sandbox.run(calls)] == [str(nest(62)), str(nest(63))]


def test_every_call_starts_fresh() -> None:
    keep = "n = []\ndef f(x, seen=[]):\n    global extra\n    extra = x\n"
    keep += "    n.append(x)\n    seen.append(x)\n    return n, seen"
    spoil = "import math, json\ndef f():\n    math.pi = 3\n    json.dumps = None"
    peek = "import math, json\ndef f(): return math.pi, json.dumps([1])"
    with MontySandbox(SandboxConfig(workers=1)) as sandbox:
        outcomes = sandbox.run(
            [
                Call(keep, "f", (1,)),
                Call(keep, "f", (2,)),
                Call("def f(): return extra", "f"),
                Call("x = 1", "f"),
                Call(spoil, "f"),
                Call(peek, "f"),
            ]
        )
    assert [outcome.text for outcome in outcomes[:2]] == ["([1], [1])", "([2], [2])"]
    assert [outcome.exception for outcome in outcomes[2:4]] == ["NameError", "NameError"]
    assert outcomes[5].text == "(3.141592653589793, '[1]')"


@pytest.mark.parametrize("state", [State.NONE, State.NAMESPACE])
def test_only_a_program_without_state_is_executed_once_for_its_calls(state: State) -> None:
    def calls(code: str) -> list[Call]:
        return [Call(code, "f", (n,), state) for n in range(3)]

    keep = "seen = []\ndef f(n):\n    if n == 1: return 1 // 0\n    seen.append(n)\n    return seen"
    with MontySandbox(SandboxConfig(workers=1)) as sandbox:
        kept = sandbox.run(calls(keep))
        broken = sandbox.run(calls("def f(n): return n\n1 // 0"))
        missing = sandbox.run(calls("def g(n): return n"))
    # It says that it keeps nothing and does: so it shows how often it was executed.
    once = state is State.NONE
    assert [outcome.text for outcome in kept] == ["[0]", "", "[0, 2]" if once else "[2]"]
    assert [outcome.exception for outcome in kept] == ["", "ZeroDivisionError", ""]
    assert [outcome.exception for outcome in broken] == ["ZeroDivisionError"] * 3
    assert [outcome.exception for outcome in missing] == ["NameError"] * 3


MANY_ENDS = """
def f(n):
    if n == 1: return 1 // 0
    if n == 2:
        while True: pass
    if n == 3: return len([0] * 4 * 10**6)
    if n == 4: return f(4)
    if n == 5: return 'x' * 200
    if n == 6:
        for i in range(10**5): print('flood')
    if n == 7: return (n).__class__
    if n == 8: return lambda: n
    return [n, n]
"""


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.booleans())
def test_neighbours_of_one_program_end_as_they_do_alone(numbers: list[int], strange: bool) -> None:
    config = SandboxConfig(workers=2, seconds=0.2, memory_mb=8, recursion=40, output_chars=100)
    calls = [Call(MANY_ENDS, "f", (n,)) for n in numbers]
    if strange:
        calls.insert(1, Call(MANY_ENDS, "f", (object(),)))
    with MontySandbox(config) as sandbox:
        alone = [sandbox.run([call])[0] for call in calls]
        assert [(o.kind, o.text, o.exception) for o in sandbox.run(calls)] == [
            (o.kind, o.text, o.exception) for o in alone
        ]


STRANGERS = [
    Call("def f(xs, seen=[]):\n    seen.append(len(xs))\n    return seen", "f", ([1, 2],)),
    Call("import math, re\ndef f(s): return re.sub('a', 'b', s), math.pi", "f", ("banana",)),
    Call("def g(n): return 0 if n == 0 else 1 + g(n - 1)\ndef f(n): return g(n)", "f", (30,)),
    Call("def g(n): return 0 if n == 0 else 1 + g(n - 1)\ndef f(n): return g(n)", "f", (60,)),
    Call("def f(x): return x[3]", "f", ([1],)),
    Call("def f(x): return g(x)", "f", (1,)),
    Call("def g(x): return x", "f", (1,)),
    Call("def f(x) return x", "f", (1,)),
    Call("def f(n):\n    while n: pass", "f", (1,)),
    Call("def f(n): return len([0] * n)", "f", (4 * 10**6,)),
    Call("def f(): return 'x' * 200", "f"),
    Call("def f(): return f", "f"),
    Call("def f(x): return 1", "f", (object(),)),
    Call("def f(): return '\ud800'", "f"),
]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(STRANGERS), min_size=2, max_size=12))
def test_programs_end_together_as_they_do_alone(calls: list[Call]) -> None:
    config = SandboxConfig(workers=1, seconds=0.4, memory_mb=8, recursion=40, output_chars=100)
    with MontySandbox(config) as sandbox:
        alone = [sandbox.run([call])[0] for call in calls]
        together = sandbox.run([replace(call, state=State.NAMESPACE) for call in calls])
        assert [(o.kind, o.text, o.exception) for o in together] == [
            (o.kind, o.text, o.exception) for o in alone
        ]


SPOILERS = {
    "module's attribute": "import math\ndef f(): math.pi = 4",
    "module's new attribute": "import functools\ndef f(): functools.secret = 4",
    "module's function": "import re, json\ndef f():\n    json.dumps = re.sub = None",
    "type's attribute": "def f(): int.secret = 4",
    "exception's attribute": "def f(): ValueError.secret = 4",
    "singleton's attribute": "def f(): (...).secret = 4",
    "builtin function": "def f():\n    global len\n    len = None",
    "name of its own": "secret = 4\ndef f():\n    global other\n    other = 5",
    "name of the runner": "def f():\n    global run, reports\n    run, reports = None, []",
    "own namespace": "def f(): globals()['len'] = None",
    "builtins": "import builtins\ndef f(): builtins.len = None",
    "list of modules": "import sys\ndef f(): sys.modules['math'] = None",
    "recursion limit": "import sys\ndef f(): sys.setrecursionlimit(9)",
    "environment": "import os\ndef f(): os.environ['SECRET'] = '4'",
    "shared default": "def f(seen=[]): seen.append(4)",
    "function's attribute": "def f():\n    f.secret = 4\n    len.secret = 4",
    "report of its own": "def f(): print('value', '', '4')",
    "generator left open": "def f():\n    for x in (i for i in range(9)): return 4",
    "exception on its way": "def f(): raise ValueError('secret')",
}
PEEK = """
import math, re, functools, json
def f(seen=[]):
    found = [math.pi, re.sub('a', 'b', 'aa'), json.dumps([1]), len([1, 2]), seen]
    def deep(n): return 0 if n == 0 else 1 + deep(n - 1)
    found.append(deep(50))
    for look in (lambda: functools.secret, lambda: int.secret, lambda: ValueError.secret,
                 lambda: (...).secret, lambda: secret, lambda: other, lambda: run,
                 lambda: reports, lambda: batch, lambda: len.secret):
        try:
            found.append(look())
        except (AttributeError, NameError):
            found.append('nothing')
    return found
"""


@pytest.mark.parametrize("name", SPOILERS)
def test_programs_leave_nothing_in_a_session_that_they_share(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    spoiler = Call(SPOILERS[name], "f", state=State.NAMESPACE)
    peek = Call(PEEK, "f", state=State.NAMESPACE)
    sizes = []
    session = MontySandbox._session
    monkeypatch.setattr(
        MontySandbox,
        "_session",
        lambda self, calls, limits: sizes.append(len(calls)) or session(self, calls, limits),
    )
    # With enough time that a busy machine does not part them.
    with MontySandbox(SandboxConfig(workers=1, seconds=20)) as sandbox:
        [alone] = sandbox.run([peek])
        after = sandbox.run([spoiler, peek])[1]
    assert sizes == [1, 2], "they must have shared a session"
    assert after == alone
    found = ast.literal_eval(alone.text)
    assert found == [3.141592653589793, "bb", "[1]", 2, [], 50, *["nothing"] * 10]


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 9)), max_size=60),
    st.sets(st.sampled_from("abcd")),
    st.integers(1, 3),
)
def test_equal_calls_and_programs_that_keep_something_have_sessions_of_their_own(
    pairs: list[tuple[str, int]], known: set[str], workers: int
) -> None:
    states = {code: State.NAMESPACE if code in known else State.INTERPRETER for code in "abcd"}
    calls = [Call(code, "f", (n,), states[code]) for code, n in pairs]
    taken = [number for number in range(len(calls)) if number % 7]
    sessions = _sessions(calls, taken, workers)
    assert sorted(number for session in sessions for number in session) == taken
    for session in sessions:
        members = [calls[number] for number in session]
        assert len({(call.code, call.args) for call in members}) == len(members)
        codes = {call.code for call in members}
        assert len(codes) == 1 or codes <= known


def test_sessions_are_even_and_the_second_runs_come_in_reverse() -> None:
    calls = [Call("a", "f", (n,), State.NONE) for n in range(3 * SHARED_CALLS)] * 2
    sessions = _sessions(calls, range(len(calls)), 2)
    assert [len(session) for session in sessions] == [SHARED_CALLS * 3 // 4] * 8
    numbers = [number for session in sessions for number in session]
    half = len(calls) // 2
    assert numbers == [*range(half), *range(2 * half - 1, half - 1, -1)]
    few = _sessions(calls[:30], range(30), 4)
    assert [len(session) for session in few] == [16, 14]


def test_outcomes_come_in_the_order_of_calls(sandbox: Sandbox) -> None:
    code = "def f(n):\n    x = 0\n    for i in range(n * 37 % 5000): x += 1\n    return n"
    calls = [Call(code, "f", (n,)) for n in range(300)]
    assert [outcome.text for outcome in sandbox.run(calls)] == [str(n) for n in range(300)]
    assert sandbox.run([]) == []


def test_limits_come_from_the_configuration() -> None:
    config = SandboxConfig(seconds=0.2, memory_mb=8, recursion=20, output_chars=30)
    assert Limits.from_config(config) == Limits(0.2, 8.0, 20, 30)
    deep = "def f(n): return 0 if n == 0 else f(n - 1)"
    text = "def f(n): return 'x' * n"
    with MontySandbox(config) as sandbox:
        outcomes = sandbox.run(
            [
                Call("def f():\n    while True: pass", "f"),
                Call("def f(): return len([0] * 2 * 10**6)", "f"),
                Call("def f(): return len([0] * 10**5)", "f"),
                Call(deep, "f", (15,)),
                Call(deep, "f", (30,)),
                Call(text, "f", (28,)),
                Call(text, "f", (29,)),
            ]
        )
    kinds = [outcome.kind.value for outcome in outcomes]
    assert kinds == ["timeout", "memory", "value", "value", "exception", "value", "output"]
    assert outcomes[4].exception == "RecursionError"


@pytest.mark.parametrize("backend", ["monty", "cpython"])
@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    while True: pass",
        "def f(): return [0] * 10**9",
        "class C: pass\ndef f(): raise ValueError(C())",
        "def f(): return {}[lambda: 0]",
    ],
)
def test_a_message_is_the_same_in_every_run(
    backend: str, code: str, request: pytest.FixtureRequest
) -> None:
    if backend == "cpython":
        request.getfixturevalue("needs_jail")
    start = MontySandbox if backend == "monty" else CPythonSandbox
    outcomes = []
    for _ in range(2):
        with start(SandboxConfig(workers=1, seconds=0.1, memory_mb=100)) as sandbox:
            outcomes += sandbox.run([Call(code, "f")])
    assert outcomes[0] == outcomes[1]
    assert outcomes[0].message


def test_messages_are_cut(sandbox: Sandbox) -> None:
    [outcome] = sandbox.run([Call("def f(): raise ValueError('x' * 10**5)", "f")])
    assert outcome.message == "x" * 300


@pytest.mark.parametrize("text", ["inf", "[1.0, -inf]", "{'inf': inf}"])
def test_infinity_has_a_literal(sandbox: Sandbox, text: str) -> None:
    [outcome] = sandbox.run([Call(f"inf = float('inf')\ndef f(): return {text}", "f")])
    value = ast.literal_eval(outcome.text)
    assert value == eval(text, {"inf": float("inf")})
