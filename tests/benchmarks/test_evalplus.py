"""HumanEval+ and MBPP+: base and plus tests, tolerances, oracles, what stops a program."""

from pathlib import Path
from typing import Any

import pytest
from benchmarks.conftest import Open, verify

from redqueen.benchmarks.programs import function_program
from redqueen.errors import ConfigError, InfrastructureError
from redqueen.types import Verdict

pytestmark = pytest.mark.usefixtures("needs_jail")
HALF = {
    "task_id": "HumanEval/900",
    "prompt": 'def half(x: float) -> float:\n    """Half of x. half(3) == 1.5"""\n',
    "entry_point": "half",
    "canonical_solution": "    return x / 2\n",
    "base_input": [[3], [5.0]],
    "plus_input": [[0], [-7], [1e9]],
    "atol": 0,
}


def mbpp(number: int, name: str, solution: str, *inputs: Any, atol: float = 0) -> dict[str, Any]:
    return {
        "task_id": f"Mbpp/{number}",
        "prompt": '"""\nWrite a function.\n"""\n',
        "entry_point": name,
        "canonical_solution": solution,
        "base_input": list(inputs[:1]),
        "plus_input": list(inputs[1:]),
        "atol": atol,
    }


def fenced(code: str) -> str:
    return f"Here it is:\n```python\n{code}\n```\nIt works."


def test_base_and_plus_tests_are_told_apart(written: Open) -> None:
    right, base_only, neither, none = verify(
        written("humaneval+", HALF),
        fenced("def half(x):\n    return x * 0.5"),
        fenced("def half(x):\n    return x / 2 if x > 0 else None"),
        fenced("def half(x):\n    return x"),
        "I cannot say.",
    )
    assert (right.verdict, right.metrics) == (Verdict.CORRECT, {"base": 1.0})
    assert (base_only.verdict, base_only.metrics) == (Verdict.WRONG, {"base": 1.0})
    assert (neither.verdict, neither.metrics) == (Verdict.WRONG, {"base": 0.0})
    assert none.verdict is Verdict.MALFORMED


@pytest.mark.parametrize(
    "code",
    [
        "def half(x):\n    while True:\n        pass",
        "def half(x):\n    raise SystemExit(0)",
        "import os\ndef half(x):\n    os._exit(0)",
        "import sys\ndef half(x, y=sys.exit()):\n    return x / 2",
        "def half(x):\n    return [x] * 10**10",
        "def half(x):\n    import numpy\n    return x / 2",
        "class Any:\n    def __eq__(self, other):\n        return True\n"
        "def half(x):\n    return Any()",
    ],
)
def test_what_stops_or_cheats_is_wrong(code: str, written: Open) -> None:
    [verified] = verify(written("humaneval+", HALF), fenced(code))
    assert verified.verdict is Verdict.WRONG


def test_prints_and_changed_arguments_do_not_matter(written: Open) -> None:
    row = mbpp(900, "total", "def total(xs):\n    return sum(xs)\n", [[1, 2]], [[3]])
    code = "def total(xs):\n    print('0.1 value 7')\n    xs.append(0)\n    return sum(xs)"
    [verified] = verify(written("mbpp+", row), fenced(code))
    assert verified.verdict is Verdict.CORRECT


def test_floats_have_a_tolerance_and_whole_numbers_have_none(written: Open) -> None:
    floats = mbpp(901, "third", "def third(x):\n    return x / 3\n", [1], [2])
    near, far = verify(
        written("mbpp+", floats),
        fenced("def third(x):\n    return x / 3 + 1e-7"),
        fenced("def third(x):\n    return x / 3 + 1e-3"),
    )
    assert (near.verdict, far.verdict) == (Verdict.CORRECT, Verdict.WRONG)
    whole = mbpp(902, "twice", "def twice(x):\n    return 2 * x\n", [10**9])
    [off] = verify(written("mbpp+", whole), fenced("def twice(x):\n    return 2 * x + 1"))
    assert off.verdict is Verdict.WRONG


def test_values_that_are_equal_in_python_are_equal_here(written: Open) -> None:
    row = mbpp(903, "count", "def count(s):\n    return {c: s.count(c) for c in s}\n", ["abca"])
    ordered, counter, pairs = verify(
        written("mbpp+", row),
        fenced("def count(s):\n    return {c: s.count(c) for c in sorted(s, reverse=True)}"),
        fenced("from collections import Counter\ndef count(s):\n    return Counter(s)"),
        fenced("def count(s):\n    return [(c, s.count(c)) for c in s]"),
    )
    assert [x.verdict for x in (ordered, counter)] == [Verdict.CORRECT] * 2
    assert pairs.verdict is Verdict.WRONG


