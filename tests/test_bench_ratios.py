"""What benchmarks say of their measurements."""

import itertools
import json
from pathlib import Path

import pytest

from bench.ratios import in_turns, ratio, table, write


def test_works_take_turns_and_the_first_round_warms_up() -> None:
    seen: list[str] = []
    clock = itertools.count()
    seconds = in_turns(
        {"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}, 2, lambda: next(clock)
    )
    assert seen == ["b", "a", "a", "b", "b", "a"]
    assert seconds == {"a": [1, 1], "b": [1, 1]}


def test_rounds_end_in_time() -> None:
    clock = itertools.count()
    seconds = in_turns({"a": int, "b": int}, 5, lambda: next(clock), most_seconds=12)
    assert seconds == {"a": [1, 1], "b": [1, 1]}
    assert in_turns({"a": int}, 5, lambda: next(clock), most_seconds=0) == {"a": [1]}


@pytest.mark.parametrize(
    ("better", "bar", "held"),
    [("lower", 2.0, True), ("lower", 1.9, False), ("higher", 2.0, True), ("higher", 2.1, False)],
)
def test_a_ratio_is_the_median_of_pairs_and_knows_its_bar(better, bar, held) -> None:
    line = ratio("work", [2.0, 6.0, 8.0], [1.0, 2.0, 8.0], better, bar)
    assert (line.value, line.low, line.high, line.repeats) == (2.0, 1.0, 3.0, 3)
    assert line.held is held
    assert ("MISSED" in table([line])) is not held


def test_the_table_fits_a_terminal_and_the_file_says_the_same(tmp_path: Path) -> None:
    lines = [
        ratio("a name that is far too long for its column", [10.0], [3.0], "higher", 2.5, "why"),
        ratio("free", [1.0], [1.0], "lower"),
    ]
    shown = table(lines).splitlines()
    assert max(map(len, shown)) <= 80
    assert "why" in shown[1]
    write(tmp_path / "sub" / "lines.json", lines)
    rows = json.loads((tmp_path / "sub" / "lines.json").read_text())
    assert [(row["value"], row["held"]) for row in rows] == [(10 / 3, True), (1.0, None)]
