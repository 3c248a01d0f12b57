"""Whole runs of a taught toy world, with a database and checkpoints: milliseconds a step."""

from pathlib import Path

import pytest

from redqueen.callbacks.base import Callbacks
from redqueen.callbacks.database import Database
from redqueen.config import Config
from redqueen.curriculum import Archive, HeldOut, World, Worlds
from redqueen.evolution import BehaviourLog, Evolution
from redqueen.learner import Learner, StackedAdamW
from redqueen.parts import Parts
from redqueen.population import DiskPager, HallOfFame, Population, RatingSystem
from redqueen.store import Checkpoint, RunStore, load_checkpoint
from redqueen.trainer import Trainer
from redqueen.types import Role, StepRecord
from tests.toy import NOISE, ToyEngine, ToyModel


def make_parts(config: Config, directory: Path, saved: Checkpoint | None) -> Parts:
    """The parts of a new run, or of one that goes on, as `redqueen.build` makes them."""
    environment = config.environments["parity"]
    people = config.population
    living, spare = people.teachers + people.students, people.hall_of_fame.spare_slots
    rows = min(people.slots or living, living)
    model = ToyModel(living + spare, rows + spare)
    adapters = model.adapters
    optimizer = StackedAdamW(adapters.parameters(), slots=rows, row_of=adapters.row_of[:living])
    pager = None
    if people.slots:
        pager = DiskPager(
            directory, adapters, living, lambda slot: adapters.founder(slot, 0, NOISE), optimizer
        )
    world = World(
        environment, Archive(200, environment), HeldOut(environment, (), seed=1), None, None, 1.0
    )
    parts = Parts(
        config=config, engine=ToyEngine(model), adapters=model.adapters,
        learner=Learner(model, optimizer, config.learner, temperature=1.0, seed=0,
                        steps=config.steps),
        worlds=Worlds({"parity": world}), ratings=RatingSystem(config.population),
        population=Population.founders(config.population),
        hall_of_fame=HallOfFame(config.population.hall_of_fame, directory, model.adapters),
        evolution=Evolution(config.evolution, config.population, dict.fromkeys(Role, 1.0), 0),
        behaviour=BehaviourLog(5), callbacks=Callbacks([]), base_parameters=100, base_digest="",
        pager=pager,
    )  # fmt: skip
    if saved is None:
        world.archive.add(environment.sources["seed"].tasks(6, 0))
        return parts
    parts.step, parts.population = saved.step, Population.from_json(saved.state["population"])
    if pager is None:
        adapters.load_state_dict(saved.tensors["adapters"], living)
        optimizer.load_state_dict(saved.tensors["optimizer"])
    else:
        pager.restore(saved.state["pages"], saved.step)
    parts.learner.restore(saved.state["learner"])
    parts.behaviour.restore(saved.state["behaviour"])
    parts.hall_of_fame.restore(saved.state["hall_of_fame"])
    world.archive.restore(saved.state["archives"]["parity"])
    return parts


class Killed(BaseException):
    """Ends the process, as far as a test in one process can."""


class Kept(Database):
    """Keeps what was written, and kills the run when a step is about to be."""

    def __init__(self, store: RunStore, kill_at: int | None) -> None:
        super().__init__(store, keep_checkpoints=2)
        self.records: list[StepRecord] = []
        self.kill_at = kill_at

    def write(self, record: StepRecord, checkpoint: object) -> None:
        if record.step == self.kill_at:
            raise Killed
        self.records.append(record)
        super().write(record, checkpoint)  # type: ignore[arg-type]


def train(directory: Path, config: Config, kill_at: int | None = None) -> list[StepRecord]:
    """Begin a run or go on with it; returns the records of the steps that were done."""
    fresh = not (directory / "run.db").exists()
    with RunStore.create(directory, config) if fresh else RunStore.open(directory) as store:
        if fresh:
            store.write_seed_tasks(config.environments["parity"].sources["seed"].tasks(6, 0))
        saved = None if fresh else load_checkpoint(directory)
        storage = Kept(store, kill_at)
        with Trainer(make_parts(config, directory, saved), storage) as trainer:
            if fresh:
                storage.save(trainer.snapshot())
            if kill_at is None:
                assert trainer.run()
            else:
                with pytest.raises(Killed):
                    trainer.run()
    return storage.records