def test_oracles_take_the_place_of_the_comparison(written: Open) -> None:
    same = "def similar_elements(a, b):\n    return tuple(set(a) & set(b))\n"
    row = mbpp(2, "similar_elements", same, [[3, 4, 5], [5, 4]])
    [order] = verify(
        written("mbpp+", row),
        fenced("def similar_elements(a, b):\n    return [x for x in reversed(a) if x in b] * 2"),
    )
    assert order.verdict is Verdict.CORRECT
    roots = {
        **HALF,
        "entry_point": "find_zero",
        "canonical_solution": "    return -xs[0] / xs[1]\n",
        "prompt": "def find_zero(xs):\n",
        "base_input": [[[-4, 0, 1]]],
        "plus_input": [],
        "atol": 1e-4,
    }
    roots["canonical_solution"] = "    return 2.0\n"
    other, off = verify(
        written("humaneval+", roots),
        fenced("def find_zero(xs):\n    return -2"),
        fenced("def find_zero(xs):\n    return 1.9"),
    )
    assert (other.verdict, off.verdict) == (Verdict.CORRECT, Verdict.WRONG)


def test_a_broken_file_is_said_and_never_a_verdict(written: Open, tmp_path: Path) -> None:
    broken = {**HALF, "canonical_solution": "    return x / 0\n"}
    with pytest.raises(InfrastructureError, match=r"released solution of humaneval\+/900"):
        verify(written("humaneval+", broken), fenced("def half(x):\n    return x"))
    environment = written("humaneval+", HALF)
    (tmp_path / "humanevalplus.jsonl").unlink()
    with pytest.raises(ConfigError, match=r"no humanevalplus.jsonl \(or humanevalplus.jsonl.gz\)"):
        _ = environment.rows


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("```python\ndef f(x):\n    return x\nprint(f(1))\n```", "def f(x):\n    return x\n"),
        ("```\nimport math\nfrom re import *\ndef f(x):\n    return g(x)\ndef g(x):\n    return 1\n"
         "def h():\n    pass\n```", "import math\nfrom re import *\ndef f(x):\n    return g(x)\n"
         "def g(x):\n    return 1\n"),
        ("def f(x):\n    return x\n\nThis returns x.", "def f(x):\n    return x\n"),
        ("    return x + 1\n", "def f(x):\n    return x + 1\n"),
        ("```python\ndef f(x):\n    return 1\n```\nBetter:\n```python\n@cache\ndef f(x):\n"
         "    return 2\n```", "@cache\ndef f(x):\n    return 2\n"),
        ("```python\ndef g(x):\n    return 1\n```", None),
        ("```python\ndef f(x:\n```", None),
    ],
)  # fmt: skip
def test_programs_are_read_out_of_completions(text: str, kept: str | None) -> None:
    assert function_program(text, "def f(x):\n", "f") == kept


F = "def f(x):\n    return x\n"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("1. So:\n\n    ```python\n    def f(x):\n        return x\n    ```\n", F),
        ("- ```python\n  def f(x):\n      return x\n  ```", F),
        (f'```python title="f.py"\n{F}```', F),
        (f"```{{python}}\n{F}```", F),
        (f"Sure!\n{F}\nThis is it.", F),
        (f"```text\nf\n```\n{F}", F),
        (f"```python\n{F}```".replace("\n", "\r\n"), F),
        ("```python\n>>> def f(x):\n...     return x\n>>> f(1)\n1\n```", F),
        ("```python\ndef f(x):\n    s = \'\'\'\n```\n\'\'\'\n    return x\n```",
         "def f(x):\n    s = \'\'\'\n```\n\'\'\'\n    return x\n"),
        # thoughts are no answer
        (f"<think>\n```python\n{F}```\n</think>\nNo idea.", None),
        (f"<think>\n```python\ndef f(x):\n    return 0\n```\n</think>\n```python\n{F}```", F),
        # what an earlier block has
        ("```python\nimport math\n```\nand\n```python\ndef f(x):\n    return math.floor(x)\n```",
         "import math\ndef f(x):\n    return math.floor(x)\n"),
        ("```python\ndef g(x):\n    return x\n```\nand\n```python\ndef f(x):\n    return g(x)\n```",
         "def g(x):\n    return x\ndef f(x):\n    return g(x)\n"),
        # what the function does not use; as with EvalPlus a parameter's name is a use
        (f"```python\n{F}x = int(input())\nprint(f(x))\n```", f"{F}x = int(input())\n"),
        (f"```python\n{F}import numpy as np\nprint(np.zeros(f(3)))\n```", F),
        (f"```python\nimport sys\n{F}```", f"import sys\n{F}"),
        ("```python\nx = 1\ndef f(y):\n    global x\n    x = y\n    return x\n```",
         "x = 1\ndef f(y):\n    global x\n    x = y\n    return x\n"),
    ],
)  # fmt: skip
def test_programs_are_read_as_models_write_them(text: str, kept: str | None) -> None:
    assert function_program(text, "def f(x):\n", "f") == kept


@pytest.mark.parametrize("name", ["humaneval+", "mbpp+"])
def test_released_solutions_pass(name: str, released: Open) -> None:
    environment = released(name)
    benchmark: Any = environment.benchmark
    jobs = [(id_, benchmark.canonical(row)) for id_, row in [*environment.rows.items()][:5]]
    assert {x.verdict for x in benchmark.grade(jobs, environment)} == {Verdict.CORRECT}
