"""The auto backend: where its two differ, and that what is left to monty is the same on CPython."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import pytest

from redqueen.config import SandboxConfig
from redqueen.environments.code.generator import generate_program
from redqueen.sandbox import Call, Outcome, OutcomeKind, Sandbox, State, make_sandbox
from redqueen.sandbox.agreement import agrees
from redqueen.sandbox.auto import AutoSandbox

from .test_monty import PROGRAMS, UNSUPPORTED, cpython
from .wild import wild_program

# Programs of which monty makes something else, without a word: what CPython makes of them is found
# by this process. For each kind, why it is not monty's.
DIFFERENT = {
    "exhausted map": "def f():\n    m = map(abs, [-1, 2])\n    return sum(m), sum(m)",
    "exhausted zip": "def f():\n    z = zip([1], [2])\n    return len(list(z)), len(list(z))",
    "exhausted filter": "def f():\n    m = filter(None, [1, 2])\n    return list(m), list(m)",
    "exhausted reversed": "def f():\n    m = reversed([1, 2])\n    return list(m), list(m)",
    "exhausted enumerate": "def f():\n    m = enumerate([1])\n    return list(m), list(m)",
    "exhausted generator": "def f():\n    m = (x for x in [1, 2])\n    return 2 in m, list(m)",
    "half read": "def f():\n    m = iter([1, 2, 3])\n    return next(m), list(m), list(m)",
    "lazy generator": "def f():\n    t = []\n    g = (t.append(x) for x in [1])\n    return t",
    "short circuit": "def f():\n    t = []\n    any(t.append(x) or x for x in '12')\n    return t",
    "truth of a zip": "def f(): return bool(zip([], []))",
    "length of a map": "def f(): return len(map(abs, [1]))",
    "index of a map": "def f(): return map(abs, [1])[0]",
    "type of a zip": "def f(): return isinstance(zip([1], [2]), list)",
    "order of a set": "def f(): return list({33, 1, 17, 9})",
    "set pop": "def f():\n    s = set([3, 1, 2])\n    return s.pop()",
    "set comprehension": "def f(): return [x for x in {v * 8 for v in [4, 2, 1]}]",
    "set loop": "def f():\n    t = []\n    for x in {9, 33, 17}: t.append(x)\n    return t",
    "round": "def f(): return round(2.675, 2)",
    "text of an exception": "def f():\n    try: 1 // 0\n    except Exception as e: return str(e)",
    "text of a class": "def f(): return str(ValueError)",
    "search beyond the end": "def f(): return 'abc'.find('', 10), 'abc'.count('', 5)",
    "equal keys": "def f(): return {1: 'a', True: 'b'}",
    "equal keys, stored": "def f():\n    d = {1: 2}\n    d[3 > 2] = 4\n    return list(d)",
    "identity of numbers": "def f():\n    a = [500]\n    return a[0] * 2 is a[0] * 2",
    "nan in a list": "def f(): return float('nan') in [float('nan')]",
    "method of a class": "class A:\n    def __len__(self): return 3\ndef f(): return len(A())",
    "padded list": "def f(): return f'{[1]:>5}'",
    "last digit": "import math\ndef f(): return math.gamma(5.5), math.cbrt(27)",
    "odd keys of a loop": "def f():\n    d = {}\n    for k in [1, True, 1.0]: d[k] = k\n"
    "    return d",
    "odd keys of a comprehension": "def f(): return {k: 1 for k in [1, True]}",
    "odd key of a function": "def g(x): return x > 1\ndef f():\n    d = {1: 2}\n"
    "    d[g(3)] = 4\n    return list(d)",
    "odd key of a dict's values": "def f(): return {v: k for k, v in {'a': 1, 'b': 2 > 1}.items()}",
    "odd key of a method": "class A:\n    def __init__(self): self.d = {1: 2}\n"
    "    def put(self, k): self.d[k] = k\n"
    "def f():\n    a = A()\n    a.put(4 / 4)\n    return a.d",
    "text of a cycle": "def f():\n    x = [1]\n    x.append(x)\n    return str(x)",
    "text of a cycle of two": "def f():\n    a, b = [], {}\n    a.append(b)\n    b['a'] = a\n"
    "    return f'{a}'",
    "text of what is deep": "def f():\n    x = []\n    for i in range(5000): x = [x]\n"
    "    return len(str(x))",
    "text of what is deep below": "def f():\n    x = root = {}\n    for i in range(5000):\n"
    "        x['a'] = {}\n        x = x['a']\n    return len(repr(root))",
    "text of what recursion made": "def g(n): return [g(n - 1)] if n else []\n"
    "def f(): return len('%s' % g(120))",
    "text of a function": "def g(): return 1\ndef f(): return str(g)[:11]",
    "text of a class of one's own": "class A: pass\ndef f():\n    x = [A]\n    return str(x)",
    "text of an instance": "class A: pass\ndef f(): return f'{A()}'[:10]",
    "padded name of a list": "def f():\n    x = [1]\n    return f'{x:>5}'",
    "padded None": "def f():\n    x = None\n    return '{:>5}'.format(x)",
    "format of a dict": "def f(): return format({}, '>5')",
    "escaped letters": "def f(): return '\\u1c89'.isalpha(), '\\ua7cb'.isupper()",
    "made letters": "def f(): return chr(0x1c89).isalpha()",
    "truth of NotImplemented": "def f(): return 1 if NotImplemented else 2",
    "name without a value": "def f():\n    x: int\n    try: return x\n"
    "    except UnboundLocalError: return 1",
    "empty matches": "import re\ndef f(): return re.sub('x*', '-', 'abxd')",
}  # fmt: skip
LACKING = {
    "method as key": "def f(): return sorted(['b', 'A'], key=str.lower)",
    "bit_length": "def f(): return (5).bit_length()",
    "string": "import string\ndef f(): return string.digits",
    "cmp_to_key": "import functools\ndef f():\n    key = functools.cmp_to_key(lambda x, y: y - x)\n"
    "    return sorted([1, 3, 2], key=key)",
    "yield": "def g():\n    yield 1\n    yield 2\ndef f(): return list(g())",
    "translate": "def f(): return 'abc'.translate(str.maketrans('ab', 'ba'))",
    "ascii": "def f(): return ascii('é')",
    "class": "class A: pass\nclass B(A): pass\ndef f(): return isinstance(B(), A)",
}  # fmt: skip


@pytest.fixture(scope="module")
def auto(needs_jail: None) -> Iterator[Sandbox]:
    with make_sandbox(SandboxConfig(backend="auto")) as running:
        yield running


@pytest.mark.parametrize("name", [*DIFFERENT, *LACKING, *PROGRAMS])
def test_programs_end_as_in_cpython(auto: Sandbox, name: str) -> None:
    code = DIFFERENT.get(name) or LACKING.get(name) or PROGRAMS[name]
    [outcome] = auto.run([Call(code, "f")])
    assert (outcome.kind.value, outcome.text or outcome.exception) == cpython(code), outcome


@pytest.mark.parametrize("name", [*DIFFERENT, *LACKING, *UNSUPPORTED])
def test_what_differs_is_not_left_to_monty(name: str) -> None:
    code = DIFFERENT.get(name) or LACKING.get(name) or UNSUPPORTED[name]
    assert not agrees(code, ())


@pytest.mark.parametrize("args", [(0.5,), ("é",), ({1},), (b"a",), ([[(1j,)]],), ({"a": 0.5},)])
def test_arguments_of_other_types_are_not_left_to_monty(args: tuple[Any, ...]) -> None:
    assert agrees("def f(a): return a", (1, "a", [None, True], {"a": (2,)}))
    assert not agrees("def f(a): return a", args)


def test_what_changes_while_it_is_read_is_not_left_to_monty() -> None:
    loop = "def f(a):\n    for x in {}:\n        {}\n    return a"
    assert agrees(loop.format("a[:]", "a.append(x)"), ([1],))
    assert agrees(loop.format("range(3)", "a[0] = x"), ([1],))
    assert agrees(loop.format("a", "x += 1"), ([1],))
    assert not agrees(loop.format("a", "a.append(x)"), ([1],))
    assert not agrees(loop.format("a", "a[x + 1] = 1"), ({1: 2},))
    assert not agrees(loop.format("a.items()", "a.pop(1)"), ({1: 2},))


def generated(count: int) -> list[Call]:
    calls = []
    for seed in range(count):
        program, args = generate_program(1 + seed % 7, Random(seed))
        calls.append(Call(program.source, "f", args, State.NONE))
    return calls


def wild(count: int) -> list[Call]:
    programs = [wild_program(Random(seed)) for seed in range(count)]
    return [Call(code, "f", args, State.NONE) for code, args in programs]


@pytest.mark.slow
@pytest.mark.parametrize(("make", "count", "share"), [(generated, 1500, 1.0), (wild, 3000, 0.35)])
def test_what_is_left_to_monty_is_the_same_in_cpython(
    sandbox: Sandbox, make: Any, count: int, share: float
) -> None:
    """Here CPython is this process: these programs are the test's own, and harmless."""
    calls = [call for call in make(count) if agrees(call.code, call.args)]
    outcomes = sandbox.run(calls)
    compared = 0
    for call, outcome in zip(calls, outcomes, strict=True):
        if outcome.kind is OutcomeKind.VALUE:
            compared += 1
            source = f"{call.code}\n_args = {call.args!r}\n_f = f\ndef f(): return _f(*_args)"
            assert ("value", outcome.text) == cpython(source), call
    assert compared >= share * count


