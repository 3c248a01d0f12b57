"""Trackers, read back by the packages' own readers, beside what the run's database has.

The packages take seconds to import, so the tests that need them do it.
"""

import json
import os
import struct
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from redqueen.callbacks.base import Callbacks, RunInfo
from redqueen.callbacks.trackers.base import Session, TrackerConfig, Tracking
from redqueen.config import Config, build_config
from redqueen.store import RunStore
from tests.trainers import Keep, Memory, toy_trainer

Courses = Mapping[str, list[tuple[int, float]]]
"""Name -> (step, value)."""

RESULTS = {"eval/parity/sampled/base": 0.25, "eval/parity/greedy/student": 0.75}


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps, resumed in between and measured at the end, that all trackers watched."""
    directory = tmp_path_factory.mktemp("runs") / f"run-{os.getpid()}"
    trackers = ["tensorboard", {"type": "wandb", "mode": "offline"}, "trackio"]
    tracking = build_config({"tracking": trackers}).tracking
    keep = Keep()
    trainer = toy_trainer(Memory())
    trainer.callbacks.callbacks = (keep,)
    with trainer:
        assert trainer.run()
    with RunStore.create(directory, trainer.config, {}) as store:
        for step, record in enumerate(keep.records):
            run = RunInfo(directory, trainer.config, step)
            watching = [item.build(run) for item in tracking]
            for tracker in watching:
                tracker.on_start()
                tracker.on_step(record)
                tracker.on_end(step == 1)
            store.write_step(record)
    for item in tracking:
        item.build(RunInfo(directory, trainer.config, 2)).on_evaluation(2, RESULTS)
    return directory


def stored(directory: Path) -> Courses:
    """What the database has: metrics, times of phases, ratings."""
    courses: dict[str, list[tuple[int, float]]] = defaultdict(list)
    with RunStore.open(directory, read_only=True) as run:
        for row in run.rows("SELECT step, name, value FROM metrics"):
            courses[row["name"]].append((row["step"], row["value"]))
        for time in run.load_phases():
            courses[f"seconds/{time.phase}"].append((time.step, time.seconds))
        for point in run.load_ratings():
            courses[f"member/{point.member}/mu"].append((point.step, point.mu))
    return courses


def check(tracker: Courses, database: Courses, accuracy: float) -> None:
    """Every course of the database is in the tracker, and the results are."""
    results = {name: [(2, value)] for name, value in RESULTS.items()}
    for name, course in (database | results).items():
        assert [step for step, _ in tracker[name]] == [step for step, _ in course], name
        values = [value for _, value in course]
        assert [value for _, value in tracker[name]] == pytest.approx(values, rel=accuracy), name
    assert {"sampled_tokens", "seconds/learn", "member/1/mu"} <= database.keys()


def test_tensorboard(tracked: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from redqueen.callbacks.trackers.tensorboard import FOLDER

    events = EventAccumulator(str(tracked / FOLDER), size_guidance={"scalars": 0})
    events.Reload()
    courses = {
        name: [(event.step, event.value) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }
    check(courses, stored(tracked), 1e-6)  # scalars are float32


def wandb_records(path: Path) -> Iterator[Any]:
    """The records of an offline file: LevelDB's log format (blocks of 32 KiB, chunks of checksum,
    length, type) after a header of seven bytes, each a message of the package."""
    from wandb.proto import wandb_internal_pb2

    data, place, parts = path.read_bytes(), 7, b""
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last chunk
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            yield record
            parts = b""


def test_wandb(tracked: Path) -> None:
    courses: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for path in sorted((tracked / "wandb").glob("offline-run-*/*.wandb")):
        for record in wandb_records(path):
            for item in record.history.item:
                name = "/".join(item.nested_key) or item.key
                if not name.startswith("_"):
                    value = json.loads(item.value_json)
                    courses[name].append((record.history.step.num, value))
    check(courses, stored(tracked), 1e-12)


def test_trackio(tracked: Path) -> None:
    from trackio import SQLiteStorage

    courses: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for row in SQLiteStorage.get_logs("redqueen", tracked.name):
        for name, value in row.items():
            if isinstance(value, float | int):
                courses[name].append((row["step"], value))
    check(courses, stored(tracked), 1e-12)


class Unreachable(TrackerConfig):
    """A service that is down."""

    def open(self, directory: Path, config: Mapping[str, Any], step: int) -> Session:
        raise ConnectionError("no route")


def test_a_tracker_that_cannot_be_opened_is_reported_once(
    tmp_path: Path, tiny: Callable[..., Config], caplog: pytest.LogCaptureFixture
) -> None:
    run = RunInfo(tmp_path, tiny(), 0)
    callbacks = Callbacks([Tracking(Unreachable(), run)])
    callbacks.on_start()
    for _ in range(3):
        callbacks.on_end(True)
    assert [record.getMessage() for record in caplog.records] == [
        "the callback Tracking failed in on_start and is skipped there: ConnectionError: no route"
    ]
