"""Whole runs against the hall of fame, in a toy world: who plays, who learns, what is kept."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from safetensors.torch import load_file, save_file

from redqueen.callbacks.base import Callbacks
from redqueen.callbacks.database import Database
from redqueen.config import Config, build_config
from redqueen.config.population import PopulationConfig
from redqueen.curriculum import Archive, HeldOut, World, Worlds
from redqueen.evolution import BehaviourLog, Evolution
from redqueen.learner import Learner, StackedAdamW
from redqueen.parts import Parts
from redqueen.population import HallOfFame, Population, RatingSystem
from redqueen.report.page import render_page
from redqueen.store import Checkpoint, Replay, RunStore, kept_states, load_checkpoint
from redqueen.trainer import Trainer
from redqueen.types import Member, Role, StepRecord
from redqueen.verify import verify_run
from tests.toy import ToyEngine, ToyModel

LIVING = 4


def make_config(steps: int, **fame: float) -> Config:
    hall = {"share": 0.6, "interval": 1, "size": 2, "slots": 1} | fame
    return build_config(
        {
            "steps": steps,
            "callbacks": [],
            "environments": {"parity": {"type": "tests.toy:TaughtParity"}},
            "population": {"teachers": 2, "students": 2, "hall_of_fame": hall},
            "rollout": {"matches": 3, "tasks_per_match": 3, "attempts": 4, "references": 1},
            "curriculum": {"near_copies": False},
            "evolution": {"interval": 3},
            "eval": {"enabled": False},
        }
    )


def make_parts(config: Config, directory: Path, saved: Checkpoint | None) -> Parts:
    """The parts of a new run, or of one that goes on, as `redqueen.build` makes them."""
    environment = config.environments["parity"]
    model = ToyModel(LIVING + config.population.hall_of_fame.spare_slots)
    optimizer = StackedAdamW(model.adapters.parameters(), slots=LIVING)
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
    )  # fmt: skip
    if saved is None:
        world.archive.add(environment.sources["seed"].tasks(6, 0))
        return parts
    parts.step, parts.population = saved.step, Population.from_json(saved.state["population"])
    model.adapters.load_state_dict(saved.tensors["adapters"], LIVING)
    optimizer.load_state_dict(saved.tensors["optimizer"])
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


def adapters_on_disk(directory: Path) -> dict[int, bytes]:
    files = (directory / "hall_of_fame").glob("*")
    return {int(path.stem.removeprefix("member-")): path.read_bytes() for path in files}


def checkpoint_files(directory: Path, step: int) -> dict[str, bytes]:
    folder = directory / "checkpoints" / f"step-{step:06d}"
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".json"}


@pytest.mark.parametrize("kill_at", [1, 2, 5, 8])
def test_a_killed_run_meets_the_same_past(tmp_path: Path, kill_at: int) -> None:
    config = make_config(8)
    train(tmp_path / "whole", config)
    train(tmp_path / "killed", config, kill_at)
    train(tmp_path / "killed", config)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert checkpoint_files(whole, 8) == checkpoint_files(killed, 8)
    assert kept_states(whole) == kept_states(killed)
    assert adapters_on_disk(whole) == adapters_on_disk(killed) != {}
    with (
        RunStore.open(whole, read_only=True) as first,
        RunStore.open(killed, read_only=True) as second,
    ):
        assert first.load_members() == second.load_members()
        assert first.load_ratings() == second.load_ratings()
        assert first.load_matches() == second.load_matches()


def test_the_past_plays_both_sides_and_never_learns(tmp_path: Path) -> None:
    records = train(tmp_path, make_config(8))
    with RunStore.open(tmp_path, read_only=True) as store:
        members, matches = store.load_members(), store.load_matches()
        ratings = store.load_ratings()
        replayed = [Replay(store).step(record.step) for record in records]
    past = {m.id for m in members if m.is_past}
    # The best teacher and the best student after each step, under ids of their own.
    assert Counter(m.roles for m in members if m.is_past) == {
        (Role.TEACHER,): 8, (Role.STUDENT,): 8,
    }  # fmt: skip
    assert all(m.died == m.born for m in members if m.is_past)
    assert not any(set(m.parents) & past for m in members)
    sides = Counter((m.match.teacher in past, m.match.student in past) for m in matches)
    assert sides[True, False] > 0 < sides[False, True]
    assert sides[True, True] == 0
    for record, again in zip(records, replayed, strict=True):
        learnt = {name.split("/")[1] for name in record.metrics if name.endswith("/grad_norm")}
        assert learnt <= {str(m.id) for m in record.members if not m.is_past}
        authors = {p.teacher for p in record.proposals} | {r.student for r in record.rollouts}
        assert len(authors & past) <= 1  # the slots
        # Both are written and rewarded like everybody's.
        assert all(p.completion.slot == LIVING for p in record.proposals if p.teacher in past)
        assert again.matches == record.matches
        assert {m.id: m for m in again.members} == {m.id: m for m in record.members}
    assert replayed_ratings(replayed) == {(p.step, p.member): (p.mu, p.sigma) for p in ratings}


def replayed_ratings(records: Sequence[StepRecord]) -> dict[tuple[int, int], tuple[float, float]]:
    """All ratings from the results of matches and the births alone."""
    config = PopulationConfig()
    system, rating = RatingSystem(config), dict[int, tuple[float, float]]()
    seen: dict[int, Member] = {}
    points = {}
    for record in records:
        newcomers = [m for m in record.members if m.id not in seen]
        for member in newcomers:
            if not member.is_past:
                rating[member.id] = (config.mu, config.sigma)
        seen |= {m.id: m for m in record.members}
        players = [
            replace(seen[id_], slot=slot, mu=mu, sigma=sigma)
            for slot, (id_, (mu, sigma)) in enumerate(rating.items())
        ]
        after = system.update(Population(tuple(players), 1000), record.matches)
        rating = {m.id: (m.mu, m.sigma) for m in after.members}
        for member in newcomers:
            if member.is_past:
                rating[member.id] = rating[member.parents[0]]
        points |= {(record.step, m.id): rating[m.id] for m in record.members}
    return points


def test_no_kept_checkpoint_lacks_an_adapter_of_the_past(tmp_path: Path) -> None:
    config = make_config(6)
    train(tmp_path, config)
    needed = [{int(id_) for id_ in state["hall_of_fame"]} for state in kept_states(tmp_path)]
    last = adapters_on_disk(tmp_path)
    assert len(needed) == 2
    assert needed[0] != needed[1]
    assert last.keys() == needed[0] | needed[1]
    whole = checkpoint_files(tmp_path, 6)
    # The newest checkpoint is damaged: the one before it still finds its own.
    (tmp_path / "checkpoints" / "step-000006" / "adapters.safetensors").write_bytes(b"")
    assert [record.step for record in train(tmp_path, config)] == [6]
    assert adapters_on_disk(tmp_path) == last
    assert checkpoint_files(tmp_path, 6) == whole


def test_texts_of_the_past_are_verified_from_its_files(tmp_path: Path) -> None:
    config = make_config(6)
    records = train(tmp_path, config)
    run = SimpleNamespace(directory=tmp_path, config=config, model=ToyModel(LIVING))
    report = verify_run(run, config.environments)
    assert report.agrees
    played = {m.id for r in records for m in r.members if m.is_past and m.born < r.step}
    kept = played & adapters_on_disk(tmp_path).keys()
    (id_, *_) = sorted(kept)
    path = tmp_path / "hall_of_fame" / f"member-{id_:06d}.safetensors"
    save_file({name: tensor - 3.0 for name, tensor in load_file(path).items()}, path)
    differences = verify_run(run, config.environments).differences
    assert {difference.check for difference in differences} == {"log-probabilities"}
    path.unlink()
    fewer = verify_run(run, config.environments)
    assert fewer.agrees
    assert fewer.checks["log-probabilities"].checked < report.checks["log-probabilities"].checked


def test_the_report_shows_the_present_against_the_past(tmp_path: Path) -> None:
    train(tmp_path / "off", make_config(3, share=0.0))
    train(tmp_path / "on", make_config(8))
    pages = {}
    for name in ("off", "on"):
        with RunStore.open(tmp_path / name, read_only=True) as store:
            pages[name] = render_page(store)
            matches, members = store.load_matches(), store.load_members()
    assert "against the past" not in pages["off"]
    past = {m.id for m in members if m.is_past}
    played = [r for r in matches if {r.match.teacher, r.match.student} & past]
    ended = sum(r.student_won is not None or r.solve_rate is not None for r in played)
    assert f"of {ended} matches against the past" in pages["on"]
    assert "past on present" in pages["on"]
