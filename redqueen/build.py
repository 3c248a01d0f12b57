"""From a config to the parts of a run. The only place that makes them.

Training, resuming, evaluation, export, verification and the doctor all start here, and each makes
only what it needs.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
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
from redqueen.config import (
    Config,
    SandboxConfig,
    build_config,
    changed_keys,
    merge,
    resumed_config,
)
from redqueen.curriculum import Worlds, check_sources, make_world
from redqueen.engines.base import Engine
from redqueen.engines.paged import PagedEngine
from redqueen.engines.trial import try_base
from redqueen.environments.base import (
    Environment,
    EnvironmentConfig,
    Services,
    describe,
)
from redqueen.errors import ConfigError
from redqueen.evolution import BehaviourLog, Evolution, check_probed, check_rated
from redqueen.learner import Learner, Scorer, StackedAdamW, apprenticeship, imitate
from redqueen.learner.assign import student_reward
from redqueen.models.footprint import settle
from redqueen.models.memory import is_out_of_memory
from redqueen.models.population_model import PopulationModel
from redqueen.models.precision import multiplies_bfloat16
from redqueen.models.sources import absolute_base, absolute_overrides, dialect_of, expanded
from redqueen.parts import Parts
from redqueen.population import (
    HallOfFame,
    Population,
    RatingSystem,
    check_paged,
    make_pager,
)
from redqueen.rng import numpy_rng
from redqueen.rollouts.ahead import check_overlap
from redqueen.store import Checkpoint, RunStore, load_checkpoint
from redqueen.trainer import Trainer
from redqueen.types import Role

if TYPE_CHECKING:  # needs the extra `swarm`
    from redqueen.swarm.exchange import Swarm

log = logging.getLogger(__name__)

Stop = Callable[[], bool]

BASE_DIGEST = "base_digest"
"""Where a run's database keeps what its base's weights were."""
CONFIG_CHANGES = "config_changes"
"""Where it keeps what was changed on resuming: after which step, old and new values."""
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
        sandbox = partial(shared, config.cluster.open_sandbox)
        yield {
            name: item.build(Services(sandbox, dialect, python, name, shared))
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
    engine: Engine = config.cluster.build(config.engine, model)
    pager = model.adapters.pager
    try:
        yield PagedEngine(engine, model.adapters, pager.rows) if pager else engine
    finally:
        engine.close()


def benchmarks_of(config: Config) -> dict[str, Benchmark]:
    """Return the benchmarks that a run names, by their labels."""
    named: Sequence[Benchmark] = config.eval.benchmarks
    given = {"files": config.eval.benchmark_files}
    return {item.label: item if item.files else item.model_copy(update=given) for item in named}


def load_model(
    config: Config, members: int, spare: int = 0, digest: str | None = None
) -> PopulationModel:
    """Load and try the base that a config names, with slots for members and `spare` others.

    Raises:
        ConfigError: it is not usable, or its weights are not those of this digest.
    """
    held = config.population.slots
    rows = min(held, members) + spare if held else None
    try:
        model = PopulationModel.load(config.policy, members + spare, config.seed, rows)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise ConfigError(
            f"policy.rank = {config.policy.rank}: the adapters of {members} members do not fit the "
            "memory beside the base; `redqueen plan` says what would"
        ) from error
    if digest is not None and digest != model.base.digest:
        raise ConfigError(
            f"policy.base = {config.policy.base!r} has other weights than the run began with "
            f"({model.base.digest[:19]}…, not {digest[:19]}…); put them back, or name the place "
            "that they have moved to with --policy.base"
        )
    try_base(model)
    if model.base.dtype is torch.bfloat16 and not multiplies_bfloat16(model.device):
        log.warning(
            "this CPU has no kernels for bfloat16: a step takes several times as long as with "
            'policy.dtype = "float32"'
        )
    return model


def _swarm(
    config: Config,
    worlds: Worlds,
    model: PopulationModel,
    store: RunStore | None,
    step: int,
) -> "Swarm | None":
    """Return the run's node of a swarm, if it is to be one; `store` None: the run is new.

    Raises:
        ConfigError: the extra `swarm`, the identity or what the transport needs is missing, or
            there are to be islands without a probe.
    """
    if not config.swarm.enabled:
        return None
    if config.swarm.islands.enabled:
        check_probed(config.evolution, config.rollout)
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


def _load_members(
    config: Config, saved: Checkpoint | None, digest: str | None
) -> tuple[Population, PopulationModel]:
    """Return the members as they were saved, or founders, with the base and their adapters."""
    spare = config.population.hall_of_fame.spare_slots
    spare += config.swarm.enabled and config.swarm.islands.enabled  # where guests are measured
    if saved:
        population = Population.from_json(saved.state["population"])
    else:
        population = Population.founders(config.population)
    model = load_model(config, len(population), spare, digest)
    if saved and not config.population.slots:
        model.adapters.load_state_dict(saved.tensors["adapters"], len(population))
    settle(model, PROMPT_ROOM + max(config.rollout.propose_tokens, config.rollout.solve_tokens))
    if model.base.digest.startswith("commit:"):
        pinned = {"revision": model.base.digest.removeprefix("commit:")}
        model.configure(model.config.model_copy(update=pinned))
    return population, model


def _worlds(config: Config, environments: Mapping[str, Environment]) -> Worlds:
    """Return the environments with empty archives; held-out tasks and benchmarks are kept out.

    Raises:
        ConfigError: a suite or a benchmark that the config names cannot be read.
    """
    if config.curriculum.held_out != "all":
        check_sources(environments, config.curriculum.held_out, "curriculum.held_out")
    check_sources(environments, config.eval.suites, "eval.suites")
    named = [*benchmarks_of(config).values()]
    for benchmark in named:
        benchmark.rows()  # what cannot be read is said now, not after the training
    kept_out = [BenchmarkTasks(named)] if named and config.curriculum.held_out_benchmarks else []
    return Worlds(
        {name: make_world(name, item, config, kept_out) for name, item in environments.items()},
        config.safety.screens,
    )


def _learner(config: Config, engine: Engine, model: PopulationModel, living: int) -> Learner:
    """Return the learner that updates the first `living` of the model's adapters."""
    held = config.population.slots
    optimizer = StackedAdamW(
        model.adapters.parameters(),
        betas=config.learner.betas,
        weight_decay=config.learner.weight_decay,
        max_grad_norm=config.learner.max_grad_norm,
        slots=min(held, living) if held else living,
        row_of=model.adapters.row_of[:living] if held else None,
    )
    return Learner(
        cast(Scorer, getattr(engine, "scorer", model)),
        optimizer,
        config.learner,
        temperature=config.rollout.temperature,
        seed=config.seed,
        steps=config.steps,
    )


