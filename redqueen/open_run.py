"""A run, or a base alone, opened to be measured, exported or verified."""

from dataclasses import dataclass
from pathlib import Path

from redqueen.build import BASE_DIGEST, load_model
from redqueen.config import Config, build_config, resumed_config
from redqueen.errors import ConfigError
from redqueen.evolution.frames import weighted_sum
from redqueen.models.adapters import AdapterStack, Factors
from redqueen.models.merging import summed
from redqueen.models.population_model import PopulationModel
from redqueen.models.sources import absolute_base, absolute_overrides
from redqueen.population import DiskPager, Population, make_pager
from redqueen.store import Checkpoint, RunStore, load_checkpoint
from redqueen.types import Role


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run as it was at a checkpoint, opened without disturbing whoever trains it."""

    directory: Path
    config: Config
    step: int
    population: Population
    model: PopulationModel

    def average(self, exact: bool) -> tuple[dict[str, Factors], float]:
        """Return factors and alpha of the average of all students' updates.

        `exact`: of the sum of their ranks; else the nearest of a member's rank (Eckart-Young).
        """
        adapters = self.model.adapters
        students = [adapters.get(member.slot) for member in self.population.by_role(Role.STUDENT)]
        if exact:
            return summed(students, adapters.alpha)
        mean = weighted_sum(students, [1.0 / len(students)] * len(students))
        return {name: Factors(*pair) for name, pair in mean.items()}, adapters.alpha


def open_run(directory: Path, base: str | None = None, spare_slots: int = 0) -> OpenRun:
    """Load base, adapters and population of a run's newest checkpoint; takes no lock.

    `spare_slots` adapters that change nothing follow those of the members.

    Raises:
        ConfigError: there is no run, or no checkpoint; or the base cannot be loaded.
    """
    with RunStore.open(directory, read_only=True) as store:
        moved = absolute_overrides([] if base is None else [("policy.base", base)])
        config, digest = resumed_config(store.config(), moved), store.meta(BASE_DIGEST)
    saved = load_checkpoint(directory)
    population = Population.from_json(saved.state["population"])
    living = len(population)
    model = load_model(config, living, spare_slots, digest)
    make_pager(config, directory, model.adapters, living)
    load_members(model.adapters, saved)
    for slot in range(living, living + spare_slots):
        nothing = {n: (a.zero_(), b.zero_()) for n, (a, b) in model.adapters.get(slot).items()}
        model.adapters.set(slot, nothing)
    return OpenRun(directory, config, saved.step, population, model)


def load_members(adapters: AdapterStack, saved: Checkpoint) -> None:
    """Give the stack the members' adapters of a checkpoint."""
    if isinstance(adapters.pager, DiskPager):
        adapters.pager.restore(saved.state["pages"], saved.step)
    else:
        tensors = saved.tensors["adapters"]
        adapters.load_state_dict(tensors, len(next(iter(tensors.values()))))


def open_base(base: str, directory: Path) -> OpenRun:
    """Load a base alone, to be measured: `directory` becomes a run that nothing was trained in.

    Raises:
        ConfigError: the base cannot be loaded, or the directory holds a run on another base.
    """
    place = absolute_base(base)
    config = build_config({"name": Path(place).name, "policy": {"base": place}}, "command line")
    if (directory / "run.db").exists():
        with RunStore.open(directory, read_only=True) as store:
            config = store.config()
        if config.policy.base != place:
            raise ConfigError(
                f"{directory} holds results of {config.policy.base}; choose another with --out"
            )
    model = load_model(config, 1)
    if not (directory / "run.db").exists():
        RunStore.create(directory, config).close()
    return OpenRun(directory, config, 0, Population((), 0), model)
