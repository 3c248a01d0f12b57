"""The suites of the program generator, from seeds that training never uses.

`held-out` has the difficulty bands 1 to 5, as training has; `beyond` has the bands 6 and 7, which
neither the seedling's corpus nor any run draws from.
"""

from collections.abc import Sequence
from random import Random

from redqueen.environments.base import Domain
from redqueen.environments.code.generator import BANDS, BEYOND
from redqueen.rng import derive_seed
from redqueen.types import Task

SUITE = "held-out"
RESERVED = 2000
"""Tasks at the head of a suite that no run trains on, and so the most that can be measured."""


def _spread(
    domain: Domain, cells: Sequence[tuple[str, int]], count: int, seed: int, stream: str
) -> list[Task]:
    """`count` distinct tasks, the (kind, band) cells in turn, each from a seed of its own."""
    tasks: dict[str, Task] = {}
    for index in range(count):
        kind, band = cells[index % len(cells)]
        rng = Random(derive_seed(seed, stream, index))
        task = domain.generated_task(kind, band, rng)
        while task.id in tasks:
            task = domain.generated_task(kind, band, rng)
        tasks[task.id] = task
    return list(tasks.values())


def heldout_tasks(domain: Domain, count: int, seed: int) -> list[Task]:
    """`count` distinct tasks, spread evenly over the domain's kinds and the difficulty bands.

    Kinds and bands come in turn, so their counts differ by one at most; `code_f` tasks keep to
    the bands 1 to 3, so there 4 and 5 fall to 1 and 2. Each task draws from a seed of its own:
    a larger suite begins with the smaller one.
    """
    cells = [(kind, band) for band in BANDS for kind in domain.kinds]
    return _spread(domain, cells, count, seed, "held out")


def beyond_tasks(domain: Domain, count: int, seed: int) -> list[Task]:
    """`count` distinct tasks of the bands 6 and 7, spread evenly over them and over the kinds.

    `code_f` is left out unless it is the only kind: nobody can write thirty lines from three
    examples, so it would only dilute the rest. A larger suite begins with the smaller one.
    """
    kinds = [kind for kind in domain.kinds if kind != "code_f"] or domain.kinds
    cells = [(kind, band) for band in BEYOND for kind in kinds]
    return _spread(domain, cells, count, seed, "beyond")
