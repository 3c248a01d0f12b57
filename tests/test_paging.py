"""Whole runs with most members on disk, in a toy world: the same run as with all in memory."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from redqueen import build
from redqueen.config import Config, build_config
from redqueen.engines.base import Sampling
from redqueen.engines.paged import PagedEngine
from redqueen.errors import ConfigError, InfrastructureError
from redqueen.open_run import open_run
from redqueen.population import DiskPager, check_paged
from redqueen.store import RunStore, kept_states, load_checkpoint
from redqueen.types import Request, StepRecord, user
from redqueen.verify import verify_run
from tests.toy import NOISE, ToyEngine, ToyModel
from tests.toy_runs import train
from tests.trainers import Make
from tests.trainers import train as train_real

TEACHERS, STUDENTS = 5, 7
MEMBERS = TEACHERS + STUDENTS


def make_config(steps: int, slots: int, **keys: Any) -> Config:
    return build_config(
        {
            "steps": steps,
            "callbacks": [],
            "environments": {"parity": {"type": "tests.toy:TaughtParity"}},
            "population": {
                "teachers": TEACHERS,
                "students": STUDENTS,
                "slots": slots,
                "hall_of_fame": {"share": 0.3, "interval": 2, "size": 2, "slots": 1},
            },
            "rollout": {"matches": 2, "tasks_per_match": 3, "attempts": 4, "references": 1},
            "curriculum": {"near_copies": False},
            "evolution": {"interval": 3, "compared": 4, "child_optimizer": "parent"},
            "eval": {"enabled": False},
        }
        | keys
    )


Finished = Callable[..., tuple[Path, list[StepRecord]]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Eight steps that nothing interrupts, to be read alone: the run's directory, its records."""

    @cache
    def run(slots: int, **keys: int) -> tuple[Path, list[StepRecord]]:
        directory = tmp_path_factory.mktemp("finished")
        return directory, train(directory, make_config(8, slots, **keys))

    return run


def comparable(record: StepRecord) -> StepRecord:
    """A step without what a clock says."""
    metrics = {k: v for k, v in record.metrics.items() if k != "tokens_per_s"}
    return replace(record, metrics=metrics, seconds={})


def members_on_disk(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (directory / "members").iterdir()}


def member(directory: Path, slot: int) -> dict[str, torch.Tensor]:
    """All that a paged run's last checkpoint keeps of a slot; what a founder is without a file."""
    pages = load_checkpoint(directory).state["pages"]
    if str(slot) in pages:
        name = f"slot-{slot:06d}-step-{pages[str(slot)][0]:06d}.safetensors"
        return load_file(directory / "members" / name)
    a, b = ToyModel(MEMBERS).adapters.founder(slot, 0, NOISE)["table"]
    none = {f"{moment}/table.{n}": torch.zeros_like(t) for moment in ("mean", "square")
            for n, t in (("A", a), ("B", b))}  # fmt: skip
    return {"table.A": a, "table.B": b, "steps": torch.tensor(0)} | none


@pytest.mark.parametrize("slots", [4, 6, MEMBERS])
def test_where_members_lie_changes_no_bit(finished: Finished, slots: int) -> None:
    directory, whole = finished(0)
    on_disk, paged = finished(slots)
    assert [comparable(r) for r in whole] == [comparable(r) for r in paged]
    assert any(record.events for record in whole)
    saved = load_checkpoint(directory).tensors
    everything = saved["adapters"] | saved["optimizer"]
    for slot in range(MEMBERS):
        kept = member(on_disk, slot)
        assert kept.keys() == everything.keys()
        assert all(torch.equal(kept[name], everything[name][slot]) for name in kept)


@pytest.mark.parametrize("kill_at", [1, 3, 6, 8])
@pytest.mark.parametrize("every", [1, 3])
def test_a_killed_run_goes_on_as_if_it_had_not_been(
    finished: Finished, tmp_path: Path, kill_at: int, every: int
) -> None:
    whole, _ = finished(4, checkpoint_every=every)
    config = make_config(8, 4, checkpoint_every=every)
    train(tmp_path, config, kill_at)
    train(tmp_path, config)
    assert kept_states(whole) == kept_states(tmp_path)
    assert members_on_disk(whole) == members_on_disk(tmp_path)
    with (
        RunStore.open(whole, read_only=True) as one,
        RunStore.open(tmp_path, read_only=True) as other,
    ):
        assert one.load_ratings() == other.load_ratings()


