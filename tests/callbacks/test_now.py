"""The file that says which phase goes on."""

from pathlib import Path
from typing import Any

import pytest

from redqueen.callbacks.base import RunInfo
from redqueen.callbacks.now import NowWriter
from redqueen.store.now import Now, read_now


def test_it_says_the_phase_and_seldom_the_texts(tmp_path: Path) -> None:
    clock = iter([10.0, 10.0, 10.5, 12.0, 12.0, 20.0, 20.0])
    config: Any = None
    writer = NowWriter(RunInfo(tmp_path, config, 4), lambda: next(clock))
    assert read_now(tmp_path) is None
    writer.on_phase(5, "solve")
    assert read_now(tmp_path) == Now(5, "solve", 10.0, 10.0)
    writer.on_texts("solve", 1, 9)  # half a second later: not yet
    assert read_now(tmp_path) == Now(5, "solve", 10.0, 10.0)
    writer.on_texts("solve", 7, 9)
    assert read_now(tmp_path) == Now(5, "solve", 10.0, 12.0, 7, 9)
    writer.on_end(False)
    assert read_now(tmp_path) == Now(5, "stopped", 20.0, 20.0)
    assert [path.name for path in tmp_path.iterdir()] == ["now.json"]


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "null", "[" * 100_000,
        '{"step": NaN, "phase": "solve", "since": 1, "at": 2}',
        '{"step": 1, "phase": "solve", "since": 1, "at": 1e999}',
        '{"step": 1, "phase": "solve", "since": %s, "at": 2}' % ("9" * 400),
        '{"step": 1, "phase": ["solve"], "since": 1, "at": 2}',
        '{"step": "1", "phase": "solve", "since": 1, "at": 2}',
    ],
)  # fmt: skip
def test_nonsense_is_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "now.json").write_text(text, encoding="utf-8")
    assert read_now(tmp_path) is None
