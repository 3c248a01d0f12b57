"""The environments of a run, each with its archive and what must not be trained on."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redqueen.config import Config
from redqueen.curriculum.admit import admit
from redqueen.curriculum.archive import Archive, archive_metrics
from redqueen.curriculum.held_out import RESERVED, HeldOut
from redqueen.curriculum.near_copies import CopyIndex
from redqueen.curriculum.seed_region import SeedRegion, outside_share
from redqueen.curriculum.stream import draw_tasks
from redqueen.environments.base import (
    SEED,
    STREAM,
    ConstructSpace,
    Draft,
    Environment,
    KeyedSource,
    TaskSource,
    TaskSpace,
    has_fallible_keys,
    sources_of,
)
from redqueen.environments.dispatch import dispatch
from redqueen.environments.guarded import validated
from redqueen.errors import ConfigError, InfrastructureError
from redqueen.screens import Screen, hold_back
from redqueen.types import Rejection, Task


@dataclass(frozen=True, slots=True)
class World:
    """One environment of the run, with what the curriculum keeps of it."""

    environment: Environment
    archive: Archive
    held_out: HeldOut
    copies: CopyIndex | None
    """None: near copies are allowed, or the environment has no fingerprints."""
    stream: TaskSource | None
    share: float
    """Its share of matches."""
    seed_tasks: tuple[Task, ...] = ()
    """What its archive starts from; nothing that is held out."""
    seeds: SeedRegion | None = None
    """None: the environment does not say what tasks are built of, or has no seed tasks."""


class Worlds(dict[str, World]):
    """All environments of a run, by name; what has a task or a name goes to its own."""

    def __init__(self, worlds: Mapping[str, World], screens: Sequence[Screen] = ()) -> None:
        """`screens` are what proposals pass before an environment validates them."""
        super().__init__(worlds)
        self.screens = screens

    @property
    def environments(self) -> dict[str, Environment]:
        """The environments by name."""
        return {name: world.environment for name, world in self.items()}

    @property
    def fallible(self) -> frozenset[str]:
        """Those whose valid tasks may have a wrong key."""
        return frozenset(n for n, item in self.environments.items() if has_fallible_keys(item))

    @property
    def archives(self) -> dict[str, Archive]:
        """The archives by the names of their environments."""
        return {name: world.archive for name, world in self.items()}

    @property
    def spaces(self) -> dict[str, TaskSpace]:
        """Those in which teachers can propose."""
        return {n: e for n, e in self.environments.items() if isinstance(e, TaskSpace)}

    def cell_of(self, task: Task) -> str:
        """Return the name of a task's cell in the archive of its environment."""
        return str(self[task.environment].archive.cell(task))

    def validate(self, drafts: Sequence[tuple[str, Draft]]) -> list[Task | Rejection]:
        """Validate drafts that pass the screens, each in the environment that it is for."""
        spaces = self.spaces

        def read(places: list[int]) -> list[Task | Rejection]:
            names = [drafts[place][0] for place in places]
            passed = [drafts[place][1] for place in places]
            return dispatch(names, passed, lambda name, some: validated(spaces[name], some))

        return hold_back(self.screens, [draft.text for _, draft in drafts], read)

    def admit(
        self,
        names: Sequence[str],
        validated: Sequence[Task | Rejection],
        finished: Sequence[bool],
        shown: Collection[str],
        can_be_posed: Callable[[Task], bool],
    ) -> list[Task | Rejection]:
        """Return what becomes of each proposal of a step, in the environment of its name.

        Raises:
            InfrastructureError: the sandbox failed on some and none became a task.
        """

        def admitted(
            name: str, proposals: list[tuple[Task | Rejection, bool]]
        ) -> list[Task | Rejection]:
            world, (outcomes, complete) = self[name], zip(*proposals, strict=True)
            return admit(
                outcomes, complete, world.archive, world.copies, world.held_out, shown, can_be_posed
            )

        outcomes = dispatch(names, list(zip(validated, finished, strict=True)), admitted)
        lost = sum(isinstance(outcome, Rejection) and outcome.infra for outcome in outcomes)
        if lost and not any(isinstance(outcome, Task) for outcome in outcomes):
            raise InfrastructureError(
                f"the sandbox failed on {lost} of {len(outcomes)} proposals and none became a "
                "task; the last checkpoint is intact. Check `redqueen doctor`, then resume"
            )
        return outcomes

    def metrics(self, tasks: Iterable[Task]) -> dict[str, float]:
        """Return what a step records of the archives and of its valid tasks."""
        regions = {name: world.seeds for name, world in self.items() if world.seeds}
        return archive_metrics(self.archives) | outside_share(regions, tasks)

    def state(self) -> dict[str, Any]:
        """Return plain JSON for a checkpoint."""
        return {name: archive.state() for name, archive in self.archives.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` returned."""
        for name, archive in self.archives.items():
            archive.restore(state[name])


def make_world(
    name: str,
    environment: Environment,
    config: Config,
    kept_out: Iterable[KeyedSource] = (),
    reserved: int = RESERVED,
) -> World:
    """Return an environment with an empty archive.

    The first `reserved` tasks of each held-out source are kept from training, and `kept_out`.

    Raises:
        ConfigError: it lacks what the population of the config needs to be trained in it.
    """
    curriculum, sources = config.curriculum, sources_of(environment)
    taught = config.population.teachers or config.population.self_play
    if taught and not isinstance(environment, TaskSpace):
        raise ConfigError(
            f"environments.{name} has no task space, so teachers cannot propose; set "
            "population.teachers and population.self_play to 0, or use another environment"
        )
    if not taught and STREAM not in sources:
        raise ConfigError(
            f"environments.{name} has no stream of tasks; students without teachers need one"
        )
    copies = None
    if isinstance(environment, TaskSpace) and curriculum.near_copies:
        copies = CopyIndex(environment.fingerprint, curriculum.family_repeats)
    held_out = HeldOut(
        environment, curriculum.held_out, seed=config.eval.seed, count=reserved, more=kept_out
    )
    seed_tasks: Sequence[Task] = ()
    if SEED in sources:
        seed_tasks = draw_tasks(sources[SEED], curriculum.seed_tasks, config.seed, held_out)
    seeds = None
    if isinstance(environment, ConstructSpace) and SEED in sources:
        seeds = SeedRegion(environment.constructs, seed_tasks)
    return World(
        environment,
        Archive(curriculum.archive_size, environment),
        held_out,
        copies,
        sources.get(STREAM),
        config.environments[name].share,
        tuple(seed_tasks),
        seeds,
    )
