"""The environment of docs/environments.md, outside the package: trains, reports, resumes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from redqueen import build
from redqueen.benchmarks import measure, subjects_of, tasks_of_suite
from redqueen.config import Config
from redqueen.open_run import open_run
from redqueen.report import write_report
from redqueen.store import EvaluationStore, RunStore
from redqueen.verify import verify_run

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "arithmetic.py"


@pytest.fixture
def arithmetic(tiny: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.syspath_prepend(str(EXAMPLE.parent))
    config = tiny(steps=2, engine={"type": "tests.scripted:Sums"}, eval={"tasks": 4})
    values = config.model_dump()
    values["environments"] = {"arithmetic": {"type": "arithmetic:Arithmetic"}}
    return Config.model_validate(values)


def test_the_example_is_short() -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 120


def test_the_example_trains_with_teachers_reports_and_resumes(
    arithmetic: Config, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with build.start(arithmetic, run) as trainer:
        assert not trainer.run(should_stop=lambda: trainer.step == 1)
    with build.resume(run) as trainer:
        assert trainer.run()
    whole = tmp_path / "whole"
    with build.start(arithmetic, whole) as trainer:
        assert trainer.run()
    for name in ("adapters", "optimizer"):
        file = f"checkpoints/step-000002/{name}.safetensors"
        assert (run / file).read_bytes() == (whole / file).read_bytes()
    opened = open_run(run)
    with (
        build.open_environments(opened.config) as environments,
        build.open_engine(opened.config, opened.model) as engine,
        EvaluationStore.open(run) as store,
    ):
        engine.sync(range(4), opened.model.adapters, opened.step)
        tasks = tasks_of_suite(environments, "held-out", 4, opened.config.eval.seed)
        subjects = subjects_of(opened.population)
        measure(
            store, engine, environments, "held-out", tasks, subjects,
            step=opened.step, samples=1, max_new_tokens=16, seed=1,
        )  # fmt: skip
        verified = verify_run(opened, environments, None, lambda done, total: None)
    assert verified.agrees, verified
    with RunStore.open(run, read_only=True) as store:
        reasons = {count.reason for count in store.load_outcomes()}
        assert None in reasons  # valid tasks
        assert store.suites() == ["held-out"]
    page = Path(write_report(run)).read_text(encoding="utf-8")
    assert "Digits of the answer" in page
    assert "product" in page
