"""Coverage beside its null: the same tasks in random order.

Coverage grows whoever writes the tasks, fast at first and then slowly, since few cells are left.
Only what differs from the curve of the same tasks, shuffled, says that teachers moved on.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
from scipy.special import gammaln

from redqueen.report.statistics import Floats
from redqueen.store import RunReader

Points = list[tuple[int, float]]


def expected_cells(counts_C: Floats, total: int, drawn: int) -> float:
    """Return how many of C cells are filled, on average, by `drawn` of `total` tasks.

    `counts_C` has the tasks of each cell; tasks of no such cell only count in `total`. Sum over
    cells of 1 - C(N - n_c, n) / C(N, n): the rarefaction curve (Hurlbert, Ecology 1971).
    """
    others_C = total - counts_C
    hit_C = others_C < drawn  # for certain
    rest_C = np.where(hit_C, drawn, others_C)
    missed_C = np.exp(
        gammaln(rest_C + 1) - gammaln(rest_C - drawn + 1)
        - gammaln(total + 1) + gammaln(total - drawn + 1)
    )  # fmt: skip
    return float(np.where(hit_C, 1.0, 1.0 - missed_C).sum())


def cell_of(kind: str, features: Mapping[str, float], measures: Iterable[Mapping[str, Any]]) -> Any:
    """Return the archive cell of a task, as `redqueen.curriculum.Archive.cell` has it."""
    axes = [
        sum(features.get(axis["name"], 0.0) >= edge for edge in axis["edges"]) for axis in measures
    ]
    return kind, *axes


def shuffled_coverage(run: RunReader) -> Points:
    """Return the coverage that the run's tasks, in random order, would have after each step.

    Empty with several environments, whose archives are apart, and without tasks.
    """
    environments = [*(run.meta("environments") or {}).values()]
    course = dict(run.load_metrics("coverage"))
    if len(environments) != 1 or not course:
        return []
    measures = environments[0]["measures"]
    seeds: set[Hashable] = {cell_of(*item, measures) for item in run.load_seed_features()}
    posed = [(step, cell_of(kind, f, measures)) for step, kind, f in run.load_features()]
    cells = Counter(cell for _, cell in posed)
    last = max(course)
    whole = len(seeds | cells.keys()) / course[last]
    counts_C = np.array([float(n) for cell, n in cells.items() if cell not in seeds])
    by_step = Counter(step for step, _ in posed)
    points, drawn = [], 0
    for step in sorted(course):
        drawn += by_step[step]
        points.append((step, (len(seeds) + expected_cells(counts_C, len(posed), drawn)) / whole))
    return points
