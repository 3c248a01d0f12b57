"""The loop with the real parts: a step, evolution, resuming after SIGKILL, failures of ours."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import redqueen
from redqueen import build
from redqueen.callbacks.base import Callback, Callbacks
from redqueen.callbacks.database import Snapshot
from redqueen.config import Config, build_config
from redqueen.curriculum import Archive, HeldOut, World, Worlds, suite_tasks
from redqueen.engines.base import Engine, OnFinished, Sampling, ignore
from redqueen.environments.base import sources_of
from redqueen.errors import ConfigError, InfrastructureError
from redqueen.evolution import BehaviourLog, Evolution
from redqueen.learner import Learner, StackedAdamW
from redqueen.models.adapters import AdapterStack
from redqueen.open_run import open_run
from redqueen.parts import Parts
from redqueen.population import HallOfFame, Population, RatingSystem
from redqueen.store import RunStore
from redqueen.trainer import Trainer
from redqueen.types import Completion, Rejection, Request, Role, StepRecord, Task, Verdict
from tests.toy import ToyEngine, ToyModel

Make = Callable[..., Config]
SEEDLING_FILES = Path(redqueen.__file__).parent / "seedling"

DRIVER = """
import json, os, signal, sys
from pathlib import Path
from redqueen import build
from redqueen.callbacks.base import Callback
from redqueen.config import build_config

action, directory, kill_at, values = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]

class Killer(Callback):
    def on_phase(self, step, phase):
        if phase == "learn" and step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

if action == "start":
    made = build.start(build_config(json.loads(values)), directory, callbacks=[Killer()])
else:
    made = build.resume(directory)
with made as trainer:
    trainer.run()
"""


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


def drive(action: str, directory: Path, config: Config, kill_at: int = 0) -> int:
    """Run the trainer in a process of its own; the exit status is -9 if it killed itself."""
    values = json.dumps(config.model_dump(mode="json"))
    command = [sys.executable, "-c", DRIVER, action, str(directory), str(kill_at), values]
    return subprocess.run(command, check=False, timeout=280).returncode


def final_files(directory: Path, step: int) -> dict[str, bytes]:
    folder = directory / "checkpoints" / f"step-{step:06d}"
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


SIGNALS: dict[str, Any] = {
    "evolution": {"interval": 2, "fitness": {"type": "dominated_novelty", "by": "probe"}},
    "rollout": {"propose_temperature": 1.2, "vocabulary_dropout": 0.05},
    "learner": {
        "teacher": {
            "advantage": {"type": "reinforce++", "pooled": True, "window": 3},
            "reward": "novelty",
        }
    },
    "curriculum": {"references": {"type": "varied", "by": "rare", "share": 0.8}},
}
"""What teachers and selection go by, all of it unlike the defaults."""


FAME: dict[str, Any] = {
    "population": {"hall_of_fame": {"share": 0.6, "interval": 1, "size": 2, "slots": 1}}
}
"""Most matches against the past, of which little is kept."""


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"evolution": {"interval": 2}}, SIGNALS, FAME])
def test_killed_and_resumed_run_equals_the_run_never_killed(
    tiny: Make, tmp_path: Path, changes: dict[str, Any]
) -> None:
    config = tiny(steps=8, **changes)
    assert drive("start", tmp_path / "whole", config) == 0
    assert drive("start", tmp_path / "killed", config, kill_at=5) == -signal.SIGKILL
    with RunStore.open(tmp_path / "killed", read_only=True) as store:
        assert store.last_step() in (3, 4)  # the fourth may still have been on its way
    assert drive("resume", tmp_path / "killed", config) == 0
    whole, killed = (final_files(tmp_path / name, 8) for name in ("whole", "killed"))
    assert whole.keys() == killed.keys() == {"adapters.safetensors", "optimizer.safetensors"}
    assert whole == killed
    with (
        RunStore.open(tmp_path / "whole", read_only=True) as first,
        RunStore.open(tmp_path / "killed", read_only=True) as second,
    ):
        assert first.load_ratings() == second.load_ratings()
        assert first.load_events() == second.load_events()
        assert first.load_metrics("solve_rate") == second.load_metrics("solve_rate")
        assert first.load_matches() == second.load_matches()
        for step in (1, 5, 8):
            assert first.load_proposals(step) == second.load_proposals(step)


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
    config = tiny(steps=3, rollout={"matches": 1, **SIGNALS["rollout"]}, evolution=evolution)
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
    config = tiny(steps=3, learner={"teacher": {"frozen": True}})
    with build.start(config, tmp_path / "run") as trainer:
        before = {name: t.clone() for name, t in trainer.adapters.state_dict().items()}
        trainer.run()
        after = trainer.adapters.state_dict()
        assert [m.id for m in trainer.population.members][:2] == [0, 1]
    assert all(torch.equal(before[name][:2], after[name][:2]) for name in after)
    assert not all(torch.equal(before[name][2:], after[name][2:]) for name in after)


def test_a_generation_replaces_one_teacher_and_one_student(tiny: Make, tmp_path: Path) -> None:
    with build.start(tiny(steps=4), tmp_path / "run") as trainer:
        trainer.run()
        assert [m.slot for m in trainer.population.members] == [0, 1, 2, 3]
        assert {m.id for m in trainer.population.members} - {0, 1, 2, 3} == {4, 5}
    with RunStore.open(tmp_path / "run", read_only=True) as store:
        events = store.load_events()
        assert [event.child for event in events] == [4, 5]
        dead = {m.id for m in store.load_members() if m.died == 2}
        assert dead == {event.removed for event in events}


def test_single_agent_self_play_is_the_same_loop(tiny: Make, tmp_path: Path) -> None:
    config = tiny(steps=1, population={"teachers": 0, "students": 0, "self_play": 1})
    with build.start(config, tmp_path / "run") as trainer:
        trainer.run()
        assert trainer.population.members[0].mu == config.population.mu
    with RunStore.open(tmp_path / "run", read_only=True) as store:
        assert {(m.match.teacher, m.match.student) for m in store.load_matches()} == {(0, 0)}


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
        trainer.engine = Base(trainer.engine)
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


class Finished:
    """An engine all of whose texts come to their end."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, on_finished: OnFinished = ignore
    ) -> list[Completion]:
        completions = [replace(c, finished=True) for c in self.engine.generate(requests, sampling)]
        on_finished(dict(enumerate(completions)))
        return completions

    def sync(self, *arguments: Any) -> None:
        self.engine.sync(*arguments)


