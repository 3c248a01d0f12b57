"""Trainers and callbacks that several test modules use."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from redqueen import build
from redqueen.callbacks.base import Callback, Callbacks
from redqueen.callbacks.database import Snapshot
from redqueen.config import Config, build_config
from redqueen.curriculum import Archive, HeldOut, World, Worlds
from redqueen.environments.base import sources_of
from redqueen.evolution import BehaviourLog, Evolution
from redqueen.learner import Learner, StackedAdamW
from redqueen.parts import Parts
from redqueen.population import HallOfFame, Population, RatingSystem
from redqueen.trainer import Trainer
from redqueen.types import Role, StepRecord, Task
from tests.toy import ToyEngine, ToyModel

Make = Callable[..., Config]


class Keep(Callback):
    """Keeps the records of all steps."""

    def __init__(self) -> None:
        self.records: list[StepRecord] = []

    def on_step(self, record: StepRecord) -> None:
        self.records.append(record)


def train(config: Config, directory: Path) -> list[StepRecord]:
    """Run to the end; the records of all steps."""
    keep = Keep()
    with build.start(config, directory, callbacks=[keep]) as trainer:
        assert trainer.run()
    return keep.records


def code_of(trainer: Trainer) -> Any:
    """The code environment of a run."""
    return trainer.worlds["code"].environment


def seeds(trainer: Trainer, count: int, seed: int) -> list[Task]:
    """Ready tasks of the code environment."""
    return sources_of(code_of(trainer))["seed"].tasks(count, seed)


def toy_trainer(
    storage: Any,
    steps: int = 2,
    engine: Callable[[ToyModel], ToyEngine] = ToyEngine,
    over: Mapping[str, Any] = MappingProxyType({}),
    callbacks: Sequence[Callback] = (),
    **rollout: int,
) -> Trainer:
    """A trainer of two students on ten tasks of a toy environment; no sandbox, no database.

    `over`: further keys of its config.
    """
    config = build_config(
        {
            "steps": steps,
            "callbacks": [],
            "environments": {"parity": {"type": "tests.toy:Parity"}},
            "population": {"teachers": 0, "students": 2},
            "rollout": {"matches": 2, "tasks_per_match": 4, "attempts": 4, **rollout},
            "evolution": {"enabled": False},
            "eval": {"enabled": False},
            **over,
        }
    )
    model, environment = ToyModel(2), config.environments["parity"]
    optimizer = StackedAdamW(model.adapters.parameters())
    learner = Learner(model, optimizer, config.learner, temperature=1.0, seed=0, steps=steps)
    world = World(
        environment, Archive(100, environment), HeldOut(environment, (), seed=1), None,
        environment.sources["stream"], 1.0,
    )  # fmt: skip
    parts = Parts(
        config=config, engine=engine(model), adapters=model.adapters, learner=learner,
        worlds=Worlds({"parity": world}), ratings=RatingSystem(config.population),
        population=Population.founders(config.population),
        hall_of_fame=HallOfFame(config.population.hall_of_fame, Path(), model.adapters),
        evolution=Evolution(config.evolution, config.population, dict.fromkeys(Role, 1.0), 0),
        behaviour=BehaviourLog(5), callbacks=Callbacks(callbacks), base_parameters=100,
        base_digest="",
    )  # fmt: skip
    return Trainer(parts, storage)


class Memory:
    """Storage that keeps what it is given."""

    def __init__(self) -> None:
        self.records: list[StepRecord] = []

    def write(self, record: StepRecord, checkpoint: Snapshot | None) -> None:
        self.records.append(record)

    def save(self, checkpoint: Snapshot) -> None: ...

    def truncate_after(self, step: int) -> None: ...
