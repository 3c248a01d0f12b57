"""Texts that are written while the step before is learnt from."""

import copy
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch

from redqueen import build
from redqueen.callbacks.base import Callback
from redqueen.engines.base import EngineConfig, OnFinished, Sampling, ignore
from redqueen.errors import ConfigError
from redqueen.models.adapters import AdapterStack
from redqueen.store import RunStore
from redqueen.types import Completion, Request, StepRecord
from tests.toy import ToyEngine, ToyModel
from tests.trainers import Make, Memory, toy_trainer

STEPS, KEPT = 7, 4


class Copies(EngineConfig):
    """What a config names where the engine has adapters of its own."""

    @property
    def in_place(self) -> bool:
        return False


class CopyingEngine(ToyEngine):
    """Has adapters of its own, and writes a step ahead only once `learning` is set."""

    def __init__(self, model: ToyModel, learning: threading.Event) -> None:
        super().__init__(copy.deepcopy(model))
        self.learning = learning

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, on_finished: OnFinished = ignore
    ) -> list[Completion]:
        if threading.current_thread() is not threading.main_thread():
            assert self.learning.wait(10), "nobody learns meanwhile"
        return super().generate(requests, sampling, on_finished)

    def sync(self, slots: Sequence[int], adapters: AdapterStack, version: int) -> None:
        self.learning.clear()
        self.model.adapters.load_state_dict(adapters.state_dict(2), 2)
        super().sync(slots, adapters, version)


def keys(copies: bool, learner: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """Config keys of a run whose checkpoint falls in its middle."""
    return {
        "checkpoint_every": KEPT,
        "learner": {"importance_cap": 2.0, **learner},
        "engine": {"type": "tests.rollouts.test_ahead:Copies" if copies else "torch"},
    }


def toy_steps(overlap: bool, learner: Mapping[str, Any] = MappingProxyType({})) -> list[StepRecord]:
    """The steps of a run of the toy world, with texts written ahead on this thread or not."""
    memory = Memory()
    over = keys(False, learner)
    with toy_trainer(memory, STEPS, over=over, overlap=overlap) as trainer:
        assert trainer.run()
    return memory.records


def versions(record: StepRecord) -> set[int]:
    return {rollout.completion.version for rollout in record.rollouts}


def test_texts_are_one_step_old_but_after_a_checkpoint() -> None:
    assert [versions(record) for record in toy_steps(False)] == [{v} for v in range(STEPS)]
    # Step 2 is written while step 1 learns, by the founders; step 5 follows a checkpoint.
    assert [versions(record) for record in toy_steps(True)] == [
        {0}, {0}, {1}, {2}, {4}, {4}, {5},
    ]  # fmt: skip


def test_where_nobody_learns_it_changes_nothing() -> None:
    frozen = {"student": {"frozen": True}, "teacher": {"frozen": True}}
    ahead, behind = toy_steps(True, frozen), toy_steps(False, frozen)
    for one, other in zip(ahead, behind, strict=True):
        texts = [[(r.task_id, r.completion.text) for r in each.rollouts] for each in (one, other)]
        assert texts[0] == texts[1]
        assert one.metrics["solve_rate"] == other.metrics["solve_rate"]


def test_old_texts_are_weighed() -> None:
    ahead, behind = toy_steps(True, {"learning_rate": 0.05}), toy_steps(False)
    assert ahead[1].metrics["importance_weight"] != 1.0
    assert behind[1].metrics["importance_weight"] == pytest.approx(1.0, abs=1e-5)


class Learning(Callback):
    """Says when a step is learnt from."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def on_phase(self, step: int, phase: str) -> None:
        if phase == "learn":
            self.event.set()


def test_an_engine_with_copies_writes_while_others_learn() -> None:
    memory, learning = Memory(), Learning()
    with toy_trainer(
        memory,
        STEPS,
        lambda model: CopyingEngine(model, learning.event),
        keys(True),
        [learning],
        overlap=True,
    ) as trainer:
        assert trainer.run()
    assert [r.rollouts for r in memory.records] == [r.rollouts for r in toy_steps(True)]
    assert "beside/solve" in memory.records[1].seconds
    assert "solve" not in memory.records[1].seconds
    assert "solve" in memory.records[KEPT].seconds


def test_an_engine_that_also_learns_writes_first() -> None:
    class Both(CopyingEngine):
        def __init__(self, model: ToyModel) -> None:
            super().__init__(model, threading.Event())
            self.scorer = model

    memory = Memory()
    with toy_trainer(memory, STEPS, Both, keys(True), overlap=True) as trainer:
        assert trainer.run()
    assert [r.rollouts for r in memory.records] == [r.rollouts for r in toy_steps(True)]
    assert all("solve" in record.seconds for record in memory.records)


def test_what_the_writing_raises_ends_the_run() -> None:
    class Broken(ToyEngine):
        def generate(self, *args: Any) -> list[Completion]:
            if threading.current_thread() is not threading.main_thread():
                raise RuntimeError("no more text")
            return super().generate(*args)

    with (
        toy_trainer(Memory(), STEPS, Broken, keys(True), overlap=True) as trainer,
        pytest.raises(RuntimeError, match="no more text"),
    ):
        trainer.run()


@pytest.mark.slow
def test_a_stopped_run_goes_on_as_if_it_had_not_been(tiny: Make, tmp_path: Path) -> None:
    config = tiny(
        steps=4,
        checkpoint_every=2,
        rollout={"overlap": True},
        learner={"importance_cap": 2.0},
        evolution={"enabled": False},
    )
    with build.start(config, tmp_path / "whole") as whole:
        assert whole.run()
    with build.start(config, tmp_path / "stopped") as stopped:
        assert not stopped.run(should_stop=lambda: stopped.step == 3)
    with build.resume(tmp_path / "stopped") as resumed:
        assert resumed.step == 2
        assert resumed.run()
    assert torch.equal(whole.adapters.buffer, resumed.adapters.buffer)
    rows = []
    for name in ("whole", "stopped"):
        with RunStore.open(tmp_path / name, read_only=True) as run:
            rows.append([run.load_proposals(step) for step in range(1, 5)])
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("over", "advice"),
    [
        ({"learner": {"importance_cap": 0.0}}, "learner.importance_cap = 2"),
        ({"checkpoint_every": 1}, "raise checkpoint_every"),
        ({"population": {"slots": 4}}, "population.slots = 0"),
        ({"population": {"hall_of_fame": {"share": 0.25}}}, "hall_of_fame.share = 0"),
    ],
)
def test_where_it_cannot_work_it_is_refused(
    tiny: Make, tmp_path: Path, over: dict[str, Any], advice: str
) -> None:
    good = {"checkpoint_every": 2, "learner": {"importance_cap": 2.0}, "rollout": {"overlap": True},
            "evolution": {"enabled": False}}  # fmt: skip
    with (
        pytest.raises(ConfigError, match=rf"rollout\.overlap: .*{advice}"),
        build.start(tiny(**good | over), tmp_path / "run"),
    ):
        pass
    assert not (tmp_path / "run").exists()
