"""What programs keep from one call to another, in the sandbox: calls together end as alone."""

import pytest

from redqueen.environments.code.analysis import Runnable, runnable
from redqueen.environments.code.answers import calls_of
from redqueen.sandbox import Sandbox, State

KEEPERS = {
    "function's attribute":
        "\n    try:\n        b = f.real\n    except AttributeError:\n        b = 0"
        "\n    f.real = a\n    return b",
    "imported type's attribute":
        "\n    from collections import Counter\n    b = Counter.update\n    Counter.update = a"
        "\n    return b",
    "default of a function inside":
        "\n    def g(b=[]):\n        b.append(a)\n        return b\n    return g()",
    "default of a lambda": "return (lambda b=[]: b.append(a) or b)()",
    "cache": "from functools import cache; g = cache(lambda b: [b]); g(1).append(a); return g(1)",
    "list from constants": "b = [1, 2]; b.append(a); return b",
    "argument": "a.append(a[0]); return a",
    "name of its own": "b = str(f)[:9]; f = [a]; f.append(a); return b, f",
    "name read before it is bound":
        "\n    try:\n        return b\n    except NameError:\n        b = a\n    return b",
    "name of an exception":
        "\n    try:\n        return b\n    except NameError as b:\n        return str(b)",
    "generator left open": "\n    for b in (c for c in [a] * 9):\n        return b",
    "exception on its way":
        "\n    b = [a]\n    try:\n        return b[a[0]]\n    finally:\n        b.append(a)",
    "import": "import math; return math.gcd(a[0], 6)",
}  # fmt: skip


@pytest.mark.parametrize("body", KEEPERS.values(), ids=KEEPERS)
def test_a_function_alone_keeps_nothing_for_its_next_call(sandbox: Sandbox, body: str) -> None:
    program = f"def f(a): {body}"
    assert runnable(program, 1200) == Runnable(program, State.NONE)
    calls = calls_of(program, [([n],) for n in (3, 0, 4)])
    assert {call.state for call in calls} == {State.NONE}
    assert sandbox.run(calls) == [sandbox.run([call])[0] for call in calls]


@pytest.mark.parametrize(
    "program",
    [
        "def g(a, b=[]):\n    b.append(a)\n    return b\ndef f(a):\n    return g(a)",
        "def f(a):\n    try:\n        return m + [a]\n    except NameError:\n"
        "        return (lambda b=(m := [a]): b)()",
    ],
    ids=["default", "name in a default"],
)
def test_other_programs_are_executed_for_every_call(sandbox: Sandbox, program: str) -> None:
    assert [o.text for o in sandbox.run(calls_of(program, [(1,), (2,)]))] == ["[1]", "[2]"]
