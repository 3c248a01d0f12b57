"""Coverage of shuffled tasks against shuffling them."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from redqueen.curriculum import Archive
from redqueen.environments.base import Measure
from redqueen.report.rarefaction import cells_of, expected_cells, shuffled_coverage
from redqueen.store import feature_table
from redqueen.types import Task

EDGES = (2.0, 4.0, 6.0)
MEASURES = [{"name": "size", "title": "Size", "edges": list(EDGES)}]


@pytest.mark.parametrize("drawn", [0, 1, 7, 23, 30])
def test_expected_cells_are_the_mean_over_random_orders(drawn: int) -> None:
    cells = np.repeat(np.arange(6), [1, 1, 2, 5, 9, 12])
    rng = np.random.default_rng(0)
    orders = [rng.permutation(cells)[:drawn] for _ in range(4000)]
    mean = np.mean([len(set(order.tolist()) - {5}) for order in orders])
    counts_C = np.array([float(Counter(cells.tolist())[cell]) for cell in range(5)])
    assert expected_cells(counts_C, len(cells), drawn) == pytest.approx(mean, abs=0.06)


def test_a_cell_is_that_of_the_archive() -> None:
    world: Any = SimpleNamespace(kinds=("a",), measures=(Measure("size", "Size", EDGES),))
    archive = Archive(100, world)
    for size in (0.0, 2.0, 3.0, 6.0, 9.0):
        task = Task(str(size), "code", "a", {}, {"size": size})
        cell = archive.cell(task)
        table = feature_table(["size"], [(1, "a", task.features)])
        assert cells_of(table, MEASURES) == [(cell.kind, *cell.bins)]
    bare = feature_table(["size"], [(1, "a", {})])  # as if the feature were 0
    assert cells_of(bare, MEASURES) == [("a", 0)]


def test_the_curve_ends_where_the_run_ends_and_is_above_one_that_moves_on() -> None:
    sizes = [1.0] * 20 + [3.0] * 20 + [5.0] * 20 + [7.0] * 20
    posed = [(step, "a", {"size": size}) for step, size in enumerate(sizes, 1)]
    seed = feature_table(["size"], [(0, "a", {"size": 0.0})])
    seen: set[Any] = set(cells_of(seed, MEASURES))
    course = []
    for step, kind, features in posed:
        seen.update(cells_of(feature_table(["size"], [(step, kind, features)]), MEASURES))
        course.append((step, len(seen) / 4))
    run: Any = SimpleNamespace(
        meta=lambda key: {"code": {"measures": MEASURES}},
        load_metrics=lambda name: course,
        load_feature_table=lambda names: feature_table(names, posed),
        load_seed_features=lambda names: seed,
        remember=lambda key, make: make(),
    )
    shuffled = dict(shuffled_coverage(run))
    assert shuffled[80] == pytest.approx(course[-1][1]) == 1.0
    assert all(shuffled[step] >= value for step, value in course)
    assert shuffled[40] > 0.95 > course[39][1] == 0.5