def outcomes_of(trainer: Trainer, keep: Keep, validated: list[Task]) -> list[str]:
    """What becomes of these tasks when they are what a step's proposals say."""
    code_of(trainer).validate = lambda drafts: [validated.pop(0) for _ in drafts]
    trainer.engine = Finished(trainer.engine)  # type: ignore[assignment]
    trainer.run()
    return [
        p.outcome.reason if isinstance(p.outcome, Rejection) else "valid"
        for p in keep.records[-1].proposals
    ]


def test_held_out_tasks_and_duplicates_are_rejected(tiny: Make, tmp_path: Path) -> None:
    keep, config = Keep(), tiny(steps=1, curriculum={"held_out": "all"})
    with build.start(config, tmp_path / "run", callbacks=[keep]) as trainer:
        seed = trainer.config.eval.seed
        held_out = [
            suite_tasks(code_of(trainer), n, 1, seed)[0] for n in ("held-out", "handwritten")
        ]
        archived = seeds(trainer, 1, trainer.config.seed)
        fresh = seeds(trainer, 1, 77)
        validated = [*held_out, *archived, *fresh, *fresh, *archived]
        outcomes = outcomes_of(trainer, keep, validated)
    assert outcomes == ["held_out", "held_out", "duplicate", "valid", "duplicate", "duplicate"]


def test_near_copies_are_rejected_also_after_resuming(tiny: Make, tmp_path: Path) -> None:
    def twin(task: Task, name: str) -> Task:
        program = task.payload["program"].replace("g", name)
        return replace(task, id=f"{task.id}{name}", payload={**task.payload, "program": program})

    keep = Keep()
    with build.start(tiny(steps=1), tmp_path / "run", callbacks=[keep]) as trainer:
        archived = seeds(trainer, 6, trainer.config.seed)
        fresh = [task for task in seeds(trainer, 6, 77) if task.kind == "code_o"]
        proposed = [fresh[0], twin(fresh[0], "u"), twin(archived[0], "u"), twin(archived[2], "u"),
                    archived[1], fresh[1]]  # fmt: skip
        assert [task.kind for task in proposed[2:5]] == ["code_o", "code_f", "code_i"]
        expected = ["valid", "near_copy", "near_copy", "near_copy", "duplicate", "valid"]
        assert outcomes_of(trainer, keep, proposed) == expected
    with build.resume(tmp_path / "run", steps=2, callbacks=[keep]) as trainer:
        other = seeds(trainer, 6, 78)
        proposed = [twin(fresh[0], "w"), twin(fresh[1], "w"), *other[:4]]
        expected = ["near_copy", "near_copy", *["valid"] * 4]
        assert outcomes_of(trainer, keep, proposed) == expected
    off = tiny(steps=1, curriculum={"near_copies": False})
    with build.start(off, tmp_path / "off", callbacks=[keep]) as trainer:
        proposed = [fresh[0], twin(fresh[0], "u"), *other[:4]]
        assert outcomes_of(trainer, keep, proposed) == ["valid"] * 6


