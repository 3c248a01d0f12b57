"""From a config to the parts of a run. The only place that makes them.

Training, resuming, evaluation, export, verification and the doctor all start here, and each makes
only what it needs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import torch

from redqueen import registry
from redqueen.benchmarks.base import Benchmark
from redqueen.benchmarks.contamination import BenchmarkTasks
from redqueen.callbacks.base import Callback, Callbacks, RunInfo
from redqueen.callbacks.database import Database
from redqueen.config import Config, SandboxConfig, build_config, merge
from redqueen.curriculum import RESERVED, Archive, CopyIndex, HeldOut, SeedRegion, check_sources
from redqueen.engines.base import Engine
from redqueen.engines.trial import try_base
from redqueen.environments.base import (
    SEED,
    STREAM,
    ConstructSpace,
    Environment,
    EnvironmentConfig,
    KeyedSource,
    Services,
    TaskSpace,
    describe,
    sources_of,
)
from redqueen.errors import ConfigError
from redqueen.evolution import BehaviourLog, Evolution, check_rated
from redqueen.evolution.frames import weighted_sum
from redqueen.learner import Learner, Scorer, StackedAdamW
from redqueen.learner.assign import student_reward
from redqueen.models.adapters import Factors
from redqueen.models.footprint import settle
from redqueen.models.loading import absolute_base, dialect_of
from redqueen.models.merging import summed
from redqueen.models.population_model import PopulationModel
from redqueen.parts import Parts, World
from redqueen.population import HallOfFame, Population, RatingSystem
from redqueen.sandbox import make_sandbox
from redqueen.store import Checkpoint, RunStore, load_checkpoint
from redqueen.trainer import Trainer
from redqueen.types import Role, Task

if TYPE_CHECKING:  # needs the extra `swarm`
    from redqueen.swarm.exchange import Swarm

Stop = Callable[[], bool]

BASE_DIGEST = "base_digest"
"""Where a run's database keeps what its base's weights were."""
PROMPT_ROOM = 1024
"""Tokens of a long prompt, where the memory for the longest text is judged."""


def never() -> bool:
    """A stop request that nobody makes."""
    return False


@contextmanager
def open_environments(
    config: Config, more: Mapping[str, EnvironmentConfig] = MappingProxyType({})
) -> Iterator[dict[str, Environment]]:
    """Make the environments that a config names, and `more` (benchmarks) that it does not; at the
    end what was started for them is closed.

    Raises:
        ConfigError: an environment's keys do not work.
        InfrastructureError: the sandbox cannot start.
    """
    with ExitStack() as stack:
        made: dict[object, Any] = {}

        def shared(start: Callable[[SandboxConfig], AbstractContextManager[Any]]) -> Any:
            if start not in made:
                made[start] = stack.enter_context(start(config.sandbox))
            return made[start]

        dialect = dialect_of(config.policy.base)
        backend = registry.load("sandbox", config.sandbox.backend)
        python = getattr(backend, "python", "pure")
        yield {
            name: item.build(Services(partial(shared, make_sandbox), dialect, python, name, shared))
            for name, item in {**config.environments, **more}.items()
        }


@contextmanager
def open_engine(config: Config, model: PopulationModel) -> Iterator[Engine]:
    """Make the engine that a config names for a loaded model; it is closed at the end.

    Raises:
        ConfigError: something that the engine needs is missing.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    engine: Engine = config.engine.build(model)
    try:
        yield engine
    finally:
        engine.close()


def benchmarks_of(config: Config) -> dict[str, Benchmark]:
    """Return the benchmarks that a run names, by their labels."""
    named: Sequence[Benchmark] = config.eval.benchmarks
    given = {"files": config.eval.benchmark_files}
    return {item.label: item if item.files else item.model_copy(update=given) for item in named}


def _world(
    name: str,
    environment: Environment,
    config: Config,
    population: Population,
    kept_out: Sequence[KeyedSource],
) -> World:
    """Return an environment with an empty archive, and what must not be trained on."""
    curriculum, sources = config.curriculum, sources_of(environment)
    taught = bool(population.by_role(Role.TEACHER))
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
        environment, curriculum.held_out, seed=config.eval.seed, count=RESERVED, more=kept_out
    )
    seeds = None
    if isinstance(environment, ConstructSpace) and SEED in sources:
        tasks = sources[SEED].tasks(curriculum.seed_tasks, config.seed)
        seeds = SeedRegion(environment.constructs, tasks)
    return World(
        environment,
        Archive(curriculum.archive_size, environment),
        held_out,
        copies,
        sources.get(STREAM),
        config.environments[name].share,
        seeds,
    )


