"""How far a run is: by its database and by what it last said."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from made_up_run import fabricate

from redqueen.report.progress import progress_text
from redqueen.store import RunStore
from redqueen.store.now import Now, read_now, write_now


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunStore]:
    with fabricate(tmp_path, 2, evaluated=False, steps_planned=6) as store:
        yield store


def test_the_phase_that_goes_on_and_the_time_to_the_end(run: RunStore) -> None:
    written = run.last_written()
    assert written is not None
    clock = written.timestamp() + 3
    each = sum(time.seconds for time in run.load_phases()) / 2
    write_now(run.directory, Now(3, "solve", clock - 2, clock - 1, 120, 256))
    text = progress_text(run, clock)
    left = round(4 * each - 3)
    assert text == f"Step 3 of 6: solve since 2.0 s, 120 of 256 texts. {left} s to the end."
    assert "Nothing was heard for 1 h 0 min" in progress_text(run, clock + 3599)
    assert "hangs in solve" in progress_text(run, clock + 3599)


def test_a_run_that_says_nothing(run: RunStore) -> None:
    written = run.last_written()
    assert written is not None
    assert progress_text(run, written.timestamp() + 30).startswith("Step 2 of 6 ended 30 s ago; ")
    write_now(run.directory, Now(3, "stopped", 1.0, 1.0))
    assert progress_text(run).endswith("The run was stopped.")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"step": 1}', '{"step":"x","phase":1,"since":1,'
                                  '"at":null}', "\x00"])  # fmt: skip
def test_a_file_that_makes_no_sense_is_none(tmp_path: Path, text: str) -> None:
    assert read_now(tmp_path) is None
    (tmp_path / "now.json").write_text(text)
    assert read_now(tmp_path) is None


def test_a_run_without_a_step_and_one_that_is_done(tmp_path: Path) -> None:
    with fabricate(tmp_path / "new", 0, evaluated=False, steps_planned=6) as store:
        assert progress_text(store) == "No step of 6 is done yet."
        write_now(store.directory, Now(1, "propose", 100.0, 100.0))
        assert progress_text(store, 104.0) == "Step 1 of 6: propose since 4.0 s."
    with fabricate(tmp_path / "old", 3, evaluated=False) as store:
        assert progress_text(store).startswith("All 3 steps are done; the last one ended ")