def test_references_follow_the_configured_rule(tiny: Make, tmp_path: Path) -> None:
    config = tiny(steps=1, curriculum={"references": "azr", "seed_tasks": 12})
    keep = Keep()
    with build.start(config, tmp_path / "run", callbacks=[keep]) as trainer:
        kinds = {task.id: task.kind for task in trainer.worlds["code"].archive.tasks.values()}
        trainer.run()
    shown = [(p.kind, kinds[p.references[0]]) for p in keep.records[0].proposals]
    assert {kind for kind, _ in shown} == {"code_o", "code_i", "code_f"}
    assert all((kind == reference) != (kind == "code_f") for kind, reference in shown)
    metrics = keep.records[0].metrics
    shares = [metrics[f"coverage/{kind}"] for kind in ("code_o", "code_i", "code_f")]
    assert metrics["coverage"] == pytest.approx(sum(shares) / 3)
    assert all(0 < share < 1 for share in shares)


def test_stop_request_saves_and_resumes(tiny: Make, tmp_path: Path) -> None:
    with build.start(tiny(steps=3), tmp_path / "run") as trainer:
        assert not trainer.run(should_stop=lambda: trainer.step == 1)
    with build.resume(tmp_path / "run", steps=2) as trainer:
        assert trainer.step == 1
        assert trainer.run()
    adapters = load_file(tmp_path / "run" / "checkpoints" / "step-000002" / "adapters.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in adapters.values())


def test_errors_before_expensive_work_are_clear(tiny: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown mutation"):
        tiny(evolution={"mutations": ["svdd"]})
    with pytest.raises(ConfigError, match="no run"), build.resume(tmp_path / "nowhere"):
        pass
    lost = tiny(policy={"base": str(tmp_path / "nowhere")})
    with pytest.raises(ConfigError, match="nowhere"), build.start(lost, tmp_path / "b"):
        pass
    suite = tiny(eval={"suites": ["held-in"]})
    with pytest.raises(ConfigError, match="held-in"), build.start(suite, tmp_path / "b"):
        pass
    assert not (tmp_path / "b").exists()


def test_a_relative_base_is_found_from_another_directory(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    shutil.copytree(SEEDLING_FILES, "my-model")
    config = tiny(steps=1, policy={"base": "my-model"}, environments={"code": {"style": "compact"}})
    with build.start(config, Path("run")):
        pass
    monkeypatch.chdir(tmp_path)
    with build.resume(Path("here/run")) as trainer:
        assert trainer.config.policy.base == str((tmp_path / "here" / "my-model").resolve())
        assert trainer.run()


def test_a_base_that_moved_is_named_on_resuming(tiny: Make, tmp_path: Path) -> None:
    shutil.copytree(SEEDLING_FILES, tmp_path / "old")
    style = {"code": {"style": "compact"}}
    config = tiny(steps=1, policy={"base": str(tmp_path / "old")}, environments=style)
    with build.start(config, tmp_path / "run"):
        pass
    (tmp_path / "old").rename(tmp_path / "new")
    with pytest.raises(ConfigError, match="old"), build.resume(tmp_path / "run"):
        pass
    with build.resume(tmp_path / "run", base=str(tmp_path / "new")) as trainer:
        assert trainer.run()
    assert open_run(tmp_path / "run").config.policy.base == str(tmp_path / "new")


def test_a_new_total_of_steps_is_kept(tiny: Make, tmp_path: Path) -> None:
    train(tiny(steps=1), tmp_path / "run")
    with build.resume(tmp_path / "run", steps=5):
        pass
    with build.resume(tmp_path / "run") as trainer:
        assert trainer.config.steps == 5
    with (
        pytest.raises(ConfigError, match="greater than or equal to 1"),
        build.resume(tmp_path / "run", steps=-3),
    ):
        pass


def toy_trainer(storage: Any, steps: int = 2, **rollout: int) -> Trainer:
    """A trainer of two students on ten tasks of a toy environment; no sandbox, no database."""
    config = build_config(
        {
            "steps": steps,
            "callbacks": [],
            "environments": {"parity": {"type": "tests.toy:Parity"}},
            "population": {"teachers": 0, "students": 2},
            "rollout": {"matches": 2, "tasks_per_match": 4, "attempts": 4, **rollout},
            "evolution": {"enabled": False},
            "eval": {"enabled": False},
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
        config=config, engine=ToyEngine(model), adapters=model.adapters, learner=learner,
        worlds=Worlds({"parity": world}), ratings=RatingSystem(config.population),
        population=Population.founders(config.population),
        hall_of_fame=HallOfFame(config.population.hall_of_fame, Path(), model.adapters),
        evolution=Evolution(config.evolution, config.population, dict.fromkeys(Role, 1.0), 0),
        behaviour=BehaviourLog(5), callbacks=Callbacks([]), base_parameters=100, base_digest="",
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
    trainer.callbacks = Callbacks([Breaks(), keep])
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
    trainer.callbacks = Callbacks([calls])
    with trainer:
        assert trainer.run()
    solve = ["solve", "texts of solve"]
    told = ["start", "match", "propose", "validate", *solve, "learn", "evolve", "store", "step"]
    assert [*dict.fromkeys(calls.names)] == [*told, "end, finished True"]


FULL = {
    "fitness": "novelty",
    "sharing": {"by": "behaviour"},
    "selection": {"type": "tournament", "size": 2},
    "replacement": {"type": "tournament", "size": 2},
    "child_rating": "parents",
    "child_optimizer": "parent",
    "hyperparameters": {"vary": ["learning_rate", "temperature"]},
    "diversity_window": 3,
}


@pytest.mark.slow
def test_everything_that_a_generation_judges_is_resumed_exactly(tiny: Make, tmp_path: Path) -> None:
    """Activity, alarms and members' own hyperparameters are part of the checkpoint."""
    config = tiny(
        steps=5,
        population={"teachers": 3, "students": 3},
        rollout={"matches": 3, "tasks_per_match": 2, "attempts": 2, "solve_tokens": 32},
        evolution=FULL | {"interval": 2, "cull": 0.6},
        alarms={"patience": 2, "no_learning_signal": 0.05},
    )
    whole_records, cut_records = Keep(), Keep()
    with build.start(config, tmp_path / "whole", callbacks=[whole_records]) as trainer:
        trainer.run()
        whole = trainer.snapshot().state
    with build.start(config, tmp_path / "cut", callbacks=[cut_records]) as trainer:
        trainer.run(should_stop=lambda: trainer.step == 2)
    with build.resume(tmp_path / "cut", callbacks=[cut_records]) as trainer:
        trainer.run(should_stop=lambda: trainer.step == 4)
    with build.resume(tmp_path / "cut", callbacks=[cut_records]) as trainer:
        trainer.run()
        cut = trainer.snapshot().state
        members = trainer.population.members
    assert cut == whole
    assert final_files(tmp_path / "cut", 5) == final_files(tmp_path / "whole", 5)
    measured = [
        [{k: v for k, v in r.metrics.items() if k != "tokens_per_s"} for r in keep.records]
        for keep in (whole_records, cut_records)
    ]
    assert measured[0] == measured[1]
    # The population has members with temperatures of their own, and the mismatch stays nothing.
    heated = [m.temperature for m in members if m.temperature is not None]
    assert heated
    assert set(heated) != {1.0}
    assert max(metrics["logprob_mismatch"] for metrics in measured[0]) < 1e-4
    assert any("alarm/no_learning_signal" in metrics for metrics in measured[0])
    for metrics in measured[0]:
        assert metrics["diversity/teacher/weights_mean"] <= 2**0.5
        assert 1.0 <= metrics["diversity/student/weights_effective"] <= 3.0
    with RunStore.open(tmp_path / "cut", read_only=True) as store:
        living = [m for m in store.load_members() if m.died is None]
        kept = {m.id: (m.learning_rate_factor, m.temperature) for m in living}
    assert kept == {m.id: (m.learning_rate_factor, m.temperature) for m in members}
