"""Students of other nodes, measured on this node's probe before they may take anybody's place."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from redqueen.engines.base import Engine
from redqueen.environments.base import Environment
from redqueen.errors import InfrastructureError
from redqueen.evolution import Guest, ProbeResult, guest_fitness
from redqueen.models.adapters import AdapterStack
from redqueen.rollouts.interactions.base import Posing
from redqueen.rollouts.plan import plan_posings
from redqueen.types import GUEST, ForeignAdapter, Match, Member, Role, Rollout, Task

if TYPE_CHECKING:  # needs the extra `swarm`
    from redqueen.swarm.islands import Arrival

log = logging.getLogger(__name__)

NO_ID = -1
"""Of a guest: it is nobody's member yet."""


def measure_guests(
    arrivals: "Sequence[Arrival]",
    posed: Sequence[tuple[Match, Task]],
    result: ProbeResult,
    environments: Mapping[str, Environment],
    adapters: AdapterStack,
    engine: Engine,
    step: int,
    solve: Callable[[Sequence[Posing]], Sequence[Rollout]],
) -> tuple[list[ForeignAdapter], list[Guest]]:
    """Return what came, for the record, and the guests among it that could be measured.

    Each attempts the tasks that count for every student in the probe, one after the other, in the
    last slot of the stack.
    """
    slot, common = adapters.slots - 1, set(result.common)
    posed = [(match, task) for match, task in posed if (match.index, task.id) in common]
    roots = list({match.index: match for match, _ in posed}.values())
    student = Member(NO_ID, slot, (Role.STUDENT,), 0.0, 0.0, operator=GUEST)
    records, guests = [], []
    for message, factors in arrivals:
        adapters.set(slot, factors)
        engine.sync([slot], adapters, step)
        fitness = None
        try:
            rollouts = solve(plan_posings(posed, roots, lambda _: student, environments))
            fitness = guest_fitness(result.common, rollouts)
        except InfrastructureError as error:
            log.warning("a student of another node could not be measured: %s", error)
        name = (message.author, message.epoch, message.number)
        records.append(ForeignAdapter(*name, message.data, fitness))
        if fitness is not None:
            guests.append(Guest(message.author, factors, fitness))
    return records, guests
