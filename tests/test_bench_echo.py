"""The control for gains on code_i: which tasks a repeated output solves."""

import pytest

from bench.echo import classes, gain
from redqueen.config import SandboxConfig
from redqueen.errors import InfrastructureError
from redqueen.sandbox import Outcome, OutcomeKind, make_sandbox
from redqueen.types import Task
from tests.code_cases import FakeSandbox


def task(name: str, body: str, names: str, output: str) -> Task:
    program = f"def f({names}):\n    {body}"
    arity = names.count(",") + 1
    return Task(name, "code", "code_i", {"program": program, "arity": arity, "output": output})


TASKS = [
    task("passes on", "return sorted(a)", "a", "[1, 2]"),
    task("of two", "return max(a, b)", "a, b", "7"),
    task("sum", "return a + b", "a, b", "5"),
    task("moved", "return a + 1", "a", "5"),
    task("raises", "return len(a)", "a", "3"),
]


def test_tasks_are_told_apart_by_what_solves_them() -> None:
    with make_sandbox(SandboxConfig(workers=1)) as sandbox:
        assert classes(TASKS, sandbox) == {
            "passes on": "echo", "of two": "echo", "sum": "part", "moved": "rest", "raises": "rest",
        }  # fmt: skip


def test_a_failure_of_the_sandbox_is_no_class() -> None:
    broken = FakeSandbox(lambda call, n: Outcome(OutcomeKind.INFRA_ERROR, message="gone"))
    with pytest.raises(InfrastructureError, match="moved: gone"):
        classes([TASKS[3]], broken)  # type: ignore[arg-type]


def test_the_gain_is_over_the_elicited_base_on_these_tasks_alone() -> None:
    rates = {
        "elicited": {"a": 0.5, "b": 0.0, "c": 1.0},
        "students": {"a": 1.0, "b": 0.5, "c": 0.0},
    }
    assert gain(rates, ["a", "b"]) == pytest.approx((0.5, 0.5, 0.5))
    assert gain(rates, ["c"])[0] == -1.0
