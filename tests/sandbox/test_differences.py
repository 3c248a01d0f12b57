"""What monty does otherwise than CPython is known by its kind; elsewhere both say the same."""

import time
from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest

from redqueen.config import SandboxConfig
from redqueen.sandbox import Call, Outcome, OutcomeKind, Sandbox, State, make_sandbox
from redqueen.sandbox.agreement import agrees
from redqueen.sandbox.auto import MontyAlone
from redqueen.sandbox.differences import difference

from .test_auto import DIFFERENT
from .test_monty import cpython
from .wild import wild_program

SAME = {
    "set that is asked": "def f(a):\n    seen = set()\n    for x in a:\n        if x in seen:\n"
    "            return x\n        seen.add(x)\n    return len(seen)",
    "set that is sorted": "def f(a): return sorted(set(a) & {1, 2})",
    "set as the value": "def f(a): return {x % 3 for x in a}",
    "generator read at once": "def f(a): return sum(x * x for x in a if x > 1)",
    "text joined": "def f(a): return ','.join(str(x) for x in a)",
    "lambda as a key": "def f(a): return sorted(a, key=lambda x: (-x, x))",
    "map in a list": "def f(a): return list(map(str, a))",
    "floats": "def f(a): return [x / 4 for x in a]",
    "whole round": "def f(a): return [round(x / 2) for x in a]",
    "caught": "def f(a):\n    try:\n        return a[9]\n    except IndexError:\n        return -1",
    "raised": "def f(a):\n    raise ValueError('no')",
    "f-string": "def f(a): return f'{a[0]:>4}|{len(a)}'",
    "math": "import math\ndef f(a): return math.gcd(*a[:2])",
    "typed": "from typing import List\ndef f(a: List[int]) -> int: return len(a)",
    "counted": "def f(a):\n    d = {}\n    for x in a: d[x] = d.get(x, 0) + 1\n    return d",
    "shares": "def f(a):\n    d = {}\n    for x in a: d[x] = x / len(a)\n"
    "    return {k: d[k] > 1 for k in d}",
    "flags by name": "def f(a):\n    d = {'x': True}\n    for k, v in list(d.items()):\n"
    "        d[k] = not v\n"
    "    return d",
    "text of numbers": "def f(a):\n    t = []\n    for i, x in enumerate(a):\n"
    "        t.append(f'{i}:{x:>3}')\n"
    "    return t, str(a), str(max(a))",
    "rows": "def f(a):\n    rows = []\n    for x in a:\n        row = [x] * 2\n"
    "        rows.append(row)\n    return str(rows)",
    "text cut": "def f(a):\n    s = 'abc'\n    while len(s) > 1: s = s[1:]\n    return f'{s}'",
    "letters made": "def f(a): return ''.join(chr(97 + x) for x in a)",
    "method's number": "class A:\n    def __init__(self, n): self.n = n\n"
    "    def get(self): return self.n\n"
    "def f(a): return str(A(3).get() + 1)",
    "local called id": "def f(a):\n    id = a[0]\n    return id",
}  # fmt: skip
MORE = {
    "set of a helper": "def g(): return {33, 1, 17, 9}\ndef f(): return list(g())",
    "set under two names": "def f():\n    s = {33, 1, 17, 9}\n    t = s\n    return [x for x in t]",
    "set in a list": "def f(): return [{33, 1, 17}]",
    "set unpacked": "def f():\n    a, *b = {33, 1, 17, 9}\n    return b",
    "any over a division": "def f(): return any(1 // x for x in [1, 0])",
    "letters": "def f(): return 'ß'.upper()",
}  # fmt: skip


@pytest.mark.parametrize("name", [*DIFFERENT, *MORE])
def test_kinds_of_differences(name: str) -> None:
    assert difference(DIFFERENT.get(name) or MORE[name], ()) is not None


@pytest.mark.parametrize("name", SAME)
def test_ordinary_programs_are_the_same(sandbox: Sandbox, name: str) -> None:
    assert difference(SAME[name], ([3, 1, 2],)) is None
    [outcome] = sandbox.run([Call(SAME[name], "f", ([3, 1, 2],))])
    source = f"{SAME[name]}\n_f = f\ndef f(): return _f([3, 1, 2])"
    assert (outcome.kind.value, outcome.text or outcome.exception) == cpython(source)


def test_arguments_that_differ() -> None:
    assert difference("def f(a): return list(a)", ({1, 2},)) == "sets"
    assert difference("def f(a): return a.upper()", ("ß",)) == "letters"
    assert difference("def f(a): return a", (0.5, b"a", [None])) is None
    by_key = "def f(a, b):\n    d = {}\n    for x in a: d[x] = b\n    return d"
    assert difference(by_key, ([1, True], 0)) == "keys"
    assert difference(by_key, ([1, 2], 0)) is None
    padded = "def f(a, b): return f'{b:>5}'"
    assert difference(padded, (1, [2])) == "formats"
    assert difference(padded, ([1], 2)) is None
    assert difference("def f(a): return chr(a)", (0x1C89,)) == "letters"


