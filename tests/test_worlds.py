"""Each environment of the package in a whole run: trains, resumes, reports, is verified."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from redqueen.config import Config
from redqueen.report import write_report
from redqueen.store import RunStore
from tests.whole_runs import measure_and_verify, train_in_two_parts

WORLDS: Mapping[str, tuple[dict[str, Any], str]] = {
    "logic": ({"held_out_tasks": 4}, "Operations in the constraints"),
    "proof": (
        {"held_out_tasks": 4, "theories": ["propositional"]},
        "Axioms and rules in the proof",
    ),
}
"""Name -> keys, and what the report says of its tasks."""


@pytest.mark.parametrize("name", WORLDS)
def test_it_trains_with_teachers_resumes_reports_and_is_verified(
    name: str, tiny: Callable[..., Config], tmp_path: Path
) -> None:
    keys, measured = WORLDS[name]
    config = tiny(steps=2, engine={"type": f"tests.scripted:{name.title()}"}, eval={"tasks": 4})
    values = {**config.model_dump(), "environments": {"mine": {"type": name, **keys}}}
    run = train_in_two_parts(Config.model_validate(values), tmp_path)
    measure_and_verify(run)
    with RunStore.open(run, read_only=True) as store:
        outcomes = store.load_outcomes()
        assert {None} < {item.reason for item in outcomes}  # tasks, and something rejected
        assert store.suites() == ["held-out"]
    assert measured in Path(write_report(run)).read_text(encoding="utf-8")