def test_a_checkpoint_costs_who_has_changed(finished: Finished) -> None:
    """And only what kept checkpoints name stays on the disk."""
    directory, _ = finished(4)
    before, after = (state["pages"] for state in kept_states(directory))
    changed = {slot for slot, page in after.items() if before.get(slot) != page}
    assert 0 < len(changed) <= 4
    named = {(int(slot), page[0]) for pages in (before, after) for slot, page in pages.items()}
    files = {tuple(map(int, name.split(".")[0].split("-")[1::2])) for name in
             members_on_disk(directory)}  # fmt: skip
    assert files == named


def test_a_member_whose_file_is_damaged_stops_the_run(tmp_path: Path) -> None:
    train(tmp_path, make_config(4, 4))
    for path in (tmp_path / "members").iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(InfrastructureError, match="not the file that was written"):
        train(tmp_path, make_config(8, 4))


def opened(directory: Path, rows: int) -> ToyModel:
    """A model that reads the members of a run, so many at a time."""
    model = ToyModel(MEMBERS, rows)
    DiskPager(directory, model.adapters, MEMBERS, lambda s: model.adapters.founder(s, 0, NOISE))
    return model


def test_texts_of_a_paged_run_are_verified(finished: Finished) -> None:
    directory, _ = finished(4)
    config = make_config(8, 4)
    before = members_on_disk(directory)
    run = SimpleNamespace(directory=directory, config=config, model=opened(directory, 4))
    report = verify_run(run, config.environments)
    assert report.agrees
    assert report.checks["log-probabilities"].checked > 0
    assert members_on_disk(directory) == before


def test_an_engine_writes_for_more_members_than_are_in_memory(finished: Finished) -> None:
    directory, _ = finished(4)
    saved = load_checkpoint(directory)
    requests = [Request(slot, user(str(i)), i) for i, slot in enumerate([*range(MEMBERS), None, 3])]
    texts = []
    for rows in (MEMBERS, 4, 1):
        model, seen = opened(directory, rows), dict[int, Any]()
        model.adapters.pager.restore(saved.state["pages"], saved.step)
        engine = PagedEngine(ToyEngine(model), model.adapters, rows)
        texts.append(engine.generate(requests, Sampling(3, 1.0), seen.update))
        assert [seen[number] for number in range(len(requests))] == texts[-1]
    assert texts[0] == texts[1] == texts[2]
    assert len({text.text for text in texts[0]}) > 1


@pytest.mark.parametrize(
    ("keys", "least"),
    [
        ({}, 4),
        ({"rollout": {"matches": 3, "students_per_task": 2}}, 9),
        ({"rollout": {"students_per_task": "all"}}, 9),
        ({"evolution": {"fitness": "probe"}}, MEMBERS),
        ({"evolution": {"fitness": "novelty"}}, MEMBERS),
        ({"evolution": {"sharing": "weights"}}, MEMBERS),
        ({"engine": {"type": "vllm"}}, MEMBERS),
    ],
)
def test_all_who_meet_must_fit(keys: dict[str, Any], least: int) -> None:
    whole = {"rollout": {"matches": 2}, "evolution": {"interval": 3}}
    merged = {name: whole.get(name, {}) | table for name, table in keys.items()}
    check_paged(make_config(1, least, **merged))
    with pytest.raises(ConfigError, match=f"{least} members must be in memory"):
        check_paged(make_config(1, least - 1, **merged))


@pytest.mark.slow
def test_a_real_run_is_resumed_opened_and_the_same(tiny: Make, tmp_path: Path) -> None:
    people, engine = {"teachers": 3, "students": 3}, {"workers": 2}
    train_real(tiny(steps=3, population=people, engine=engine), tmp_path / "whole")
    config = tiny(steps=3, population=people | {"slots": 4}, engine=engine)
    with build.start(config, tmp_path / "paged") as trainer:
        assert not trainer.run(should_stop=lambda: trainer.step == 1)
    with build.resume(tmp_path / "paged") as trainer:
        assert trainer.run()
    whole, paged = (open_run(tmp_path / name) for name in ("whole", "paged"))
    assert whole.population == paged.population
    for slot in range(6):
        for name, (a, b) in whole.model.adapters.get(slot).items():
            other = paged.model.adapters.get(slot)[name]
            assert torch.equal(a, other.A)
            assert torch.equal(b, other.B)