@pytest.mark.parametrize(
    "value",
    ["|".join(["{1}"] * 4000), "{0}" + ".copy()" * 2000, "1 if a else " * 1500 + "{1}",
     " or ".join(["a"] * 3000)],
    ids=["union", "methods", "conditions", "or"],
)  # fmt: skip
def test_deep_expressions_are_looked_through(value: str) -> None:
    assert difference(f"def f(a):\n    x = {value}\n    return x", (1,)) in (None, "sets")


def test_a_long_program_is_not_looked_through() -> None:
    begun = time.process_time()
    assert difference("x = 1\n" * 200_000, ()) == "length"
    assert time.process_time() - begun < 0.5


def test_alone_monty_says_of_a_difference_that_it_is_unsupported() -> None:
    with make_sandbox(SandboxConfig(workers=1)) as alone:
        calls = [Call(DIFFERENT["set pop"], "f"), Call("def f(): return 0.5 + 1", "f")]
        made = alone.run(calls)
    assert [outcome.kind for outcome in made] == [OutcomeKind.UNSUPPORTED, OutcomeKind.VALUE]
    assert "sandbox.backend" in made[0].message


NO_PROGRAM = {
    "return outside": "return 3\ndef f(): return 1",
    "parameter and global": "def f(x=1):\n    global x\n    return x",
    "indentation": "def f():\n  return 1\n   return 2",
    "deep format": "def f(): return f'{1:{2:{3}}}'",
    "bound iteration variable": "def f(): return [i := 0 for i in range(3)]",
    "first bare except": "def f():\n    try: pass\n    except: pass\n    except ValueError: pass\n"
    "    return 1",
}


@pytest.mark.parametrize("name", NO_PROGRAM)
def test_what_cpython_does_not_compile_raises_on_monty_alone_too(name: str) -> None:
    class Asked:
        def run(self, calls: Sequence[Call]) -> list[Outcome]:
            assert not calls
            return []

    [outcome] = MontyAlone(Asked()).run([Call(NO_PROGRAM[name], "f")])  # type: ignore[arg-type]
    assert (outcome.kind.value, outcome.exception) == cpython(NO_PROGRAM[name])
    assert outcome.exception in ("SyntaxError", "IndentationError")


HEAVY = {
    "subscripts": "def f(a): return {a" + "[0]" * 900 + ": 1}",
    "methods": "def f(a): return {a" + ".get(0)" * 900 + ": 1}",
    "one list": "def f(a):\n    "
    + " = ".join(f"a{i}" for i in range(1500))
    + " = a\n    return str(a)",
    "one after the other": "def f(a):\n"
    + "".join(f"    a{i + 1} = [a{i}, a{i // 2}]\n" for i in range(500))
    + "    return str(a5), {a5: 1}",
    "all in all": "def f(a):\n    for "
    + ",".join(f"b{i}" for i in range(800))
    + " in ["
    + ",".join(f"b{i}" for i in range(800))
    + "]: pass\n    return str(b1)",
}


@pytest.mark.parametrize("name", HEAVY)
def test_flows_without_end_are_not_followed(name: str) -> None:
    begun = time.process_time()
    assert difference(HEAVY[name], ([1],)) in (None, "texts", "keys")
    agrees(HEAVY[name], ([1],))
    assert time.process_time() - begun < 5


@pytest.mark.slow
def test_wild_programs_differ_only_in_kinds_that_are_known(sandbox: Sandbox) -> None:
    """Here CPython is this process: these programs are the test's own, and harmless."""
    programs = [wild_program(Random(seed)) for seed in range(10_000, 12_000)]
    calls = [Call(code, "f", args, State.NONE) for code, args in programs]
    calls = [call for call in calls if difference(call.code, call.args) is None]
    kinds = Counter[str]()
    for call, outcome in zip(calls, sandbox.run(calls), strict=True):
        kinds[outcome.kind] += 1
        if outcome.kind in (OutcomeKind.VALUE, OutcomeKind.EXCEPTION):
            source = f"{call.code}\n_args = {call.args!r}\n_f = f\ndef f(): return _f(*_args)"
            kind, text = cpython(source)
            assert kind == outcome.kind, call
            if kind == "value":
                assert text == outcome.text, call
    assert kinds[OutcomeKind.VALUE] >= 700


@pytest.mark.parametrize(
    "program",
    [
        "def f(a):\n    a = [a, a]\n    return str(a)",
        "def f(a):\n    b = str(a)\n    a = (a - a, a)\n    return b",
        "def f(a):\n    a += a\n    b = str(a)\n    a = a[0]\n    return b",
        "def f(a):\n    a.append(a[1:])\n    return str(a)",
        "def f(f):\n    return str(f)",
        "def f(a):\n    for b in a:\n        a = a + [b]\n    return str(a)",
    ],
)
def test_a_name_that_is_bound_again_is_not_in_itself(program: str) -> None:
    assert difference(program, ([1, 2],)) is None


@pytest.mark.parametrize(
    "program",
    [
        "def f(a):\n    a.append(a)\n    return str(a)",
        "def f(a):\n    a[0] = [a]\n    return str(a)",
        "def f(a):\n    a += [a]\n    return str(a)",
        "def f(a):\n    for b in range(300):\n        a = [a]\n    return str(a)",
        "def f(a):\n    return str(f)",
    ],
)
def test_what_holds_itself_has_another_text(program: str) -> None:
    assert difference(program, ([1, 2],)) == "texts"
