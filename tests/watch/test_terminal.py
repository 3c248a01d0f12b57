"""`redqueen watch --plain`: fits 80 columns, follows the run, says what is missing."""

import json
import sqlite3
import time
from contextlib import closing
from io import StringIO
from pathlib import Path

from made_up_run import Fabricator, fabricate
from rich.console import Console

from redqueen.report import print_results
from redqueen.store import RunStore
from redqueen.store.now import Now, write_now
from redqueen.watch import watch_plain
from redqueen.watch.terminal import PlainView


def test_it_prints_all_runs_once_without_a_terminal(tmp_path: Path) -> None:
    fabricate(tmp_path / "run", 4, tasks=30).close()
    console = Console(file=StringIO(), width=80, highlight=False)
    watch_plain([tmp_path / "run", tmp_path / "later"], console)
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert "All 4 steps are done" in text
    assert "answers in the wanted format" in text
    assert "ratings: #" in text
    assert "elicited" in text or "held-out tasks when sampled" in " ".join(text.split())
    assert "holds no run" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80


def drawn(view: PlainView) -> str:
    """Return what a view draws on 80 columns, its spaces and line ends as single spaces."""
    console = Console(file=StringIO(), width=80, highlight=False)
    with console.capture() as captured:
        console.print(view.draw())
    return " ".join(captured.get().split())


def test_it_follows(tmp_path: Path) -> None:
    view = PlainView(tmp_path / "run")
    assert "holds no run" in drawn(view)
    with fabricate(tmp_path / "run", 2, evaluated=False, steps_planned=9) as store:
        assert "Step 2 of 9" in drawn(view)
        store.write_step(Fabricator(store.config(), 1).step(3))
        assert "Step 3 of 9" in drawn(view)
        assert "step 3, solved" in drawn(view)
    view.close()


def test_another_run_in_its_place_is_seen(tmp_path: Path) -> None:
    view = PlainView(tmp_path / "run")
    fabricate(tmp_path / "run", 2, evaluated=False, steps_planned=9).close()
    assert "Step 2 of 9" in drawn(view)
    (tmp_path / "run").rename(tmp_path / "before")
    assert "holds no run" in drawn(view)
    fabricate(tmp_path / "run", 2, evaluated=False, steps_planned=7).close()
    assert "Step 2 of 7" in drawn(view)
    fabricate(tmp_path / "other", 3, evaluated=False, steps_planned=5).close()
    (tmp_path / "other" / "run.db").replace(tmp_path / "run" / "run.db")
    assert "Step 3 of 5" in drawn(view)
    view.close()


def test_hostile_text_steers_no_terminal(tmp_path: Path) -> None:
    evil = "\x1b]0;title\x07\x9b2J\u202e[/b][red]"
    fabricate(tmp_path / "run", 3, steps_planned=9).close()
    write_now(tmp_path / "run", Now(4, evil, time.time(), time.time()))
    with closing(sqlite3.connect(tmp_path / "run" / "run.db")) as db, db:
        db.execute("UPDATE rollouts SET text = ?", (evil,))
        db.execute("UPDATE tasks SET kind = ?, payload = ?", (evil, json.dumps({"program": evil})))
        db.execute("UPDATE evaluations SET suite = ?", (evil,))
    console = Console(file=StringIO(), width=200, highlight=False)
    watch_plain([tmp_path / "run", tmp_path / "none\x1b[2J"], console)
    with RunStore.open(tmp_path / "run", read_only=True) as run:
        print_results(run, console)
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert text.count("\\x1b]0;title\\x07\\x9b2J\\u202e[/b][red]") >= 5
    assert not {c for c in text if not c.isprintable()} - {"\n"}
