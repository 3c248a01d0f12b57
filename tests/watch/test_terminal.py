"""`redqueen watch --plain`: fits 80 columns, follows the run, says what is missing."""

from io import StringIO
from pathlib import Path

from made_up_run import Fabricator, fabricate
from rich.console import Console

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


def test_it_follows(tmp_path: Path) -> None:
    console = Console(file=StringIO(), width=80, highlight=False)
    view = PlainView(tmp_path / "run")

    def text() -> str:
        with console.capture() as captured:
            console.print(view.draw())
        return " ".join(captured.get().split())

    assert "holds no run" in text()
    with fabricate(tmp_path / "run", 2, evaluated=False, steps_planned=9) as store:
        assert "Step 2 of 9" in text()
        store.write_step(Fabricator(store.config(), 1).step(3))
        assert "Step 3 of 9" in text()
        assert "step 3, solved" in text()
    view.close()
