"""The loop: what a step does, with the real parts and with fakes; what stops a run."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from redqueen import build
from redqueen.callbacks.base import Callback
from redqueen.engines.base import Engine, OnFinished, Sampling, ignore
from redqueen.errors import InfrastructureError
from redqueen.models.adapters import AdapterStack
from redqueen.store import RunStore
from redqueen.types import Completion, Rejection, Request, StepRecord, Task, Verdict
from tests.trainers import Keep, Make, Memory, code_of, seeds, toy_trainer, train


def test_a_step_fills_the_store_and_moves_only_who_trained(tiny: Make, tmp_path: Path) -> None:
    keep = Keep()
    with build.start(tiny(steps=1), tmp_path / "run", callbacks=[keep]) as trainer:
        before = {name: t.clone() for name, t in trainer.adapters.state_dict().items()}
        trainer.run()
        after = trainer.adapters.state_dict()
    (record,) = keep.records
    assert len(record.proposals) == 2 * 3
    valid = [p for p in record.proposals if isinstance(p.outcome, Task)]
    assert len(record.rollouts) == 3 * len(valid)
    assert record.metrics["logprob_mismatch"] < 1e-4
    assert {p.completion.version for p in record.proposals} == {0}
    trained = {p.completion.slot for p in record.proposals} | {
        r.completion.slot for r in record.rollouts
    }
    for slot in range(4):
        moved = any(not torch.equal(before[n][slot], after[n][slot]) for n in after)
        assert not moved or slot in trained
    with RunStore.open(tmp_path / "run", read_only=True) as store:
        assert store.last_step() == 1
        assert len(store.load_proposals(1)) == 6
        assert {m.id for m in store.load_members()} == {0, 1, 2, 3}


def test_in_a_probe_every_task_goes_to_every_student(tiny: Make, tmp_path: Path) -> None:
    evolution = {"interval": 2, "fitness": {"type": "probe", "tasks": 4, "attempts": 2}}
    config = tiny(
        steps=3,
        rollout={"matches": 1, "propose_temperature": 1.2, "vocabulary_dropout": 0.05},
        evolution=evolution,
    )
    ordinary, probe, last = train(config, tmp_path / "run")
    assert [len(record.proposals) for record in (ordinary, probe, last)] == [3, 8, 3]
    assert [result.match.tasks_of for result in probe.matches] == [None, None, 0, 1]
    tasks = {p.outcome.id for p in probe.proposals if isinstance(p.outcome, Task)}
    counts = Counter((r.student, r.task_id) for r in probe.rollouts)
    assert counts == {(student, task): 2 for student in (2, 3) for task in tasks}
    for student in (2, 3):
        scores = [r.verdict is Verdict.CORRECT for r in probe.rollouts if r.student == student]
        assert probe.metrics[f"member/{student}/fitness"] == pytest.approx(
            sum(scores) / len(scores)
        )
    assert probe.events
    assert not any(name.endswith("/fitness") for name in ordinary.metrics)
    asked = [p.request for p in probe.proposals]
    assert {request.temperature for request in asked} == {1.2}
    # A mask for each teacher and step.
    masks = {p.request.suppression for p in (*probe.proposals, *last.proposals)}
    assert len(masks) == 3
    assert probe.metrics["logprob_mismatch"] < 1e-4
    with RunStore.open(tmp_path / "run", read_only=True) as store:
        (name,) = {key for key in probe.metrics if key.startswith("fitness_reliability/student")}
        assert store.load_metrics(name) == [(2, probe.metrics[name])]


def test_frozen_members_stay_as_they_are(tiny: Make, tmp_path: Path) -> None:
    config = tiny(steps=2, evolution={"interval": 1}, learner={"teacher": {"frozen": True}})
    with build.start(config, tmp_path / "run") as trainer:
        before = {name: t.clone() for name, t in trainer.adapters.state_dict().items()}
        trainer.run()
        after = trainer.adapters.state_dict()
        assert [m.id for m in trainer.population.members][:2] == [0, 1]
    assert all(torch.equal(before[name][:2], after[name][:2]) for name in after)
    assert not all(torch.equal(before[name][2:], after[name][2:]) for name in after)


def test_a_generation_replaces_one_teacher_and_one_student(tiny: Make, tmp_path: Path) -> None:
    with build.start(tiny(steps=2, evolution={"interval": 1}), tmp_path / "run") as trainer:
        trainer.run()
        assert [m.slot for m in trainer.population.members] == [0, 1, 2, 3]
        assert {m.id for m in trainer.population.members} - {0, 1, 2, 3} == {4, 5}
    with RunStore.open(tmp_path / "run", read_only=True) as store:
        events = store.load_events()
        assert [event.child for event in events] == [4, 5]
        dead = {m.id for m in store.load_members() if m.died == 1}
        assert dead == {event.removed for event in events}


def test_single_agent_self_play_is_the_same_loop(tiny: Make, tmp_path: Path) -> None:
    config = tiny(steps=1, population={"teachers": 0, "students": 0, "self_play": 1})
    with build.start(config, tmp_path / "run") as trainer:
        trainer.run()
        assert trainer.population.members[0].mu == config.population.mu
    with RunStore.open(tmp_path / "run", read_only=True) as store:
        assert {(m.match.teacher, m.match.student) for m in store.load_matches()} == {(0, 0)}


@pytest.mark.slow
def test_cross_evaluation_pays_the_teacher_for_all_attempts(tiny: Make, tmp_path: Path) -> None:
    rollout = {"students_per_task": "all", "attempts": 4, "tasks_per_match": 5}
    config = tiny(steps=1, rollout=rollout, learner={"teacher": {"reward": "variance"}})
    (record,) = train(config, tmp_path / "run")
    matches = [result.match for result in record.matches]
    assert [m.tasks_of for m in matches] == [None, None, 0, 1]
    rates = []
    for proposal, reward in zip(record.proposals, record.proposal_rewards, strict=True):
        if not isinstance(proposal.outcome, Task):
            continue
        attempts = [
            r
            for r in record.rollouts
            if r.task_id == proposal.outcome.id and matches[r.match].root == proposal.match
        ]
        assert Counter(r.student for r in attempts) == {2: 4, 3: 4}
        assert {matches[r.match].teacher for r in attempts} == {proposal.teacher}
        s = sum(r.verdict is Verdict.CORRECT for r in attempts) / 8
        assert reward == pytest.approx(4 * s * (1 - s))
        rates.append(s)
    assert len(record.rollouts) == 8 * len(rates)
    assert set(rates) - {0.0, 1.0}  # else the reward would not have been put to the test
    for result in record.matches:
        solved = [
            r.verdict is Verdict.CORRECT for r in record.rollouts if r.match == result.match.index
        ]
        assert result.solve_rate == pytest.approx(sum(solved) / len(solved))
    # Each student met both teachers, so everybody's rating has moved twice or drawn.
    assert {m.sigma for m in record.members}.isdisjoint({config.population.sigma})


class Base:
    """An engine that lets the base write in the members' place."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, on_finished: OnFinished = ignore
    ) -> list[Completion]:
        completions = self.engine.generate([replace(r, slot=None) for r in requests], sampling)
        stale = [replace(c, slot=r.slot) for c, r in zip(completions, requests, strict=True)]
        on_finished(dict(enumerate(stale)))
        return stale

    def sync(self, slots: Sequence[int], adapters: AdapterStack, version: int) -> None:
        self.engine.sync(slots, adapters, version)

    def close(self) -> None:
        self.engine.close()


