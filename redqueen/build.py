"""From a config to the parts of a run. The only place that makes them.

Training, resuming, evaluation, export, verification and the doctor all start here, and each makes
only what it needs.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from redqueen.callbacks.base import Callback, Callbacks, RunInfo
from redqueen.callbacks.database import Database
from redqueen.config import Config, build_config, merge
from redqueen.curriculum import RESERVED, Archive, CopyIndex, HeldOut, check_sources
from redqueen.engines.base import Engine
from redqueen.environments.base import (
    SEED,
    STREAM,
    Environment,
    Services,
    TaskSpace,
    describe,
    sources_of,
)
from redqueen.errors import ConfigError
from redqueen.evolution import BehaviourLog, Evolution, check_rated
from redqueen.learner import Learner, Scorer, StackedAdamW
from redqueen.learner.assign import student_reward
from redqueen.models.loading import absolute_base, dialect_of
from redqueen.models.population_model import PopulationModel
from redqueen.population import Population, RatingSystem
from redqueen.sandbox import Sandbox, make_sandbox
from redqueen.store import (
    Checkpoint,
    RunStore,
    load_checkpoint,
    load_exchange_counts,
    load_exchanges,
    load_foreign_keys,
)
from redqueen.trainer import Parts, Trainer, World
from redqueen.types import Role, Task

if TYPE_CHECKING:  # needs the extra `swarm`
    from redqueen.swarm.exchange import Past, Swarm

Stop = Callable[[], bool]


def never() -> bool:
    """A stop request that nobody makes."""
    return False


@contextmanager
def open_environments(config: Config) -> Iterator[dict[str, Environment]]:
    """Make the environments that a config names; at the end their sandbox, if one was started,
    is closed.

    Raises:
        ConfigError: an environment's keys do not work.
        InfrastructureError: the sandbox cannot start.
    """
    with ExitStack() as stack:
        started: list[Sandbox] = []

        def sandbox() -> Sandbox:
            if not started:
                started.append(stack.enter_context(make_sandbox(config.sandbox)))
            return started[0]

        dialect = dialect_of(config.policy.base)
        yield {
            name: item.build(Services(sandbox, dialect, name))
            for name, item in config.environments.items()
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


def _world(name: str, environment: Environment, config: Config, population: Population) -> World:
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
    held_out = HeldOut(environment, curriculum.held_out, seed=config.eval.seed, count=RESERVED)
    return World(
        environment,
        Archive(curriculum.archive_size, environment),
        held_out,
        copies,
        sources.get(STREAM),
        config.environments[name].share,
    )


def seed_tasks(environments: Mapping[str, Environment], config: Config) -> dict[str, list[Task]]:
    """Return the tasks that each environment's archive starts from; maybe none."""
    count = config.curriculum.seed_tasks
    return {
        name: sources_of(environment)[SEED].tasks(count, config.seed)
        for name, environment in environments.items()
        if SEED in sources_of(environment)
    }


def _open_swarm(
    config: Config,
    worlds: Mapping[str, World],
    model: PopulationModel,
    past: "Past | None",
    stack: ExitStack,
) -> "Swarm":
    """Return this run's node of a swarm; it leaves it when the stack is closed.

    Raises:
        ConfigError: the extra `swarm`, the identity or what the transport needs is missing.
    """
    try:
        from redqueen.swarm.codec import ModelCodec
        from redqueen.swarm.exchange import Past, Swarm
        from redqueen.swarm.identity import Identity
        from redqueen.swarm.judge import Judge
        from redqueen.swarm.transport.base import Node
    except ImportError as error:
        raise ConfigError(
            f"swarm.enabled: {error}; install it with: pip install 'redqueen[swarm]'"
        ) from error
    keys, limit = config.swarm, config.rollout.solve_tokens
    identity = Identity.load(Path(keys.identity))
    codec = ModelCodec(model, limit)
    node = Node(identity.name, keys.max_bytes, keys.quota, keys.max_peers)
    swarm = Swarm(
        keys,
        identity,
        keys.transport.build(node),
        Judge(
            {name: world.environment for name, world in worlds.items()},
            lambda task: worlds[task.environment].held_out.holds(task),
            partial(student_reward, config=config.learner),
            codec.fits,
        ),
        codec,
        past or Past(int(time.time())),
        seed=config.seed,
        limit=limit,
    )
    stack.callback(swarm.close)
    return swarm


