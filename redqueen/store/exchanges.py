"""What a run has had of other nodes: rows and records."""

import json
import sqlite3
from collections import Counter
from dataclasses import fields
from typing import Any

from redqueen.store.connection import insert
from redqueen.store.reader import RunReader
from redqueen.types import Exchange, ForeignGroup, Verdict


def write_exchange(db: sqlite3.Connection, step: int, exchange: Exchange) -> None:
    """Write what a step had of other nodes, in place of what it had before the run was resumed."""
    db.execute("DELETE FROM exchanges WHERE step = ?", (step,))
    row = {"step": step, "epoch": exchange.epoch, "published": exchange.published}
    insert(db, "exchanges", [row | {"counts": exchange.counts}])
    names = [item.name for item in fields(ForeignGroup)]
    groups = [
        {"step": step, "idx": index} | {name: getattr(group, name) for name in names}
        for index, group in enumerate(exchange.groups)
    ]
    insert(db, "foreign_groups", groups)


def _group(row: sqlite3.Row) -> ForeignGroup:
    values: dict[str, Any] = {item.name: row[item.name] for item in fields(ForeignGroup)}
    values["verdicts"] = tuple(map(Verdict, json.loads(row["verdicts"])))
    values["partial_scores"] = tuple(json.loads(row["partial_scores"]))
    return ForeignGroup(**values)


def load_exchanges(run: RunReader, after: int = 0, last: int | None = None) -> dict[int, Exchange]:
    """Return what the steps after `after`, up to `last` (None: all), had of other nodes, by step;
    also of steps that a resumed run has yet to do again."""
    where, values = "WHERE step > ? AND step <= coalesce(?, step) ORDER BY step", (after, last)
    groups: dict[int, list[ForeignGroup]] = {}
    for row in run.rows(f"SELECT * FROM foreign_groups {where}, idx", values):
        groups.setdefault(row["step"], []).append(_group(row))
    return {
        row["step"]: Exchange(
            row["epoch"],
            row["published"],
            tuple(groups.get(row["step"], ())),
            json.loads(row["counts"]),
        )
        for row in run.rows(f"SELECT * FROM exchanges {where}", values)
    }


def load_foreign_keys(run: RunReader) -> Counter[tuple[str, int, int]]:
    """Return how often each group of another node was learnt from, by origin, epoch, number."""
    rows = run.rows("SELECT origin, epoch, number FROM foreign_groups")
    return Counter(tuple(row) for row in rows)


def load_exchange_counts(run: RunReader) -> dict[str, Counter[str]]:
    """Return what became of each author's messages over the whole run."""
    totals: dict[str, Counter[str]] = {}
    for row in run.rows("SELECT counts FROM exchanges ORDER BY step"):
        for author, counts in json.loads(row["counts"]).items():
            totals.setdefault(author, Counter()).update(counts)
    return totals