def test_stale_adapter_stops_the_run_before_weights_change(tiny: Make, tmp_path: Path) -> None:
    with build.start(tiny(steps=1, policy={"init_noise": 0.3}), tmp_path / "run") as trainer:
        trainer.rounds.engine = Base(trainer.engine)
        before = {n: t.clone() for n, t in trainer.adapters.state_dict().items()}
        with pytest.raises(InfrastructureError, match="stale"):
            trainer.run()
        after = trainer.adapters.state_dict()
        assert all(torch.equal(before[name], after[name]) for name in before)
        assert trainer.step == 0


def test_an_older_version_stops_the_run(tiny: Make, tmp_path: Path) -> None:
    with build.start(tiny(steps=2), tmp_path / "run") as trainer:
        trainer.engine.sync(range(4), trainer.adapters, version=7)
        with pytest.raises(InfrastructureError, match="version"):
            trainer.run()
        assert trainer.step == 0


def test_sandbox_down_stops_the_run_and_is_no_reward(tiny: Make, tmp_path: Path) -> None:
    with build.start(tiny(steps=1), tmp_path / "run") as trainer:
        environment = code_of(trainer)
        verify = environment.verify

        def broken(attempts):  # type: ignore[no-untyped-def]
            return [replace(item, verdict=Verdict.INFRA_ERROR) for item in verify(attempts)]

        environment.verify = broken
        archive = trainer.worlds["code"].archive
        environment.validate = lambda drafts: seeds(trainer, len(drafts), 99)
        with pytest.raises(InfrastructureError, match="checkpoint is intact"):
            trainer.run()
        assert len(archive) == 6
    with RunStore.open(tmp_path / "run", read_only=True) as store:
        assert store.last_step() == 0


