"""Each environment of the package in a whole run: trains, resumes, reports, is verified."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from redqueen.config import Config
from redqueen.report import write_report
from redqueen.store import RunStore
from tests.environments.lean.replays import install, require_jail
from tests.scripted import DISPUTED
from tests.whole_runs import measure_and_verify, train_in_two_parts

WORLDS: Mapping[str, tuple[dict[str, Any], str]] = {
    "gym": ({"held_out_tasks": 4, "generators": ["gcd"]}, "Characters of the question"),
    "math": ({"held_out_tasks": 4}, "Operations of the program"),
    "lean": ({"held_out_tasks": 4}, "Words and signs of the proof"),
    "logic": ({"held_out_tasks": 4}, "Operations in the constraints"),
    "proof": (
        {"held_out_tasks": 4, "theories": ["propositional"]},
        "Axioms and rules in the proof",
    ),
}
"""Name -> keys, and what the report says of its tasks."""


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_it_trains_with_teachers_resumes_reports_and_is_verified(
    name: str, tiny: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, measured = WORLDS[name]
    if name == "lean":
        require_jail()
        machine = install(tmp_path / "lean", "any")
        monkeypatch.setenv("PATH", f"{machine / 'bin'}:{os.environ['PATH']}")
        keys = {**keys, "repl": str(machine / "repl")}
    config = tiny(steps=2, engine={"type": f"tests.scripted:{name.title()}"}, eval={"tasks": 4})
    values = {**config.model_dump(), "environments": {"mine": {"type": name, **keys}}}
    run = train_in_two_parts(Config.model_validate(values), tmp_path)
    measure_and_verify(run)
    with RunStore.open(run, read_only=True) as store:
        outcomes = store.load_outcomes()
        assert {None} < {item.reason for item in outcomes}  # tasks, and something rejected
        assert store.suites() == ["held-out"]
    assert measured in Path(write_report(run)).read_text(encoding="utf-8")


@pytest.mark.slow
def test_two_environments_share_the_matches_and_a_wrong_key_is_disputed(
    tiny: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "docs" / "examples"))
    config = tiny(
        engine={"type": "tests.scripted:Anything"}, eval={"tasks": 4}, rollout={"attempts": 4}
    )
    two = {
        "words": {"type": "math", "held_out_tasks": 4},
        "arithmetic": {"type": "arithmetic:Arithmetic"},
    }
    run = train_in_two_parts(
        Config.model_validate({**config.model_dump(), "environments": two}), tmp_path
    )
    with RunStore.open(run, read_only=True) as store:
        played = store.rows("SELECT environment, count(*) AS matches FROM matches GROUP BY 1")
        assert {row["environment"] for row in played} == {"arithmetic", "words"}
        assert sum(row["matches"] for row in played) == 4
        kinds = {row["kind"] for row in store.rows("SELECT DISTINCT kind FROM proposals")}
        assert kinds > {"math"}
        names = {row["name"] for row in store.rows("SELECT DISTINCT name FROM metrics")}
        assert {"coverage/arithmetic", "coverage/words", "disputed"} <= names
        keys = {
            row["id"]
            for row in store.rows("SELECT id, payload FROM tasks WHERE kind = 'math'")
            if DISPUTED in row["payload"]
        }
        attempts = store.rows("SELECT task_id, verdict, reward FROM rollouts WHERE kind = 'math'")
        disputed = [row for row in attempts if row["task_id"] in keys]
        assert len(keys) == 1
        assert {(row["verdict"], row["reward"]) for row in disputed} == {("wrong", None)}
        paid = store.rows("SELECT task_id, reward FROM proposals WHERE task_id IS NOT NULL")
        assert {row["reward"] for row in paid if row["task_id"] in keys} == {0.0}
        assert len(disputed) == 4
    assert "Operations of the program" in Path(write_report(run)).read_text(encoding="utf-8")
