"""Tasksets of the package verifiers: tasks, rewards, what raises in them, a whole run."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from redqueen.config import Config, SandboxConfig
from redqueen.environments.base import Attempt, Environment, Services, TaskSpace
from redqueen.environments.verifiers import Verifiers, VerifiersEnvironment
from redqueen.environments.verifiers.environment import VerifiersPackage
from redqueen.environments.workers import NoReply
from redqueen.errors import ConfigError
from redqueen.report import write_report
from redqueen.store import RunStore
from redqueen.types import Task, Verdict
from tests.whole_runs import measure_and_verify, train_in_two_parts

LISTED = [
    {"key": str(n), "messages": [{"role": "user", "content": f"Say {n % 9}."}]} for n in range(10)
]


class Scripted:
    """Stands for the package: replies by text."""

    def __init__(self, listed: Any, replies: Mapping[str, Any]) -> None:
        self.listed, self.replies = listed, replies

    def ask(self, questions: Sequence[Mapping[str, Any]]) -> list[Any]:
        return [
            self.listed if item["do"] == "list" else self.replies[item["text"]]
            for item in questions
        ]


def scripted(listed: Any, **replies: Any) -> VerifiersEnvironment:
    keys = Verifiers(taskset="said", correct_from=2.0)
    return VerifiersEnvironment(keys, "said", Scripted(listed, replies))  # type: ignore[arg-type]


def test_a_sum_of_rewards_is_a_verdict_and_a_failure_is_ours() -> None:
    replies = {
        "full": {"reward": 2.0},
        "more": {"reward": 3.0},
        "half": {"reward": 1.0},
        "less": {"reward": -4.0},
        "raises": {"error": "ValueError('no')"},
        "hangs": NoReply.RAN_AWAY,
        "dies": NoReply.LOST,
    }
    environment = scripted({"tasks": LISTED}, **replies)
    [task] = environment.sources["stream"].tasks(1, 0)
    made = environment.verify([Attempt(task, text) for text in replies])
    right, wrong, infra = Verdict.CORRECT, Verdict.WRONG, Verdict.INFRA_ERROR
    assert [item.verdict for item in made] == [right, right, wrong, wrong, infra, infra, infra]
    assert [item.partial_score for item in made] == [1.0, 1.0, 0.5, 0.0, None, None, None]


def test_tasks_come_in_an_order_of_ours_each_once() -> None:
    environment = scripted({"tasks": LISTED})
    stream, held_out = environment.sources["stream"], environment.sources["held-out"]
    assert len({task.id for task in stream.tasks(99, 0)}) == 9  # two ask the same
    assert stream.tasks(9, 0) != stream.tasks(9, 1)
    assert stream.tasks(9, 0)[:4] == stream.tasks(4, 0)
    assert len(held_out.tasks(99, 0)) == 1  # a fifth at most
    assert isinstance(environment, Environment)
    assert not isinstance(environment, TaskSpace)


@pytest.mark.parametrize(
    "listed", [{"error": "ModuleNotFoundError('x')"}, NoReply.RAN_AWAY, {"tasks": LISTED[:1]}]
)
def test_a_taskset_that_cannot_be_used_is_a_sentence(listed: Any) -> None:
    with pytest.raises(ConfigError, match="taskset = 'said'"):
        scripted(listed)


# ── the package itself, with a taskset of its own API: it takes seconds to import ───────────────


@pytest.fixture(scope="module")
def package() -> Iterator[VerifiersPackage]:
    pytest.importorskip("verifiers.v1")
    path = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(path))
        with VerifiersPackage(SandboxConfig(workers=1)) as started:
            yield started


def built(package: VerifiersPackage, **keys: Any) -> VerifiersEnvironment:
    services = Services(pytest.fail, "chat", shared=lambda start: package)  # type: ignore[arg-type,return-value]
    return Verifiers(**{"taskset": "sums_taskset", **keys}).build(services)


@pytest.mark.slow
def test_a_real_taskset_poses_and_rewards(package: VerifiersPackage) -> None:
    environment = built(package, config={"largest": 4}, held_out_tasks=3)
    task = next(
        task
        for task in environment.sources["stream"].tasks(20, 0)
        if "3 + 4" in task.payload["messages"][1]["content"]
    )
    assert [(m.role, m.content) for m in environment.prompt(task)] == [
        ("system", "Add."),
        ("user", "What is 3 + 4?"),
    ]
    said = {
        "It is 7": (Verdict.CORRECT, 1.0),
        "Let me think about it: 7": (Verdict.WRONG, 0.75),
        "8": (Verdict.WRONG, 0.25),
        "seven": (Verdict.INFRA_ERROR, None),  # its reward raises
        "": (Verdict.INFRA_ERROR, None),
    }
    made = environment.verify([Attempt(task, text) for text in said])
    assert [(item.verdict, item.partial_score) for item in made] == [*said.values()]
    moved = Task(task.id, task.environment, task.kind, {**task.payload, "index": 0})
    assert environment.verify([Attempt(moved, "7")])[0].verdict is Verdict.INFRA_ERROR
    assert len(environment.sources["held-out"].tasks(99, 0)) == 3
    with pytest.raises(ConfigError, match="not found"):
        built(package, taskset="nobody-has-this")
    with pytest.raises(ConfigError, match="largest"):
        built(package, config={"largest": "many"})
    with pytest.raises(ConfigError, match="needs a runtime"):
        built(package, taskset="tools_taskset")


@pytest.mark.slow
def test_a_run_trains_resumes_reports_and_is_verified(
    tiny: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("verifiers.v1")
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    config = tiny(
        steps=2,
        engine={"type": "tests.scripted:Numbers"},
        eval={"tasks": 4},
        population={"teachers": 0, "students": 4},
        evolution={"fitness": "solve_rate"},
    )
    mine = {"type": "tests.environments.verifiers.in_process:InProcess", "taskset": "sums_taskset"}
    values = {**config.model_dump(), "environments": {"mine": mine}}
    run = train_in_two_parts(Config.model_validate(values), tmp_path)
    measure_and_verify(run)
    with RunStore.open(run, read_only=True) as store:
        said = {row["verdict"] for row in store.rows("SELECT verdict FROM rollouts")}
        assert said == {"correct", "wrong", "infra_error"}
        unpaid = store.rows("SELECT reward FROM rollouts WHERE verdict = 'infra_error'")
        assert {row["reward"] for row in unpaid} == {None}
    assert "sums_taskset" in Path(write_report(run)).read_text(encoding="utf-8")
