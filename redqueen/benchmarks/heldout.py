"""The default held-out suite: generated tasks from a seed that training never uses."""

from random import Random

from redqueen.domains import Domain
from redqueen.domains.generator import BANDS
from redqueen.rng import derive_seed
from redqueen.types import Task

SUITE = "held-out"
RESERVED = 2000
"""Tasks at the head of the suite that no run trains on, and so the most that can be measured."""


def heldout_tasks(domain: Domain, count: int, seed: int) -> list[Task]:
    """`count` distinct tasks, spread evenly over the domain's kinds and the difficulty bands.

    Kinds and bands come in turn, so their counts differ by one at most; `code_f` tasks keep to
    the bands 1 to 3, so there 4 and 5 fall to 1 and 2. Each task draws from a seed of its own:
    a larger suite begins with the smaller one.
    """
    cells = [(kind, band) for band in BANDS for kind in domain.kinds]
    tasks: dict[str, Task] = {}
    for index in range(count):
        kind, band = cells[index % len(cells)]
        rng = Random(derive_seed(seed, "held out", index))
        task = domain.generated_task(kind, band, rng)
        while task.id in tasks:
            task = domain.generated_task(kind, band, rng)
        tasks[task.id] = task
    return list(tasks.values())
