"""Work beside the loop: in order, complete, and with its errors."""

import threading
import time
from collections.abc import Sequence
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redqueen.background import Background


@settings(deadline=None)
@given(st.permutations(range(12)), st.lists(st.integers(1, 5)), st.integers(1, 13))
def test_results_come_by_number_and_neighbours_stay_together(
    order: list[int], parts: list[int], size: int
) -> None:
    seen: list[list[int]] = []

    def work(items: Sequence[str]) -> list[str]:
        seen.append([int(item) for item in items])
        return [item * 2 for item in items]

    with closing(Background("test")) as beside:
        batches = beside.batches(work, size)
        left = list(order)
        for count in [*parts, len(order)]:
            batches.add({number: str(number) for number in left[:count]})
            left = left[count:]
        assert batches.results() == [str(number) * 2 for number in range(12)]
    assert all(numbers == sorted(numbers) for numbers in seen)
    assert all(len(numbers) >= size for numbers in seen[:-1])


def test_the_caller_goes_on_and_the_first_error_is_raised_when_results_are_asked_for() -> None:
    free = threading.Event()

    def work(items: Sequence[int]) -> list[int]:
        assert free.wait(10)
        if 2 in items:
            raise ValueError("two")
        return list(items)

    with closing(Background("test")) as beside:
        good, bad = beside.batches(work, 1), beside.batches(work, 1)
        good.add({0: 1})
        bad.add({0: 2})
        bad.add({1: 3})
        free.set()
        assert good.results() == [1]
        with pytest.raises(ValueError, match="two"):
            bad.results()
        assert beside.batches(work, 4).results() == []


def test_what_is_begun_is_done_in_turn_and_its_error_stops_the_next() -> None:
    done: list[str] = []

    def slow() -> None:
        time.sleep(0.05)
        done.append("slow")

    def fail() -> None:
        raise OSError("disk full")

    with closing(Background("test")) as beside:
        beside.begin(slow)
        assert done == []
        beside.begin(fail)
        assert done == ["slow"]
        with pytest.raises(OSError, match="disk full"):
            beside.begin(slow)
        beside.finish()
        beside.begin(slow)
    assert done == ["slow", "slow"]
