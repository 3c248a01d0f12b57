"""CRUXEval and LiveCodeBench: answers, tests of both kinds, and pickles that want more."""

import base64
import json
import pickle
import zlib
from typing import Any

import pytest
from benchmarks.conftest import Open, verify

from redqueen.benchmarks.livecodebench import unpacked
from redqueen.environments.base import Attempt
from redqueen.errors import ConfigError
from redqueen.types import Verdict

CRUX = {
    "id": "sample_0",
    "code": "def f(xs, n):\n    return xs * n",
    "input": "[1, 2], 2",
    "output": "[1, 2, 1, 2]",
}
C, W, M = Verdict.CORRECT, Verdict.WRONG, Verdict.MALFORMED


def test_cruxeval_outputs(written: Open, needs_jail: None) -> None:
    answers = {
        "assert f([1, 2], 2) == [1, 2, 1, 2]\n[/ANSWER] more": C,
        "[ANSWER]\nassert f([1, 2], 2) == [1, 2] * 2\n[/ANSWER]": C,
        "[1, 2, 1, 2]": C,
        "[ANSWER]assert f([1, 2], 2) == [1, 2, 1, 2], 'four'[/ANSWER]": C,
        "[ANSWER]assert [1, 2, 1, 2] == f([1, 2], 2)[/ANSWER]": C,
        "[ANSWER]assert (f([1, 2], 2) == [1, 2, 1, 2])[/ANSWER]": C,
        "[ANSWER]\n```python\nassert f([1, 2], 2) == [1, 2, 1, 2]  # twice\n```\n[/ANSWER]": C,
        "```python\nassert f([1, 2], 2) == [1, 2, 1, 2]\n```": C,
        "<think>assert f([1, 2], 2) == 5</think>assert f([1, 2], 2) == [1, 2, 1, 2]": C,
        "assert f([1, 2], 2) == [1, 2, 1, 2]\nThis is so.": C,
        "assert f([1, 2], 2) == [1, 2, 1, 2]\n[/ANSWER]\n\n[PYTHON]\nf\n[ANSWER]\n5[/ANSWER]": C,
        "[ANSWER]assert f([1, 2], 2) == 5 == [1, 2, 1, 2][/ANSWER]": M,
        "[ANSWER]assert f([1, 2], 2) == [1, 2, 1, 2] or True[/ANSWER]": W,
        "[ANSWER]assert f([1, 2], 2) == [1, 2][/ANSWER]": W,
        "[ANSWER]assert f([1, 2], 2) == f([1, 2], 2)[/ANSWER]": W,
        "[ANSWER]assert f([1, 2], 2) == [1, 2)[/ANSWER]": M,
        "": M,
    }
    environment = written("cruxeval-o", CRUX)
    assert [x.verdict for x in verify(environment, *answers)] == [*answers.values()]


def test_cruxeval_inputs(written: Open, needs_jail: None) -> None:
    answers = {
        "assert f([1, 2, 1, 2], 1) == [1, 2, 1, 2]": C,
        "[ANSWER]\nassert f(xs=[1, 2], n=2) == [1, 2, 1, 2]\n[/ANSWER]": C,
        "[ANSWER]assert [1, 2, 1, 2] == f([1, 2], 2)[/ANSWER]": C,
        "[ANSWER]assert (f([1, 2], 2) == [1, 2, 1, 2])[/ANSWER]": C,
        "[ANSWER]f(list(range(1, 3)), len('=='))[/ANSWER]": C,
        "[ANSWER]f([x for x in (1, 2)], n=2)[/ANSWER]": C,
        "[ANSWER]```python\nassert f([1, 2], 2) == [1, 2, 1, 2], 'm'\n```[/ANSWER]": C,
        "<think>assert f(9) == 3?</think>\nassert f([1, 2], 2) == [1, 2, 1, 2]": C,
        "[ANSWER]assert f([1], 2) == 3 or f([1, 2], 2) == 3[/ANSWER]": M,
        "[ANSWER]f(type('X', (), {'__mul__': lambda s, o: [1, 2, 1, 2]})(), 1)[/ANSWER]": M,
        "[ANSWER]f(globals().update(f=0), 1)[/ANSWER]": M,
        "[ANSWER]f((f := [1, 2]), 2)[/ANSWER]": M,
        "[ANSWER]f([1, 2].__mul__(2), 1)[/ANSWER]": M,
        "[ANSWER]\nassert f([1], 2) == [1, 2, 1, 2]\n[/ANSWER]": W,
        "[ANSWER]\nassert f() == [1, 2, 1, 2]\n[/ANSWER]": W,
        "[ANSWER]\nassert [1, 2, 1, 2] or f([], 0) == [1, 2, 1, 2]\n[/ANSWER]": M,
        "[1, 2], 2": M,
    }
    environment = written("cruxeval-i", CRUX)
    assert [x.verdict for x in verify(environment, *answers)] == [*answers.values()]
    assert (
        "assert f(??) == [1, 2, 1, 2]"
        in environment.prompt(environment.task("cruxeval-i/sample_0"))[0].content
    )


