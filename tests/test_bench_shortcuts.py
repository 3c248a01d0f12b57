"""The control for gains: which tasks a guess solves that reads no program."""

import pytest

from bench.shortcuts import classes, forced_rates, gain, least_gain, values_of
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


def test_values_that_many_tasks_have_are_told_apart() -> None:
    outputs = ["True"] * 11 + ["False"] * 9 + [str(n) for n in range(10, 30)] + ["None"] * 2
    tasks = [Task(str(n), "code", "code_o", {"output": output}) for n, output in enumerate(outputs)]
    found = classes(tasks, FakeSandbox(lambda call, n: pytest.fail("nothing is run")))  # type: ignore[arg-type]
    assert [found[task.id] for task in tasks] == (
        ["is True"] * 11 + ["is False"] * 9 + ["rest"] * 22
    )


def test_a_shortcut_loses_where_it_does_not_hold() -> None:
    rates = {"elicited": {"a": 0.5, "b": 0.5}, "students": {"a": 1.0, "b": 0.0}}
    tasks = {"echo": ["b"], "is True": ["a"], "is False": ["b"]}
    assert least_gain(rates, tasks)[0] == -0.5
    assert least_gain(rates, {"echo": ["b"], "rest": ["a"]})[0] == 0.5


class Answers:
    """The answers of an evaluation, as a run's database gives them."""

    def __init__(self, *rows: tuple[str, str, int, str | None]) -> None:
        self.kept = [
            {"subject": subject, "task_id": task, "right": right, "answer": answer}
            for subject, task, right, answer in rows
        ]

    def rows(self, sql: str, values: tuple[str, str]) -> list[dict[str, object]]:
        return self.kept


def test_an_answer_of_another_form_counts_as_a_guess_when_the_format_is_forced() -> None:
    store = Answers(
        ("base", "a", 1, "True"), ("base", "a", 0, "8"), ("base", "b", 0, None),
        ("member:1", "a", 0, "False"), ("member:2", "a", 1, "True"),
    )  # fmt: skip
    assert forced_rates(store, "held-out", "sampled", ["True", "False"]) == {  # type: ignore[arg-type]
        "base": {"a": 0.75, "b": 0.5},
        "students": {"a": 0.5},
    }


def test_the_format_is_known_where_all_values_are() -> None:
    assert values_of({"is True": ["a"], "is False": ["b"]}) == ["True", "False"]
    assert values_of({"is True": ["a"], "rest": ["b"]}) == []


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
