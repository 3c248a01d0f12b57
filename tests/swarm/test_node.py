"""A node with the real parts: the command line, the seedling, the code environment."""

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from redqueen import build
from redqueen.cli import main
from redqueen.config import SandboxConfig
from redqueen.environments.base import Services, revalidate, sources_of
from redqueen.environments.code import Code
from redqueen.errors import ConfigError
from redqueen.sandbox import make_sandbox
from redqueen.store import Replay, RunStore, load_exchanges
from redqueen.swarm.identity import Identity
from redqueen.types import Rejection, Task
from redqueen.verify.findings import Findings
from redqueen.verify.foreign import check_foreign

SMALL = {
    "steps": "1", "threads": "1", "callbacks": "[]", "policy.rank": "2",
    "population.teachers": "0", "population.students": "2", "rollout.matches": "2",
    "rollout.tasks_per_match": "4", "rollout.attempts": "4", "rollout.solve_tokens": "96",
    "environments.code.stream_bands": "[1]", "environments.code.kinds": '["code_o"]',
    "curriculum.held_out": '["held-out"]', "sandbox.workers": "1", "eval.enabled": "false",
    "evolution.enabled": "false", "engine": "torch",
}  # fmt: skip


ISLANDS = {
    "evolution.enabled": "true", "evolution.interval": "1", "swarm.islands.enabled": "true",
    "evolution.fitness": '{type = "probe", tasks = 4, attempts = 4}',
}  # fmt: skip


def join(folder: Path, number: int, **over: str) -> Path:
    run = folder / f"run-{number}"
    values = SMALL | {"seed": str(number), "swarm.identity": str(folder / f"{number}.key")} | over
    words = [word for key, value in values.items() for word in (f"--{key}", value)]
    assert main(["swarm", "join", str(folder / "swarm"), "--out", str(run), *words]) == 0
    return run


@pytest.mark.slow
def test_two_runs_join_by_a_folder_and_the_second_learns_from_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2):
        assert main(["swarm", "keygen", str(tmp_path / f"{number}.key")]) == 0
    names = [Identity.load(tmp_path / f"{n}.key").name for n in (1, 2)]
    assert capsys.readouterr().out.split() == names
    first = join(tmp_path, 1, **ISLANDS)
    second = join(tmp_path, 2, **ISLANDS | {"steps": "2"})
    with RunStore.open(second, read_only=True) as store:
        exchange = load_exchanges(store)[1]
        mismatches = store.load_metrics("logprob_mismatch")
        (event,) = Replay(store).step(1).events
    assert exchange.groups
    assert {group.origin for group in exchange.groups} == {names[0]}
    assert len(mismatches) == 2
    assert max(value for _, value in mismatches) < 5e-3  # unscored answers would make it 0.1
    (adapter,) = exchange.adapters
    assert (adapter.origin, adapter.number) == (names[0], 1)
    assert adapter.fitness is not None
    better = adapter.fitness > event.details["removed_fitness"]
    assert event.origin == (names[0] if better else "")
    capsys.readouterr()
    assert main(["swarm", "status", str(second)]) == 0
    shown = capsys.readouterr().out
    assert names[0][:12] in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert verified(second)
    with sqlite3.connect(second / "run.db") as db:
        turned = "replace(verdicts, 'wrong', 'correct')"
        db.execute(f"UPDATE foreign_groups SET verdicts = {turned} WHERE idx = 0")
    assert not verified(second)
    assert main(["resume", str(first), "--steps", "2"]) == 0
    with RunStore.open(first, read_only=True) as store:
        assert load_exchanges(store)[2].groups


def verified(directory: Path) -> bool:
    findings = Findings()
    with RunStore.open(directory, read_only=True) as store:
        config = store.config()
        with build.open_environments(config) as environments:
            check_foreign(store, environments, config, None, findings)
    report = findings.report(0, 0, {})
    assert report.checks
    return report.agrees


def test_a_node_without_a_key_is_told_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rubbish.key").write_text("no key")
    with pytest.raises(ConfigError, match="cannot read"):
        Identity.load(tmp_path / "rubbish.key")
    with pytest.raises(ConfigError, match="redqueen swarm keygen"):
        Identity.load(tmp_path / "none.key")
    Identity.create(tmp_path / "one.key")
    assert (tmp_path / "one.key").stat().st_mode & 0o777 == 0o600
    assert main(["swarm", "keygen", str(tmp_path / "one.key")]) == 2
    assert "File exists" in capsys.readouterr().err


def test_code_tasks_of_other_nodes_are_made_anew() -> None:
    with make_sandbox(SandboxConfig(workers=1)) as sandbox:
        environment = Code().build(Services(lambda: sandbox, "seedling"))
        drawn = sources_of(environment)["stream"].tasks(12, 3)
        claimed = [replace(task, id="", features={}) for task in drawn]
        again = revalidate(environment, claimed)
        valid = [(a, b) for a, b in zip(drawn, again, strict=True) if isinstance(b, Task)]
        assert len(valid) >= 9  # guards turn some of a generator's tasks down
        assert {task.kind for task, _ in valid} == {"code_o", "code_i", "code_f"}
        assert all((a.id, a.payload) == (b.id, b.payload) for a, b in valid)
        good = next(task for task, _ in valid if task.kind == "code_o")
        function = next(task for task, _ in valid if task.kind == "code_f")

        def reasons(*payloads: dict[str, Any], kind: str = "code_o") -> list[str]:
            outcomes = revalidate(
                environment, [replace(good, kind=kind, payload=payload) for payload in payloads]
            )
            return [o.reason if isinstance(o, Rejection) else "valid" for o in outcomes]

        payload, forever = dict(good.payload), "def f(x):\n    while True:\n        x += 1"
        assert reasons(
            payload,
            payload | {"output": "'a false answer'"},
            payload | {"extra": 1},
            payload | {"program": "import os\ndef f(x):\n    return os.getpid()"},
            payload | {"program": 7},
            payload | {"input": [[]]},
            {},
        ) == ["valid", "other_payload", "other_payload", "forbidden", "unparsable", "unparsable",
              "unparsable"]  # fmt: skip
        assert reasons({"program": forever, "input": "1", "output": "1", "arity": 1}) == ["timeout"]
        wrong = dict(function.payload) | {"hidden": [["1", "2", "3"]]}
        strange = dict(function.payload) | {"examples": 5}
        assert reasons(wrong, strange, payload, kind="code_f") == ["unparsable"] * 3
        assert reasons(payload, kind="code_x") == ["unparsable"]
