"""Whole runs against the hall of fame, in a toy world: who plays, who learns, what is kept."""

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from safetensors.torch import load_file, save_file

from redqueen.config import Config, build_config
from redqueen.config.population import PopulationConfig
from redqueen.population import Population, RatingSystem
from redqueen.report.page import render_page
from redqueen.store import Replay, RunStore, kept_states
from redqueen.types import Member, Role, StepRecord
from redqueen.verify import verify_run
from tests.toy import ToyModel
from tests.toy_runs import train

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


def adapters_on_disk(directory: Path) -> dict[int, bytes]:
    files = (directory / "hall_of_fame").glob("*")
    return {int(path.stem.removeprefix("member-")): path.read_bytes() for path in files}


def checkpoint_files(directory: Path, step: int) -> dict[str, bytes]:
    folder = directory / "checkpoints" / f"step-{step:06d}"
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".json"}


Finished = tuple[Path, list[StepRecord]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Eight steps that nothing interrupts, to be read alone: the run's directory, its records."""
    directory = tmp_path_factory.mktemp("finished")
    return directory, train(directory, make_config(8))


@pytest.mark.parametrize("kill_at", [1, 2, 5, 8])
def test_a_killed_run_meets_the_same_past(finished: Finished, tmp_path: Path, kill_at: int) -> None:
    (whole, _), killed = finished, tmp_path
    train(killed, make_config(8), kill_at)
    train(killed, make_config(8))
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


def test_the_past_plays_both_sides_and_never_learns(finished: Finished) -> None:
    directory, records = finished
    with RunStore.open(directory, read_only=True) as store:
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


def test_texts_of_the_past_are_verified_from_its_files(finished: Finished, tmp_path: Path) -> None:
    config, (directory, records) = make_config(8), finished
    shutil.copytree(directory, tmp_path, dirs_exist_ok=True)
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


def test_the_report_shows_the_present_against_the_past(finished: Finished, tmp_path: Path) -> None:
    train(tmp_path, make_config(3, share=0.0))
    pages = {}
    for name, directory in {"off": tmp_path, "on": finished[0]}.items():
        with RunStore.open(directory, read_only=True) as store:
            pages[name] = render_page(store)
            matches, members = store.load_matches(), store.load_members()
    assert "against the past" not in pages["off"]
    past = {m.id for m in members if m.is_past}
    played = [r for r in matches if {r.match.teacher, r.match.student} & past]
    ended = sum(r.student_won is not None or r.solve_rate is not None for r in played)
    assert f"of {ended} matches against the past" in pages["on"]
    assert "past on present" in pages["on"]