def seed_tasks(environments: Mapping[str, Environment], config: Config) -> dict[str, list[Task]]:
    """Return the tasks that each environment's archive starts from; maybe none."""
    count = config.curriculum.seed_tasks
    return {
        name: sources_of(environment)[SEED].tasks(count, config.seed)
        for name, environment in environments.items()
        if SEED in sources_of(environment)
    }


def _load(config: Config, slots: int, digest: str | None = None) -> PopulationModel:
    """Load and try the base that a config names.

    Raises:
        ConfigError: it is not usable, or its weights are not those of this digest.
    """
    model = PopulationModel.load(config.policy, slots, config.seed)
    if digest is not None and digest != model.base.digest:
        raise ConfigError(
            f"policy.base = {config.policy.base!r} has other weights than the run began with "
            f"({model.base.digest[:19]}…, not {digest[:19]}…); put them back, or name the place "
            "that they have moved to with --policy.base"
        )
    try_base(model)
    return model


def _swarm(
    config: Config,
    worlds: Mapping[str, World],
    model: PopulationModel,
    store: RunStore | None,
    step: int,
) -> "Swarm | None":
    """Return the run's node of a swarm, if it is to be one; `store` None: the run is new.

    Raises:
        ConfigError: the extra `swarm`, the identity or what the transport needs is missing.
    """
    if not config.swarm.enabled:
        return None
    try:
        from redqueen.swarm.node import open_swarm, past_of
    except ImportError as error:
        raise ConfigError(
            f"swarm.enabled: {error}; install it with: pip install 'redqueen[swarm]'"
        ) from error
    return open_swarm(
        config,
        {name: world.environment for name, world in worlds.items()},
        lambda task: worlds[task.environment].held_out.holds(task),
        partial(student_reward, config=config.learner),
        model,
        past_of(store, step) if store else None,
    )


def _parts(
    config: Config,
    directory: Path,
    saved: Checkpoint | None,
    digest: str | None,
    stop: Stop,
    extra: Sequence[Callback],
    stack: ExitStack,
    store: RunStore | None = None,
) -> Parts:
    """Make everything that a trainer needs; what must be closed goes on the stack."""
    check_rated(config.population, config.evolution)
    population = (
        Population.from_json(saved.state["population"])
        if saved
        else Population.founders(config.population)
    )
    living = len(population)
    model = _load(config, living + config.population.hall_of_fame.spare_slots, digest)
    hall_of_fame = HallOfFame(config.population.hall_of_fame, directory, model.adapters)
    if saved:
        model.adapters.load_state_dict(saved.tensors["adapters"], living)
    elif sources := config.population.from_:
        for slot in range(living):
            model.import_adapter(slot, sources[slot % len(sources)])
    longest = max(config.rollout.propose_tokens, config.rollout.solve_tokens)
    settle(model, PROMPT_ROOM + longest)
    if model.base.digest.startswith("commit:"):
        pinned = {"revision": model.base.digest.removeprefix("commit:")}
        model.configure(model.config.model_copy(update=pinned))
    config = config.model_copy(update={"policy": model.config})
    engine = stack.enter_context(open_engine(config, model))
    environments = stack.enter_context(open_environments(config))
    if config.curriculum.held_out != "all":
        check_sources(environments, config.curriculum.held_out, "curriculum.held_out")
    check_sources(environments, config.eval.suites, "eval.suites")
    named = [*benchmarks_of(config).values()]
    for benchmark in named:
        benchmark.rows()  # what cannot be read is said now, not after the training
    kept_out = [BenchmarkTasks(named)] if named and config.curriculum.held_out_benchmarks else []
    worlds = {
        name: _world(name, item, config, population, kept_out)
        for name, item in environments.items()
    }
    optimizer = StackedAdamW(
        model.adapters.parameters(),
        betas=config.learner.betas,
        weight_decay=config.learner.weight_decay,
        max_grad_norm=config.learner.max_grad_norm,
        slots=living,
    )
    learner = Learner(
        cast(Scorer, getattr(engine, "scorer", model)),
        optimizer,
        config.learner,
        temperature=config.rollout.temperature,
        seed=config.seed,
        steps=config.steps,
    )
    behaviour = BehaviourLog(config.evolution.diversity_window)
    run = RunInfo(directory, config, saved.step if saved else 0, model.num_parameters, stop)
    callbacks = Callbacks([*(item.build(run) for item in config.callbacks), *extra])
    if saved:
        optimizer.load_state_dict(saved.tensors["optimizer"])
        learner.restore(saved.state["learner"])
        hall_of_fame.restore(saved.state.get("hall_of_fame", {}))
        behaviour.restore(saved.state["behaviour"])
        callbacks.restore(saved.state["callbacks"])
        for name, world in worlds.items():
            world.archive.restore(saved.state["archives"][name])
    swarm = _swarm(config, worlds, model, store, saved.step if saved else 0)
    if swarm is not None:
        stack.callback(swarm.close)
    return Parts(
        config=config,
        engine=engine,
        adapters=model.adapters,
        learner=learner,
        worlds=worlds,
        ratings=RatingSystem(config.population),
        population=population,
        hall_of_fame=hall_of_fame,
        evolution=Evolution(
            config.evolution,
            config.population,
            {
                Role.TEACHER: config.rollout.propose_temperature or config.rollout.temperature,
                Role.STUDENT: config.rollout.temperature,
            },
            config.seed,
            config.learner.frozen,
        ),
        behaviour=behaviour,
        callbacks=callbacks,
        base_parameters=model.num_parameters,
        base_digest=model.base.digest,
        step=saved.step if saved else 0,
        leaves_room=model.leaves_room,
        swarm=swarm,
    )


