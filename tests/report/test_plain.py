"""The values that scripts get are those of the tables and the panel."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from redqueen.cli import main
from redqueen.config import build_config
from redqueen.report import result_values, status_values
from redqueen.report.health import health
from redqueen.report.queries import results_of
from redqueen.store import RunStore
from tests.made_up_run import DESCRIPTIONS, Fabricator, evaluation, suite_task

STEPS = 4


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("plain") / "run"
    config = build_config({"steps": STEPS})
    maker = Fabricator(config, 0)
    with RunStore.create(directory, config, DESCRIPTIONS) as store:
        for step in range(1, STEPS + 1):
            store.write_step(maker.step(step, 1.2))
        suite = [suite_task(number) for number in range(30)]
        store.write_evaluation(evaluation(maker, 30, 2), suite, step=STEPS)
    return directory


def test_status(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(run), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    with RunStore.open(run, read_only=True) as store:
        assert printed == status_values(store)
        assert printed["signs"] == [asdict(sign) for sign in health(store)]
    assert (printed["step"], printed["steps"]) == (STEPS, STEPS)


def test_results(run: Path) -> None:
    with RunStore.open(run, read_only=True) as store:
        rows, (result,) = result_values(store), results_of(store)
    assert json.loads(json.dumps(rows)) == rows
    assert len(rows) == sum(len(line.rates) for line in result.standings)
    for row in rows:
        (line,) = [
            s for s in result.standings if (s.label, s.member) == (row["who"], row["member"])
        ]
        key = (row["mode"], row["kind"])
        assert row["rate"] == asdict(line.rates[key])
        gain = line.gains.get(key)
        assert row["over_base"] == (None if gain is None else asdict(gain))
    assert any(row["over_base"] for row in rows)
