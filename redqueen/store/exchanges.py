"""What a run has had of other nodes: rows and records."""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from redqueen.store.connection import insert
from redqueen.store.reader import RunReader
from redqueen.store.rows import decoded
from redqueen.types import Exchange, ForeignAdapter, ForeignGroup, Verdict


def write_exchange(db: sqlite3.Connection, step: int, exchange: Exchange) -> None:
    """Write what a step had of other nodes, in place of what it had before the run was resumed."""
    db.execute("DELETE FROM exchanges WHERE step = ?", (step,))
    row = {"step": step, "epoch": exchange.epoch, "published": exchange.published}
    insert(db, "exchanges", [row | {"counts": exchange.counts}])
    insert(db, "foreign_groups", _rows(step, exchange.groups))
    insert(db, "foreign_adapters", _rows(step, exchange.adapters))


def _rows(step: int, records: Sequence[ForeignGroup | ForeignAdapter]) -> list[dict[str, Any]]:
    return [
        {"step": step, "idx": index} | {f.name: getattr(record, f.name) for f in fields(record)}
        for index, record in enumerate(records)
    ]


def _adapter(row: sqlite3.Row) -> ForeignAdapter:
    return ForeignAdapter(**{item.name: row[item.name] for item in fields(ForeignAdapter)})


def _group(row: sqlite3.Row) -> ForeignGroup:
    values: dict[str, Any] = {item.name: row[item.name] for item in fields(ForeignGroup)}
    values["verdicts"] = tuple(map(Verdict, decoded(row["verdicts"])))
    values["partial_scores"] = tuple(decoded(row["partial_scores"]))
    return ForeignGroup(**values)


def load_exchanges(run: RunReader, after: int = 0, last: int | None = None) -> dict[int, Exchange]:
    """Return what the steps after `after`, up to `last` (None: all), had of other nodes, by step;
    also of steps that a resumed run has yet to do again."""
    where, values = "WHERE step > ? AND step <= coalesce(?, step) ORDER BY step", (after, last)
    groups: dict[int, list[ForeignGroup]] = {}
    for row in run.rows(f"SELECT * FROM foreign_groups {where}, idx", values):
        groups.setdefault(row["step"], []).append(_group(row))
    adapters: dict[int, list[ForeignAdapter]] = {}
    for row in run.rows(f"SELECT * FROM foreign_adapters {where}, idx", values):
        adapters.setdefault(row["step"], []).append(_adapter(row))
    return {
        row["step"]: Exchange(
            row["epoch"],
            row["published"],
            tuple(groups.get(row["step"], ())),
            decoded(row["counts"]),
            tuple(adapters.get(row["step"], ())),
        )
        for row in run.rows(f"SELECT * FROM exchanges {where}", values)
    }


def load_foreign_keys(run: RunReader) -> Counter[tuple[str, int, int]]:
    """Return how often each group of another node was learnt from, by origin, epoch, number."""
    rows = run.rows("SELECT origin, epoch, number FROM foreign_groups")
    return Counter(tuple(row) for row in rows)


def load_newest_adapters(run: RunReader) -> dict[str, tuple[int, int]]:
    """Return the epoch and number of the newest adapter of each author that was measured."""
    rows = run.rows("SELECT origin, epoch, number FROM foreign_adapters ORDER BY epoch, number")
    return {origin: (epoch, number) for origin, epoch, number in map(tuple, rows)}


def load_exchange_counts(run: RunReader) -> dict[str, Counter[str]]:
    """Return what became of each author's messages over the whole run."""
    totals: dict[str, Counter[str]] = {}
    for row in run.rows("SELECT counts FROM exchanges ORDER BY step"):
        for author, counts in decoded(row["counts"]).items():
            totals.setdefault(author, Counter()).update(counts)
    return totals
