"""The stream for students without teachers."""

from collections import Counter

import pytest

from redqueen.curriculum import HeldOut, draw_stream
from redqueen.errors import ConfigError
from redqueen.types import Task
from tests.code_cases import make_code
from tests.toy_environments import Listed, Sums, TenSums, sum_task

NOTHING = HeldOut(Sums(), seed=0)


def test_held_out_tasks_are_left_out_and_the_others_keep_their_order() -> None:
    environment = TenSums()
    held_out = HeldOut(environment, seed=0)
    source = Listed([sum_task(n, 1) for n in range(10)])
    tasks = draw_stream("sums", source, 5, 7, held_out, 3)
    assert len(tasks) == 5
    assert all(task.step == 3 for task in tasks)
    expected = [task.id for task in source.tasks(10, 7) if not held_out.holds(task)]
    assert [task.id for task in tasks] == expected[:5]
    assert draw_stream("sums", source, 5, 7, held_out, 3) == tasks


def test_a_small_source_gives_what_it_has_and_is_not_asked_for_ever() -> None:
    held_out = HeldOut(TenSums(), seed=0)
    source = Listed([sum_task(n, 1) for n in range(10)])
    assert len(draw_stream("sums", source, 8, 0, held_out, 1)) == 6
    assert source.asked == [8, 16]


def test_nothing_new_is_a_clear_error() -> None:
    held_out = HeldOut(TenSums(), seed=0)
    with pytest.raises(ConfigError, match=r"environments\.sums has no task that is not held out"):
        draw_stream("sums", Listed([sum_task(0, 1)]), 2, 0, held_out, 1)
    with pytest.raises(ConfigError, match=r"environments\.sums has no stream"):
        draw_stream("sums", None, 2, 0, held_out, 1)

    class Endless:
        """Its tasks never end, and all of them are held out."""

        def tasks(self, count: int, seed: int) -> list[Task]:
            return [sum_task(n % 4, 1) for n in range(count)]

    with pytest.raises(ConfigError, match="has no task that is not held out"):
        draw_stream("sums", Endless(), 2, 0, held_out, 1)


def test_the_stream_of_code_spreads_over_kinds_and_bands() -> None:
    code = make_code(None)
    tasks = [
        t
        for seed in range(5)
        for t in draw_stream("code", code.sources["stream"], 12, seed, NOTHING, 1)
    ]
    assert Counter(task.kind for task in tasks) == dict.fromkeys(code.kinds, 20)
    bands = {
        kind: Counter(t.features["band"] for t in tasks if t.kind == kind) for kind in code.kinds
    }
    assert set(bands["code_o"]) == {1, 2, 3, 4, 5}
    assert set(bands["code_f"]) == {1, 2, 3}
    begin = {
        draw_stream("code", code.sources["stream"], 1, seed, NOTHING, 1)[0].kind
        for seed in range(20)
    }
    assert begin == set(code.kinds)


def test_bands_of_the_stream_can_be_chosen() -> None:
    code = make_code(None, kinds=("code_o",), stream_bands=(2, 5))
    tasks = code.sources["stream"].tasks(10, 0)
    assert Counter(task.features["band"] for task in tasks) == {2: 5, 5: 5}
    assert code.sources["stream"].tasks(4, 0) == tasks[:4]
    with pytest.raises(ConfigError, match="no band of code_f tasks, whose bands are 1, 2, 3"):
        make_code(None, stream_bands=(5,))
