"""Each environment of the package in a whole run: trains, resumes, reports, is verified."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from redqueen import build
from redqueen.benchmarks import measure, subjects_of, tasks_of_suite
from redqueen.config import Config
from redqueen.open_run import open_run
from redqueen.report import write_report
from redqueen.store import EvaluationStore, RunStore
from redqueen.verify import verify_run

WORLDS: Mapping[str, tuple[dict[str, Any], str]] = {
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
    run, whole = tmp_path / "run", tmp_path / "whole"
    with build.start(Config.model_validate(values), run) as trainer:
        assert not trainer.run(should_stop=lambda: trainer.step == 1)
    with build.resume(run) as trainer:
        assert trainer.run()
    with build.start(Config.model_validate(values), whole) as trainer:
        assert trainer.run()
    for part in ("adapters", "optimizer"):
        file = f"checkpoints/step-000002/{part}.safetensors"
        assert (run / file).read_bytes() == (whole / file).read_bytes()
    opened = open_run(run)
    with (
        build.open_environments(opened.config) as environments,
        build.open_engine(opened.config, opened.model) as engine,
        EvaluationStore.open(run) as store,
    ):
        engine.sync(range(4), opened.model.adapters, opened.step)
        tasks = tasks_of_suite(environments, "held-out", 4, opened.config.eval.seed)
        measure(
            store, engine, environments, "held-out", tasks, subjects_of(opened.population),
            step=opened.step, samples=1, max_new_tokens=16, seed=1,
        )  # fmt: skip
        verified = verify_run(opened, environments, None, lambda done, total: None)
    assert verified.agrees, verified
    with RunStore.open(run, read_only=True) as store:
        outcomes = store.load_outcomes()
        assert {None} < {item.reason for item in outcomes}  # tasks, and something rejected
        assert store.suites() == ["held-out"]
    assert measured in Path(write_report(run)).read_text(encoding="utf-8")