def packed(value: Any) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(value))).decode()


def contest(private: str, function: str | None = None, **more: Any) -> dict[str, Any]:
    starter = "class Solution:\n    def add(self, a: int, b: int) -> int:\n        " * bool(
        function
    )
    public = {"input": "1\n2", "output": "3", "testtype": "functional" if function else "stdin"}
    return {
        "question_id": "q1", "question_content": "Add two numbers.", "starter_code": starter,
        "platform": "leetcode", "difficulty": "easy", "contest_date": "2024-09-01T00:00:00",
        "public_test_cases": json.dumps([public]), "private_test_cases": private,
        "metadata": json.dumps({"func_name": function} if function else {}), **more,
    }  # fmt: skip


HIDDEN = json.dumps([{"input": "-1\n1", "output": "0", "testtype": "stdin"}])


@pytest.mark.parametrize("private", [HIDDEN, packed(HIDDEN)])
def test_livecodebench_programs_that_read(private: str, written: Open, needs_jail: None) -> None:
    environment = written("livecodebench", contest(private))
    texts = {
        "```python\nprint(int(input()) + int(input()))\n```": C,
        "```python\nprint(f'{int(input()) + int(input())}.0')\n```": C,
        "```python\nprint(abs(int(input())) + int(input()))\n```": W,
        "```python\nprint(3)\n```": W,
        "```python\nprint(3); exit(1)\n```": W,
        "```python\nprint('sNaN')\n```": W,
        "1. So:\n   ```python\n   print(int(input()) + int(input()))\n   ```": C,
        "<think>\n```python\nprint(3)\n```\n</think>\nNo.": M,
        "print(3)": M,
    }
    assert [x.verdict for x in verify(environment, *texts)] == [*texts.values()]


@pytest.mark.slow
def test_livecodebench_methods(written: Open, needs_jail: None) -> None:
    environment = written("livecodebench", contest(packed(HIDDEN), "add"))
    texts = {
        "```python\nclass Solution:\n    def add(self, a, b):\n        return a + b\n```": C,
        "```python\nclass Solution:\n    def add(self, a, b):\n        return 3\n```": W,
        "```python\nclass Solution:\n    def plus(self, a, b):\n        return a + b\n```": W,
        "```python\nclass Solution:\n    def add(self, a, b):\n        while True: pass\n```": W,
    }
    assert [x.verdict for x in verify(environment, *texts)] == [*texts.values()]


class _Runs:
    """Unpickled with all names, it would make a directory."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        import os

        return os.mkdir, (self.path,)


def test_a_pickle_gives_a_text_and_runs_nothing(tmp_path: Any, written: Open) -> None:
    assert unpacked(packed("[]")) == "[]"
    trap = tmp_path / "made"
    with pytest.raises(pickle.UnpicklingError, match=r"wants posix\.mkdir"):
        unpacked(packed(_Runs(str(trap))))
    assert not trap.exists()
    with pytest.raises(pickle.UnpicklingError, match="a pickled list"):
        unpacked(packed(["[]"]))
    environment = written("livecodebench", contest(packed(_Runs(str(trap)))))
    task = environment.task("livecodebench/q1")
    with pytest.raises(ConfigError, match="tests of q1 cannot be read"):
        environment.verify([Attempt(task, "```python\nprint(3)\n```")])


def test_a_window_of_dates(written: Open) -> None:
    rows = [contest(HIDDEN, question_id=f"q{n}", contest_date=f"2024-{n:02}-01") for n in (7, 8, 9)]
    environment = written("livecodebench", *rows, since="2024-08-01", until="2024-08-31")
    assert [*environment.rows] == ["livecodebench/q8"]
    with pytest.raises(ConfigError, match="no contest from 2020-01-01 to 2020-02-01"):
        _ = written("livecodebench", *rows, since="2020-01-01", until="2020-02-01").rows
