"""A run's metrics as a table: a row for each step, a column for each metric."""

import csv
import json
from collections.abc import Mapping
from io import StringIO
from math import isfinite
from typing import Any

from redqueen.errors import ConfigError
from redqueen.store import RunReader

Table = dict[int, dict[str, float]]
"""Step -> metric -> value; what a step did not measure is missing."""


def step_table(run: RunReader) -> Table:
    """Return all metrics of a run, times of phases and ratings among them (redqueen.metrics)."""
    table: Table = {step: {} for step in run.steps()}
    for row in run.rows("SELECT step, name, value FROM metrics ORDER BY step, name"):
        table[row["step"]][row["name"]] = row["value"]
    for time in (*run.load_phases(), *run.load_phases(background=True)):
        table[time.step][f"seconds/{time.phase}"] = time.seconds
    for point in run.load_ratings():
        if point.step in table:
            table[point.step] |= {
                f"member/{point.member}/mu": point.mu,
                f"member/{point.member}/sigma": point.sigma,
            }
    return table


def columns(table: Table) -> list[str]:
    """Return the names of all metrics, sorted."""
    return sorted({name for row in table.values() for name in row})


def csv_text(table: Table) -> str:
    """Return comma-separated values with a line of names; what is missing is empty."""
    text = StringIO()
    writer = csv.DictWriter(text, ["step", *columns(table)], lineterminator="\n")
    writer.writeheader()
    writer.writerows({"step": step, **row} for step, row in table.items())
    return text.getvalue()


def json_text(table: Table) -> str:
    """Return a JSON list with an object for each step; what is no finite number is null."""
    rows = [
        {
            "step": step,
            **{name: v if v is not None and isfinite(v) else None for name, v in row.items()},
        }
        for step, row in table.items()
    ]
    return json.dumps(rows, allow_nan=False) + "\n"


def parquet_bytes(table: Table) -> bytes:
    """Return an Apache Parquet file; what is missing is null.

    Raises:
        ConfigError: the extra `parquet` is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise ConfigError(
            "Parquet files need pyarrow; install it with: pip install 'redqueen[parquet]'"
        ) from None
    data: Mapping[str, Any] = {
        "step": list(table),
        **{name: [row.get(name) for row in table.values()] for name in columns(table)},
    }
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.table(data), sink)
    return bytes(sink.getvalue())