def _evolution(config: Config) -> Evolution:
    """Return what ends a generation."""
    student = config.rollout.temperature
    teacher = config.rollout.propose_temperature or student
    return Evolution(
        config.evolution,
        config.population,
        {Role.TEACHER: teacher, Role.STUDENT: student},
        config.seed,
        config.learner.frozen,
    )


def _check_judge(config: Config) -> None:
    """Refuse a teachers' reward that asks the base to judge, if the base is no chat model."""
    if config.learner.teacher.reward.judge_tokens and dialect_of(config.policy.base) != "chat":
        raise ConfigError(
            "learner.teacher.reward: the base is asked to judge tasks, which only a chat model "
            f"understands; {config.policy.base!r} is none. Take another reward, or another base"
        )


def _parts(
    config: Config,
    directory: Path,
    stop: Stop,
    extra: Sequence[Callback],
    stack: ExitStack,
    resumed: tuple[RunStore, Checkpoint] | None = None,
) -> Parts:
    """Make everything that a trainer needs; what must be closed goes on the stack."""
    check_rated(config.population, config.evolution)
    check_paged(config)
    check_overlap(config)
    _check_judge(config)
    store, saved = resumed or (None, None)
    step = saved.step if saved else 0
    population, model = _load_members(config, saved, store.meta(BASE_DIGEST) if store else None)
    config = config.model_copy(update={"policy": model.config})
    engine = stack.enter_context(open_engine(config, model))
    worlds = _worlds(config, stack.enter_context(open_environments(config)))
    living = len(population)
    learner = _learner(config, engine, model, living)
    pager = make_pager(config, directory, model.adapters, living, learner.optimizer)
    hall_of_fame = HallOfFame(config.population.hall_of_fame, directory, model.adapters)
    behaviour = BehaviourLog(config.evolution.diversity_window)
    callbacks = Callbacks([*callbacks_of(RunInfo(directory, config, step, stop)), *extra])
    if saved:
        if pager is not None:
            pager.restore(saved.state["pages"], step)
        else:
            learner.optimizer.load_state_dict(saved.tensors["optimizer"])
        learner.restore(saved.state["learner"])
        hall_of_fame.restore(saved.state.get("hall_of_fame", {}))
        behaviour.restore(saved.state["behaviour"])
        callbacks.restore(saved.state["callbacks"])
        worlds.restore(saved.state["archives"])
    elif sources := config.population.from_:
        for slot in range(living):
            model.import_adapter(slot, sources[slot % len(sources)])
    if not saved and config.learner.teacher.imitation.updates:
        _imitate(config, engine, model, worlds, population)
    swarm = _swarm(config, worlds, model, store, step)
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
        evolution=_evolution(config),
        behaviour=behaviour,
        callbacks=callbacks,
        base_parameters=model.num_parameters,
        base_digest=model.base.digest,
        step=step,
        leaves_room=model.leaves_room,
        pager=pager,
        swarm=swarm,
    )


