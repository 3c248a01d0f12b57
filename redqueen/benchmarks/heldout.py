"""The default held-out suite: generated tasks from a seed that training never uses."""

from random import Random

from redqueen.domains import Domain
from redqueen.domains.generator import BANDS
from redqueen.rng import derive_seed
from redqueen.types import Task

SUITE = "held-out"


def heldout_tasks(domain: Domain, count: int, seed: int) -> list[Task]:
    """`count` distinct tasks, spread evenly over the domain's kinds and the difficulty bands.

    `code_f` tasks keep to the bands 1 to 3. Each task draws from a seed of its own, so a larger
    suite begins with the smaller one.
    """
    cells = [(kind, band) for band in BANDS for kind in domain.kinds]
    tasks: dict[str, Task] = {}
    index = 0
    while len(tasks) < count:
        kind, band = cells[index % len(cells)]
        task = domain.generated_task(kind, band, Random(derive_seed(seed, "held out", index)))
        tasks.setdefault(task.id, task)
        index += 1
    return list(tasks.values())
