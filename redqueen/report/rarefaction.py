"""Coverage beside its null: the same tasks in random order.

Coverage grows whoever writes the tasks, fast at first and then slowly, since few cells are left.
Only what differs from the curve of the same tasks, shuffled, says that teachers moved on.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import gammaln

from redqueen.report.statistics import Floats
from redqueen.store import FeatureTable, RunReader

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


def cells_of(tasks: FeatureTable, measures: Sequence[Mapping[str, Any]]) -> list[Hashable]:
    """Return the archive cell of each task, as `redqueen.curriculum.Archive.cell` has it.

    `tasks` has the measures' features, in their order.
    """
    places = [
        np.searchsorted(measure["edges"], np.nan_to_num(tasks.values_nF[:, column]), side="right")
        for column, measure in enumerate(measures)
    ]
    return list(zip(tasks.kinds_n, *(place_n.tolist() for place_n in places), strict=True))


def shuffled_coverage(run: RunReader, most: int = 150) -> Points:
    """Return the coverage that the run's tasks, in random order, would have after `most` steps at
    the most, the first and the last among them.

    Empty with several environments, whose archives are apart, and without tasks.
    """
    environments = [*(run.meta("environments") or {}).values()]
    course = run.load_metrics("coverage")
    if len(environments) != 1 or not course or not 0 < course[-1][1] < np.inf:
        return []
    measures = environments[0]["measures"]
    names = [measure["name"] for measure in measures]
    seeds = run.remember("seeds", lambda: set(cells_of(run.load_seed_features(names), measures)))
    posed = run.load_feature_table(names)
    cells = Counter(cells_of(posed, measures))
    share = course[-1][1]
    whole = len(seeds | cells.keys()) / share
    counts_C = np.array([float(n) for cell, n in cells.items() if cell not in seeds])
    points = []
    for place in sorted(set(np.linspace(0, len(course) - 1, most).round().astype(int).tolist())):
        step = course[place][0]
        drawn = int(np.searchsorted(posed.steps_n, step, side="right"))
        filled = len(seeds) + expected_cells(counts_C, len(posed.steps_n), drawn)
        points.append((step, filled / whole))
    return points