def _try_prompts(parts: Parts) -> None:
    """Encode what a run's members are asked at first: the shortest prompts of teachers, seed tasks.

    Raises:
        ConfigError: the base's context is too short for them, or its tokenizer or its chat
            template does not take them.
    """
    config, where = parts.config, f"policy.base = {parts.config.policy.base!r}"
    taught = config.population.teachers + config.population.self_play > 0
    for name, space in parts.worlds.spaces.items() if taught else ():
        rng = numpy_rng(config.seed, "first prompts", name)
        for kind in space.kinds:
            count = space.references_for(kind, 0)
            shown = config.curriculum.references(parts.worlds[name].archive, kind, count, rng)
            if not parts.leaves_room(space.ask(kind, shown), 1):
                raise ConfigError(
                    f"{where}: its context does not hold what teachers are asked for {kind}; take "
                    "a base with a longer one"
                )
    for name, world in parts.worlds.items():
        posed = (world.environment.prompt(task) for task in world.seed_tasks)
        if world.seed_tasks and not any(parts.leaves_room(prompt, 1) for prompt in posed):
            raise ConfigError(
                f"{where}: its context holds no seed task of {name}; take a base with a longer one"
            )


def _imitate(
    config: Config, engine: Engine, model: PopulationModel, worlds: Worlds, population: Population
) -> None:
    """Let the founders that pose tasks imitate seed tasks, with an optimizer of their own.

    Raises:
        ConfigError: nobody poses tasks, not all members are in memory, or no environment can say
            how its seed tasks are written.
    """
    imitation = config.learner.teacher.imitation
    teachers = population.by_role(Role.TEACHER)
    if not teachers or config.population.slots:
        raise ConfigError(
            "learner.teacher.imitation.updates: there must be teachers, all of them in memory "
            "(population.slots = 0); set it to 0"
        )
    apprentice = config.model_copy(update={"learner": apprenticeship(config.learner)})
    learner = _learner(apprentice, engine, model, len(population))

    def sync(slots: Sequence[int]) -> None:
        engine.sync(slots, model.adapters, 0)

    log.info("teachers imitate seed tasks first, in %d updates", imitation.updates)
    sync(range(len(population)))
    loss = imitate(
        learner,
        worlds,
        teachers,
        updates=imitation.updates,
        proposals=imitation.proposals,
        references=config.rollout.references,
        encode=lambda messages, text: (model.encode(messages), model.base.encode_reply(text)),
        sync=sync,
        versions={member.slot: 0 for member in teachers},
        seed=config.seed,
    )
    log.info("teachers imitated seed tasks; at last %.3f nats a token", loss)


def callbacks_of(run: RunInfo) -> list[Callback]:
    """Return what the config of a run names to watch it, trackers last."""
    return [item.build(run) for item in (*run.config.callbacks, *run.config.tracking)]


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
        "population": {"from": [str(expanded(p).absolute()) for p in config.population.from_]},
    }
    config = build_config(merge(config.model_dump(), places))
    with ExitStack() as stack:
        parts = _parts(config, directory, stop, callbacks, stack)
        environments = parts.worlds.environments
        worlds = parts.worlds.values()
        for world in worlds:
            world.archive.add(world.seed_tasks)
        _try_prompts(parts)
        if said := config.learner.rate_warning(parts.base_parameters):
            log.warning(said)
        if said := config.interval_warning:
            log.warning(said)
        declared = {name: describe(item) for name, item in environments.items()}
        store = stack.enter_context(RunStore.create(directory, parts.config, declared))
        store.write_meta(BASE_DIGEST, parts.base_digest)
        store.write_seed_tasks([task for world in worlds for task in world.seed_tasks])
        trainer = stack.enter_context(Trainer(parts, Database(store, config.keep_checkpoints)))
        trainer.storage.save(trainer.snapshot())
        yield trainer


@contextmanager
def resume(
    directory: Path,
    overrides: Sequence[tuple[str, str]] = (),
    stop: Stop = never,
    callbacks: Sequence[Callback] = (),
) -> Iterator[Trainer]:
    """Take up a run at its newest whole checkpoint; everything is closed at the end.

    `overrides` are of those keys that may change (`redqueen.config.resuming`), such as the total
    number of `steps`, or `policy.base` for a base that has moved.

    Raises:
        ConfigError: there is no run in `directory`, no checkpoint to continue from, another
            process is training it, an override is not possible, or `steps` is less than the run
            has done.
        InfrastructureError: the sandbox, the disk or a process failed.
    """
    with ExitStack() as stack:
        store = stack.enter_context(RunStore.open(directory))
        saved = load_checkpoint(directory)
        before = store.config()
        config = resumed_config(before, absolute_overrides(overrides))
        if config.steps < saved.step:
            raise ConfigError(f"--steps {config.steps}: the run has done {saved.step} already")
        parts = _parts(config, directory, stop, callbacks, stack, (store, saved))
        # Only now: a change that cannot be made must not be left in the run.
        if changes := changed_keys(before, parts.config):
            store.write_meta("config", parts.config.model_dump(mode="json"))
            earlier = store.meta(CONFIG_CHANGES) or []
            store.write_meta(CONFIG_CHANGES, [*earlier, {"step": saved.step, "keys": changes}])
        yield stack.enter_context(Trainer(parts, Database(store, config.keep_checkpoints)))