@contextmanager
def start(
    config: Config, directory: Path, stop: Stop = never, callbacks: Sequence[Callback] = ()
) -> Iterator[Trainer]:
    """Make a new run in `directory` and its trainer; everything is closed at the end.

    `callbacks` are added to those that the config names.

    Raises:
        ConfigError: the directory holds a run already, or the configuration does not work; no
            file has been written then.
        InfrastructureError: the sandbox, the disk or a process failed.
    """
    RunStore.check_vacant(directory)
    places = {
        "policy": {"base": absolute_base(config.policy.base)},
        "population": {"from": [str(Path(p).resolve()) for p in config.population.from_]},
    }
    config = build_config(merge(config.model_dump(), places))
    with ExitStack() as stack:
        parts = _parts(config, directory, None, None, stop, callbacks, stack)
        environments = {name: world.environment for name, world in parts.worlds.items()}
        seeds = seed_tasks(environments, config)
        for name, tasks in seeds.items():
            parts.worlds[name].archive.add(tasks)
        declared = {name: describe(item) for name, item in environments.items()}
        store = stack.enter_context(RunStore.create(directory, parts.config, declared))
        store.write_meta(BASE_DIGEST, parts.base_digest)
        store.write_seed_tasks([task for tasks in seeds.values() for task in tasks])
        trainer = stack.enter_context(Trainer(parts, Database(store, config.keep_checkpoints)))
        trainer.storage.save(trainer.snapshot())
        yield trainer


@contextmanager
def resume(
    directory: Path,
    steps: int | None = None,
    stop: Stop = never,
    callbacks: Sequence[Callback] = (),
    base: str | None = None,
) -> Iterator[Trainer]:
    """Take up a run at its newest whole checkpoint; everything is closed at the end.

    `steps` sets a new total number of steps, `base` the place that the base has moved to.

    Raises:
        ConfigError: there is no run in `directory`, no checkpoint to continue from, another
            process is training it, or `steps` is less than the run has done.
        InfrastructureError: the sandbox, the disk or a process failed.
    """
    with ExitStack() as stack:
        store = stack.enter_context(RunStore.open(directory))
        saved = load_checkpoint(directory)
        config = _changed(store.config(), steps, base)
        if steps is not None and steps < saved.step:
            raise ConfigError(f"--steps {steps}: the run has done {saved.step} already")
        store.write_meta("config", config.model_dump(mode="json"))
        digest = store.meta(BASE_DIGEST)
        parts = _parts(config, directory, saved, digest, stop, callbacks, stack, store)
        yield stack.enter_context(Trainer(parts, Database(store, config.keep_checkpoints)))


def _changed(config: Config, steps: int | None, base: str | None) -> Config:
    """Return the config of a run with a new number of steps, or a base that has moved."""
    changes: dict[str, Any] = {} if steps is None else {"steps": steps}
    if base is not None:
        changes["policy"] = {"base": absolute_base(base)}
    return build_config(merge(config.model_dump(), changes), "command line") if changes else config


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
        config, digest = _changed(store.config(), None, base), store.meta(BASE_DIGEST)
    saved = load_checkpoint(directory)
    population = Population.from_json(saved.state["population"])
    model = _load(config, len(population) + spare_slots, digest)
    model.adapters.load_state_dict(
        {
            name: torch.cat((tensor, tensor.new_zeros(spare_slots, *tensor.shape[1:])))
            for name, tensor in saved.tensors["adapters"].items()
        }
    )
    return OpenRun(directory, config, saved.step, population, model)


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
    model = _load(config, 1)
    if not (directory / "run.db").exists():
        RunStore.create(directory, config).close()
    return OpenRun(directory, config, 0, Population((), 0), model)
