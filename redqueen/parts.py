"""What a trainer is made of. `redqueen.build` makes these from a config."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from redqueen.callbacks.base import Callbacks
from redqueen.callbacks.database import Snapshot
from redqueen.config import Config
from redqueen.curriculum import Worlds
from redqueen.engines.base import Engine
from redqueen.evolution import BehaviourLog, Evolution
from redqueen.learner import Learner
from redqueen.models.adapters import AdapterStack
from redqueen.population import DiskPager, HallOfFame, Population, RatingSystem
from redqueen.types import Messages, StepRecord

if TYPE_CHECKING:  # needs the extra `swarm`
    from redqueen.swarm.exchange import Swarm


class Storage(Protocol):
    """Where finished steps go. Unlike callbacks, a failure of it ends the run."""

    def write(self, record: StepRecord, checkpoint: Snapshot | None) -> None:
        """Write a step, then what the next one depends on."""
        ...

    def save(self, checkpoint: Snapshot) -> None:
        """Write a checkpoint alone."""
        ...

    def truncate_after(self, step: int) -> None:
        """Forget the steps after a checkpoint, from before a crash."""
        ...


@dataclass(slots=True)
class Parts:
    """What a trainer works with; made by `redqueen.build` alone."""

    config: Config
    engine: Engine
    adapters: AdapterStack
    learner: Learner
    worlds: Worlds
    ratings: RatingSystem
    population: Population
    hall_of_fame: HallOfFame
    evolution: Evolution
    behaviour: BehaviourLog
    callbacks: Callbacks
    base_parameters: int
    base_digest: str
    """Tells the base's weights from others under the same name."""
    step: int = 0
    """Steps done."""
    leaves_room: Callable[[Messages, int], bool] = lambda messages, new_tokens: True
    """Whether the base's context holds a prompt and so many new tokens."""
    pager: DiskPager | None = None
    """None: all members are in memory."""
    swarm: "Swarm | None" = None
    """None: the run is in no swarm."""