def test_both_backends_agree_on_generated_programs(sandbox: Sandbox, needs_jail: None) -> None:
    calls = generated(300)
    with make_sandbox(SandboxConfig(backend="cpython")) as jail:
        assert jail.run(calls) == sandbox.run(calls)


class Recorder:
    """A sandbox that answers with what it was given, and remembers what it was asked."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome, self.asked, self.closed = outcome, [], False  # type: ignore[var-annotated]

    def run(self, calls: Sequence[Call]) -> list[Outcome]:
        self.asked += calls
        return [self.outcome] * len(calls)

    def close(self) -> None:
        self.closed = True

    __enter__ = __exit__ = None  # type: ignore[assignment]


PLAIN, ODD = Call("def f(): return 1", "f"), Call("def f(): return {1}", "f")


def test_monty_is_asked_only_what_both_agree_on() -> None:
    first = Recorder(Outcome(OutcomeKind.VALUE, "1"))
    second = Recorder(Outcome(OutcomeKind.VALUE, "2"))
    with AutoSandbox(first, second) as auto:  # type: ignore[arg-type]
        assert [outcome.text for outcome in auto.run([ODD, PLAIN, ODD])] == ["2", "1", "2"]
    assert (first.asked, second.asked) == ([PLAIN], [ODD, ODD])
    assert first.closed
    assert second.closed


@pytest.mark.parametrize("kind", [kind for kind in OutcomeKind if kind is not OutcomeKind.VALUE])
def test_whatever_is_no_value_is_asked_again(kind: OutcomeKind) -> None:
    first, second = Recorder(Outcome(kind)), Recorder(Outcome(OutcomeKind.VALUE, "2"))
    with AutoSandbox(first, second) as auto:  # type: ignore[arg-type]
        assert [outcome.text for outcome in auto.run([PLAIN])] == ["2"]
    assert second.asked == [PLAIN]
