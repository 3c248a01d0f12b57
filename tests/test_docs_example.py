"""The environment of docs/environments.md, outside the package: trains, reports, resumes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from redqueen.config import Config
from redqueen.report import write_report
from redqueen.store import RunStore
from tests.whole_runs import measure_and_verify, train_in_two_parts

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


@pytest.mark.slow
def test_the_example_trains_with_teachers_reports_and_resumes(
    arithmetic: Config, tmp_path: Path
) -> None:
    run = train_in_two_parts(arithmetic, tmp_path)
    measure_and_verify(run)
    with RunStore.open(run, read_only=True) as store:
        reasons = {count.reason for count in store.load_outcomes()}
        assert None in reasons  # valid tasks
        assert store.suites() == ["held-out"]
    page = Path(write_report(run)).read_text(encoding="utf-8")
    assert "Digits of the answer" in page
    assert "product" in page
