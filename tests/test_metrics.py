"""Names and units of metrics: those of steps, the page, files."""

import csv
import json
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from redqueen.cli import main
from redqueen.metrics import METRICS, metrics_page
from redqueen.report.curves import csv_text, json_text, parquet_bytes, step_table
from redqueen.store import RunStore
from tests.trainers import Keep, Memory, toy_trainer

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of a toy world."""
    directory = tmp_path_factory.mktemp("metrics") / "run"
    keep = Keep()
    trainer = toy_trainer(Memory())
    trainer.callbacks.callbacks = (keep,)
    with trainer:
        trainer.run()
    with RunStore.create(directory, trainer.config, {}) as store:
        for record in keep.records:
            store.write_step(record)
    return directory


def table_of(run: Path) -> dict[int, dict[str, float]]:
    with RunStore.open(run, read_only=True) as store:
        return step_table(store)


def test_every_name_of_a_step_has_a_line(run: Path) -> None:
    table = table_of(run)
    assert list(table) == [1, 2]
    names = {name for row in table.values() for name in row}
    assert {"solve_rate", "seconds/learn", "member/1/mu", "coverage/even"} & names
    assert [name for name in names if not any(m.fits(name) for m in METRICS)] == []


def test_no_name_has_two_lines() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for name in names:
        concrete = name.replace("<", "").replace(">", "")
        assert [metric.name for metric in METRICS if metric.fits(concrete)] == [name]


def test_the_page_is_made_from_the_names() -> None:
    assert PAGE.read_text(encoding="utf-8") == metrics_page()


def read_csv(text: str) -> dict[int, dict[str, float]]:
    rows = csv.DictReader(StringIO(text))
    return {
        int(row["step"]): {k: float(v) for k, v in row.items() if k != "step" and v} for row in rows
    }


def read_rows(rows: list[dict[str, Any]]) -> dict[int, dict[str, float]]:
    return {row.pop("step"): {k: v for k, v in row.items() if v is not None} for row in rows}


def test_files_read_back_are_the_table(run: Path) -> None:
    table = table_of(run)
    del table[1]["solve_rate"]  # what a step did not measure is missing
    assert read_csv(csv_text(table)) == table
    assert read_rows(json.loads(json_text(table))) == table
    assert read_rows(parquet.read_table(BytesIO(parquet_bytes(table))).to_pylist()) == table


def test_what_is_no_finite_number_is_null_in_json() -> None:
    text = json_text({1: {"loss": float("inf"), "norm": float("nan"), "rate": 0.5}})
    assert json.loads(text) == [{"step": 1, "loss": None, "norm": None, "rate": 0.5}]
    assert "Infinity" not in text


def test_the_command(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = table_of(run)
    assert main(["metrics", str(run)]) == 0
    assert read_csv(capsys.readouterr().out) == table
    assert main(["metrics", str(run), "--parquet", "--out", str(tmp_path / "m.parquet")]) == 0
    assert read_rows(parquet.read_table(tmp_path / "m.parquet").to_pylist()) == table
    assert main(["metrics"]) == 0
    assert capsys.readouterr().out == metrics_page()
    assert main(["metrics", str(run), "--parquet"]) == 2
    assert "--out metrics.parquet" in capsys.readouterr().err