def test_dead_sandbox_in_validation_stops_the_run(tiny: Make, tmp_path: Path) -> None:
    with build.start(tiny(steps=2), tmp_path / "run") as trainer:
        lost = Rejection("infra_error", malformed=False, infra=True)
        code_of(trainer).validate = lambda drafts: [lost] * len(drafts)
        with pytest.raises(InfrastructureError, match="of 6 proposals"):
            trainer.run()
        assert trainer.step == 0


@pytest.mark.slow
def test_a_step_that_cannot_be_written_stops_the_run(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with build.start(tiny(steps=5, checkpoint_every=1), tmp_path / "run") as trainer:
        write = trainer.storage.write

        def full(record: StepRecord, checkpoint: Any) -> None:
            if record.step == 3:
                raise InfrastructureError("disk full")
            write(record, checkpoint)

        monkeypatch.setattr(trainer.storage, "write", full)
        with pytest.raises(InfrastructureError, match="disk full"):
            trainer.run()
        assert trainer.step == 4  # made while the third was to be written
    with RunStore.open(tmp_path / "run", read_only=True) as store:
        assert store.last_step() == 2
    with build.resume(tmp_path / "run") as trainer:
        assert trainer.step == 2
        assert trainer.run()


def test_a_fake_environment_engine_and_source_drive_whole_steps() -> None:
    """Ten tasks in all, no sandbox, no generator, no teachers; well under a second."""
    memory = Memory()
    trainer = toy_trainer(memory)
    begun = time.process_time()
    with trainer:
        assert trainer.run()
    assert time.process_time() - begun < 2.0  # two steps
    assert [record.step for record in memory.records] == [1, 2]
    for record in memory.records:
        assert len(record.streamed) == 2 * 4
        assert len(record.rollouts) == 2 * 4 * 4
        assert {r.completion.version for r in record.rollouts} == {record.step - 1}
        assert record.metrics["logprob_mismatch"] < 1e-5
        assert all(reward in (1.0, -0.5) for reward in record.rollout_rewards)
    assert memory.records[0].metrics["trained_sequences"] > 0


class Breaks(Callback):
    """Fails wherever it is called."""

    def on_step(self, record: StepRecord) -> None:
        raise ValueError("a tracker is down")


def test_a_callback_that_fails_is_reported_once_and_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    memory, keep = Memory(), Keep()
    trainer = toy_trainer(memory)
    trainer.callbacks.callbacks = (
        Breaks(),
        keep,
    )
    with trainer:
        assert trainer.run()
    assert len(keep.records) == 2
    assert [r.message for r in caplog.records if "a tracker is down" in r.message] == [
        "the callback Breaks failed in on_step and is skipped there: ValueError: a tracker is down"
    ]


@pytest.mark.parametrize(("goal", "limit"), [(0, 4), (6, 4), (100, 3)])
def test_tasks_are_posed_until_enough_groups_are_mixed(goal: int, limit: int) -> None:
    memory = Memory()
    trainer = toy_trainer(memory, mixed_groups=goal, max_rounds=limit)
    with trainer:
        assert trainer.run()
    for record in memory.records:
        mixed = [0]
        for size in range(8, len(record.rollouts) // 4 + 1, 8):  # of two matches with four tasks
            groups: dict[str, set[bool]] = {}
            for rollout in record.rollouts[: 4 * size]:
                right = rollout.verdict is Verdict.CORRECT
                groups.setdefault(rollout.group, set()).add(right)
            assert len(groups) == size
            mixed.append(sum(len(seen) == 2 for seen in groups.values()))
        rounds = len(mixed) - 1
        assert record.metrics["rounds"] == rounds
        assert record.metrics["mixed_groups"] == mixed[-1]
        assert all(count < goal for count in mixed[1:-1])
        assert mixed[-1] >= goal or rounds == limit
        assert [match.match.index for match in record.matches] == list(range(2 * rounds))
        assert len(record.streamed) == 8 * rounds


class Calls(Callback):
    """Keeps the names of what it is told."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def on_start(self) -> None:
        self.names.append("start")

    def on_phase(self, step: int, phase: str) -> None:
        self.names.append(phase)

    def on_texts(self, phase: str, finished: int, total: int) -> None:
        if finished == total:
            self.names.append(f"texts of {phase}")

    def on_step(self, record: StepRecord) -> None:
        self.names.append("step")

    def on_end(self, finished: bool) -> None:
        self.names.append(f"end, finished {finished}")


def test_callbacks_are_told_of_everything_in_order() -> None:
    calls = Calls()
    trainer = toy_trainer(Memory(), steps=1)
    trainer.callbacks.callbacks = (calls,)
    with trainer:
        assert trainer.run()
    solve = ["solve", "texts of solve"]
    told = ["start", "match", "propose", "validate", *solve, "learn", "evolve", "store", "step"]
    assert [*dict.fromkeys(calls.names)] == [*told, "end, finished True"]