def _past(store: RunStore, step: int) -> "Past | None":
    """Return what a run, resumed after `step`, has on record of its swarm; None: nothing."""
    epoch = store.rows("SELECT max(epoch) FROM exchanges")[0][0]
    if epoch is None:
        return None
    from redqueen.swarm.exchange import Past

    return Past(
        epoch,
        load_exchanges(store, after=step),
        load_foreign_keys(store),
        load_exchange_counts(store),
    )


def _parts(
    config: Config,
    directory: Path,
    saved: Checkpoint | None,
    stop: Stop,
    extra: Sequence[Callback],
    stack: ExitStack,
    past: "Past | None" = None,
) -> Parts:
    """Make everything that a trainer needs; what must be closed goes on the stack."""
    check_rated(config.population, config.evolution)
    population = (
        Population.from_json(saved.state["population"])
        if saved
        else Population.founders(config.population)
    )
    model = PopulationModel.load(config.policy, len(population), config.seed)
    if saved:
        model.adapters.load_state_dict(saved.tensors["adapters"])
    engine = stack.enter_context(open_engine(config, model))
    environments = stack.enter_context(open_environments(config))
    if config.curriculum.held_out != "all":
        check_sources(environments, config.curriculum.held_out, "curriculum.held_out")
    check_sources(environments, config.eval.suites, "eval.suites")
    worlds = {name: _world(name, item, config, population) for name, item in environments.items()}
    optimizer = StackedAdamW(
        model.adapters.parameters(),
        betas=config.learner.betas,
        weight_decay=config.learner.weight_decay,
        max_grad_norm=config.learner.max_grad_norm,
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
        behaviour.restore(saved.state["behaviour"])
        callbacks.restore(saved.state["callbacks"])
        for name, world in worlds.items():
            world.archive.restore(saved.state["archives"][name])
    return Parts(
        config=config,
        engine=engine,
        adapters=model.adapters,
        learner=learner,
        worlds=worlds,
        ratings=RatingSystem(config.population),
        population=population,
        evolution=Evolution(
            config.evolution, config.population, config.rollout.temperature, config.seed
        ),
        behaviour=behaviour,
        callbacks=callbacks,
        base_parameters=model.num_parameters,
        step=saved.step if saved else 0,
        swarm=_open_swarm(config, worlds, model, past, stack) if config.swarm.enabled else None,
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
    base = absolute_base(config.policy.base)
    config = build_config(merge(config.model_dump(), {"policy": {"base": base}}))
    with ExitStack() as stack:
        parts = _parts(config, directory, None, stop, callbacks, stack)
        environments = {name: world.environment for name, world in parts.worlds.items()}
        seeds = seed_tasks(environments, config)
        for name, tasks in seeds.items():
            parts.worlds[name].archive.add(tasks)
        declared = {name: describe(item) for name, item in environments.items()}
        store = stack.enter_context(RunStore.create(directory, config, declared))
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
        past = _past(store, saved.step) if config.swarm.enabled else None
        parts = _parts(config, directory, saved, stop, callbacks, stack, past)
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


def open_run(directory: Path, base: str | None = None) -> OpenRun:
    """Load base, adapters and population of a run's newest checkpoint; takes no lock.

    Raises:
        ConfigError: there is no run, or no checkpoint; or the base cannot be loaded.
    """
    with RunStore.open(directory, read_only=True) as store:
        config = _changed(store.config(), None, base)
    saved = load_checkpoint(directory)
    population = Population.from_json(saved.state["population"])
    model = PopulationModel.load(config.policy, len(population), config.seed)
    model.adapters.load_state_dict(saved.tensors["adapters"])
    return OpenRun(directory, config, saved.step, population, model)
