"""Nodes of a toy world: a model of ten tokens, tasks that any node can check, no sandbox."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from redqueen.callbacks.base import Callbacks
from redqueen.callbacks.database import Database
from redqueen.config import Config, build_config, merge
from redqueen.curriculum import Archive, HeldOut, World, Worlds
from redqueen.environments.base import TaskSource
from redqueen.evolution import BehaviourLog, Evolution
from redqueen.learner import Learner, StackedAdamW
from redqueen.learner.assign import student_reward
from redqueen.parts import Parts
from redqueen.population import HallOfFame, Population, RatingSystem
from redqueen.store import (
    RunStore,
    load_checkpoint,
    load_exchange_counts,
    load_exchanges,
    load_foreign_keys,
    load_newest_adapters,
)
from redqueen.swarm.exchange import Past, Swarm
from redqueen.swarm.identity import Identity
from redqueen.swarm.islands import Islands
from redqueen.swarm.judge import Judge
from redqueen.swarm.transport.base import Node
from redqueen.trainer import Trainer
from redqueen.types import Messages, Rejection, Role, Task
from tests.swarm.messages import NOW, key_file
from tests.toy import LETTERS, Parity, TenTasks, ToyEngine, ToyModel

BASE = "sha256:toy"
"""Digest of the toy base."""


class SharedParity(Parity):
    """The toy environment, whose tasks can be validated again."""

    @property
    def sources(self) -> dict[str, TaskSource]:
        return {"stream": TenTasks()}

    def revalidate(self, tasks: Sequence[Task]) -> list[Task | Rejection]:
        return [self._again(task) for task in tasks]

    @staticmethod
    def _again(task: Task) -> Task | Rejection:
        start = task.payload.get("start")
        if task.kind != "parity" or type(start) is not int or not 0 <= start < 10:
            return Rejection("no_parity", malformed=True)
        return Task(f"parity-{start}", "parity", "parity", {"start": start})


class ToyCodec:
    """Digits are tokens; there is no end of sequence."""

    def __init__(self, model: ToyModel) -> None:
        self.model = model

    def prompt(self, messages: Messages) -> tuple[int, ...]:
        return self.model.encode(messages)

    def answer(self, text: str, finished: bool) -> tuple[int, ...] | None:
        return tuple(map(LETTERS.index, text)) if set(text) <= set(LETTERS) else None

    def fits(self, messages: Messages, texts: Sequence[str]) -> bool:
        return all(1 <= len(self.answer(text, True) or ()) <= 3 for text in texts)


def node_config(folder: Path, number: int, **over: Any) -> Config:
    values = {
        "seed": number,
        "steps": 6,
        "callbacks": [],
        "environments": {"parity": {"type": "tests.swarm.nodes:SharedParity"}},
        "population": {"teachers": 0, "students": 2},
        "rollout": {"matches": 2, "tasks_per_match": 3, "attempts": 4},
        "evolution": {"enabled": False},
        "eval": {"enabled": False},
        "swarm": {
            "enabled": True,
            "identity": str(key_file(folder, number)),
            "transport": {"type": "directory", "path": str(folder / "swarm")},
            "own": 3,
            "foreign": 3,
        },
    }
    return build_config(merge(values, over))


def make_swarm(
    config: Config, model: ToyModel, environment: Any, past: Past, timer: Callable[[], float]
) -> Swarm:
    identity, keys = Identity.load(Path(config.swarm.identity)), config.swarm
    codec = ToyCodec(model)
    transport = keys.transport.build(
        Node(identity.name, keys.max_bytes, keys.quota, keys.max_peers)
    )
    islands = partial(
        Islands,
        keys.islands,
        identity=identity,
        connect=lambda name, longest: transport.channel(name, Node(identity.name, longest, 1, 8)),
        adapters=model.adapters,
        base_digest=BASE,
        past={step: item.adapters for step, item in past.exchanges.items()},
        newest=past.newest,
        epoch=past.epoch,
        seed=config.seed,
        clock=lambda: float(NOW),
    )
    return Swarm(
        keys,
        identity,
        transport,
        Judge(
            {"parity": environment},
            lambda task: task.payload["start"] == 0,
            partial(student_reward, config=config.learner),
            codec.fits,
        ),
        codec,
        past,
        seed=config.seed,
        limit=3,
        clock=lambda: float(NOW),
        timer=timer,
        islands=islands if keys.islands.enabled else None,
    )


def open_node(
    config: Config, directory: Path, timer: Callable[[], float] = time.monotonic
) -> Trainer:
    """Start or resume the run of a node; close it with `close_node`."""
    fresh = not (directory / "run.db").exists()
    store = RunStore.create(directory, config) if fresh else RunStore.open(directory)
    students, environment = config.population.students, config.environments["parity"]
    model = ToyModel(students + config.swarm.islands.enabled)
    optimizer = StackedAdamW(model.adapters.parameters(), slots=students)
    learner = Learner(model, optimizer, config.learner, temperature=1.0, seed=0, steps=6)
    population, step, past = Population.founders(config.population), 0, Past(epoch=1000)
    world = World(
        environment, Archive(100, environment), HeldOut(environment, (), seed=1), None,
        environment.sources["stream"], 1.0,
    )  # fmt: skip
    behaviour = BehaviourLog(5)
    if not fresh:
        saved = load_checkpoint(directory)
        step, population = saved.step, Population.from_json(saved.state["population"])
        model.adapters.load_state_dict(saved.tensors["adapters"], students)
        optimizer.load_state_dict(saved.tensors["optimizer"])
        learner.restore(saved.state["learner"])
        behaviour.restore(saved.state["behaviour"])
        world.archive.restore(saved.state["archives"]["parity"])
        past = Past(
            1000,
            load_exchanges(store, step),
            load_foreign_keys(store),
            load_exchange_counts(store),
            load_newest_adapters(store),
        )
    parts = Parts(
        config=config, engine=ToyEngine(model), adapters=model.adapters, learner=learner,
        worlds=Worlds({"parity": world}), ratings=RatingSystem(config.population),
        population=population,
        hall_of_fame=HallOfFame(config.population.hall_of_fame, directory, model.adapters),
        evolution=Evolution(
            config.evolution, config.population, dict.fromkeys(Role, 1.0), config.seed
        ),
        behaviour=behaviour,
        callbacks=Callbacks([]), base_parameters=100, base_digest="", step=step,
        swarm=(
            make_swarm(config, model, environment, past, timer) if config.swarm.enabled else None
        ),
    )  # fmt: skip
    trainer = Trainer(parts, Database(store, config.keep_checkpoints))
    if fresh:
        trainer.storage.save(trainer.snapshot())
    return trainer


def close_node(trainer: Trainer) -> None:
    trainer.close()
    if trainer.swarm is not None:
        trainer.swarm.close()
    trainer.storage.store.close()  # type: ignore[attr-defined]


def step_once(trainer: Trainer) -> None:
    """Do one step, and wait until it is stored and sent."""
    last = trainer.step + 1
    trainer.run(should_stop=lambda: trainer.step >= last)
