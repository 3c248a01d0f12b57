"""The loop with the real parts: a step, evolution, resuming after SIGKILL, failures of ours."""

import json
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import redqueen
from redqueen.benchmarks import suite_tasks
from redqueen.config import Config
from redqueen.errors import ConfigError, InfrastructureError
from redqueen.store import RunStore
from redqueen.trainer import Trainer
from redqueen.types import Rejection, StepRecord, Task, Verdict

Make = Callable[..., Config]
SEEDLING_FILES = Path(redqueen.__file__).parent / "seedling"

DRIVER = """
import json, os, signal, sys
from pathlib import Path
from redqueen.config import build_config
from redqueen.trainer import Trainer

action, directory, kill_at, values = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
if action == "start":
    trainer = Trainer.start(build_config(json.loads(values)), directory)
else:
    trainer = Trainer.resume(directory)

def progress(phase, record):
    if phase == "learn" and trainer.step + 1 == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)

with trainer:
    trainer.run(progress)
"""


def drive(action: str, directory: Path, config: Config, kill_at: int = 0) -> int:
    """Run the trainer in a process of its own; the exit status is -9 if it killed itself."""
    values = json.dumps(config.model_dump(mode="json"))
    command = [sys.executable, "-c", DRIVER, action, str(directory), str(kill_at), values]
    return subprocess.run(command, check=False, timeout=280).returncode


def final_files(directory: Path, step: int) -> dict[str, bytes]:
    folder = directory / "checkpoints" / f"step-{step:06d}"
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


def quiet(phase: str, record: StepRecord | None) -> None:
    """No progress display."""


@pytest.mark.slow
def test_killed_and_resumed_run_equals_the_run_never_killed(tiny: Make, tmp_path: Path) -> None:
    config = tiny(steps=8, evolution={"interval": 2})
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
        for step in (1, 5, 8):
            assert first.load_proposals(step) == second.load_proposals(step)


def test_a_step_fills_the_store_and_moves_only_who_trained(tiny: Make, tmp_path: Path) -> None:
    records: list[StepRecord] = []
    with Trainer.start(tiny(steps=1), tmp_path / "run") as trainer:
        before = {name: t.clone() for name, t in trainer.policy.adapters.state_dict().items()}
        trainer.run(lambda phase, record: records.append(record) if record else None)
        after = trainer.policy.adapters.state_dict()
    (record,) = records
    assert len(record.proposals) == 2 * 3
    valid = [p for p in record.proposals if isinstance(p.outcome, Task)]
    assert len(record.rollouts) == 3 * len(valid)
    assert record.metrics["logprob_gap"] < 1e-4
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


def test_a_generation_replaces_one_teacher_and_one_student(tiny: Make, tmp_path: Path) -> None:
    with Trainer.start(tiny(steps=4), tmp_path / "run") as trainer:
        trainer.run(quiet)
        assert [m.slot for m in trainer.population.members] == [0, 1, 2, 3]
        assert {m.id for m in trainer.population.members} - {0, 1, 2, 3} == {4, 5}
    with RunStore.open(tmp_path / "run", read_only=True) as store:
        events = store.load_events()
        assert [event.child for event in events] == [4, 5]
        dead = {m.id for m in store.load_members() if m.died == 2}
        assert dead == {event.removed for event in events}


def test_single_agent_self_play_is_the_same_loop(tiny: Make, tmp_path: Path) -> None:
    config = tiny(steps=1, population={"teachers": 0, "students": 0, "self_play": 1})
    with Trainer.start(config, tmp_path / "run") as trainer:
        trainer.run(quiet)
        assert trainer.population.members[0].mu == config.population.mu
    with RunStore.open(tmp_path / "run", read_only=True) as store:
        assert {(m.match.teacher, m.match.student) for m in store.load_matches()} == {(0, 0)}


def test_cross_evaluation_pays_the_teacher_for_all_attempts(tiny: Make, tmp_path: Path) -> None:
    records: list[StepRecord] = []
    rollout = {"students_per_task": "all", "attempts": 4, "tasks_per_match": 5}
    config = tiny(steps=1, rollout=rollout, learner={"teacher_reward": "variance"})
    with Trainer.start(config, tmp_path / "run") as trainer:
        trainer.run(lambda phase, record: records.append(record) if record else None)
    (record,) = records
    matches = [result.match for result in record.matches]
    assert [m.tasks_of for m in matches] == [None, None, 0, 1]
    rates = []
    for proposal in record.proposals:
        if not isinstance(proposal.outcome, Task):
            continue
        own = [
            r
            for r in record.rollouts
            if r.task_id == proposal.outcome.id and matches[r.match].root == proposal.match
        ]
        assert Counter(r.student for r in own) == {2: 4, 3: 4}
        assert {matches[r.match].teacher for r in own} == {proposal.teacher}
        s = sum(r.verdict is Verdict.CORRECT for r in own) / 8
        assert proposal.reward == pytest.approx(4 * s * (1 - s))
        rates.append(s)
    assert len(record.rollouts) == 8 * len(rates)
    assert set(rates) - {0.0, 1.0}  # else the reward would not have been put to the test
    for result in record.matches:
        own = [
            r.verdict is Verdict.CORRECT for r in record.rollouts if r.match == result.match.index
        ]
        assert result.solve_rate == pytest.approx(sum(own) / len(own))
    # Each student met both teachers, so everybody's rating has moved twice or drawn.
    assert {m.sigma for m in record.members}.isdisjoint({config.population.sigma})


def test_stale_adapter_stops_the_run_before_weights_change(tiny: Make, tmp_path: Path) -> None:
    with Trainer.start(tiny(steps=1, policy={"init_noise": 0.3}), tmp_path / "run") as trainer:
        generate = trainer.policy.generate

        def stale(requests, **options):  # type: ignore[no-untyped-def]
            base = [replace(request, slot=None) for request in requests]
            texts = generate(base, **options)
            return [replace(t, slot=r.slot) for t, r in zip(texts, requests, strict=True)]

        trainer.policy.generate = stale  # type: ignore[method-assign]
        before = {n: t.clone() for n, t in trainer.policy.adapters.state_dict().items()}
        with pytest.raises(InfrastructureError, match="stale"):
            trainer.run(quiet)
        after = trainer.policy.adapters.state_dict()
        assert all(torch.equal(before[name], after[name]) for name in before)
        assert trainer.step == 0


def test_sandbox_down_stops_the_run_and_is_no_reward(tiny: Make, tmp_path: Path) -> None:
    with Trainer.start(tiny(steps=1), tmp_path / "run") as trainer:
        verify = trainer.domain.verify

        def broken(attempts):  # type: ignore[no-untyped-def]
            return [replace(item, verdict=Verdict.INFRA_ERROR) for item in verify(attempts)]

        trainer.domain.verify = broken  # type: ignore[method-assign]
        seeds = trainer.archive
        trainer.domain.validate = lambda drafts: list(  # type: ignore[method-assign]
            trainer.domain.seed_tasks(len(drafts), seed=99)
        )
        with pytest.raises(InfrastructureError, match="checkpoint is intact"):
            trainer.run(quiet)
        assert len(seeds) == 6
    with RunStore.open(tmp_path / "run", read_only=True) as store:
        assert store.last_step() == 0


def test_dead_sandbox_in_validation_stops_the_run(tiny: Make, tmp_path: Path) -> None:
    with Trainer.start(tiny(steps=2), tmp_path / "run") as trainer:
        lost = Rejection("infra_error", malformed=False, infra=True)
        trainer.domain.validate = lambda drafts: [lost] * len(drafts)  # type: ignore[method-assign]
        with pytest.raises(InfrastructureError, match="of 6 proposals"):
            trainer.run(quiet)
        assert trainer.step == 0


def test_texts_are_checked_while_others_are_being_written(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redqueen.trainer.CHECKED_TOGETHER", 1)
    events: list[str] = []
    with Trainer.start(tiny(steps=1), tmp_path / "run") as trainer:
        for name in ("validate", "verify"):
            check = getattr(trainer.domain, name)

            def watched(items: Any, name: str = name, check: Any = check) -> Any:
                events.append(name)
                return check(items)

            monkeypatch.setattr(trainer.domain, name, watched)
        generate = trainer.policy.generate

        def written(*args: Any, **options: Any) -> Any:
            texts = generate(*args, **options)
            events.append("written")
            return texts

        monkeypatch.setattr(trainer.policy, "generate", written)
        trainer.run(quiet)
    proposed = events.index("written")
    assert "validate" in events[:proposed]
    assert "verify" in events[proposed : events.index("written", proposed + 1)]


def test_a_step_that_cannot_be_written_stops_the_run(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Trainer.start(tiny(steps=6, checkpoint_every=1), tmp_path / "run") as trainer:
        write = trainer.store.write_step

        def full(record: StepRecord) -> None:
            if record.step == 3:
                raise InfrastructureError("disk full")
            write(record)

        monkeypatch.setattr(trainer.store, "write_step", full)
        with pytest.raises(InfrastructureError, match="disk full"):
            trainer.run(quiet)
        assert trainer.step == 4  # made while the third was to be written
    with RunStore.open(tmp_path / "run", read_only=True) as store:
        assert store.last_step() == 2
    with Trainer.resume(tmp_path / "run") as trainer:
        assert trainer.step == 2
        assert trainer.run(quiet)


def test_held_out_tasks_and_duplicates_are_rejected(tiny: Make, tmp_path: Path) -> None:
    records: list[StepRecord] = []
    with Trainer.start(tiny(steps=1), tmp_path / "run") as trainer:
        seed = trainer.config.eval.seed
        suites = ("held-out", "handwritten")
        held_out = [suite_tasks(name, trainer.domain, 1, seed)[0] for name in suites]
        known = trainer.domain.seed_tasks(1, trainer.config.seed)
        fresh = trainer.domain.seed_tasks(1, seed=77)
        validated = [*held_out, *known, *fresh, *fresh, *known]
        trainer.domain.validate = lambda drafts: validated  # type: ignore[method-assign]
        trainer.run(lambda phase, record: records.append(record) if record else None)
    outcomes = [
        p.outcome.reason if isinstance(p.outcome, Rejection) else "valid"
        for p in records[0].proposals
        if p.completion.finished
    ]
    assert set(outcomes) <= {"held_out", "duplicate", "valid"}
    for proposal, expected in zip(
        records[0].proposals,
        ("held_out", "held_out", "duplicate", "valid", "duplicate", "duplicate"),
        strict=True,
    ):
        if proposal.completion.finished and expected != "duplicate":
            found = proposal.outcome
            assert (found.reason if isinstance(found, Rejection) else "valid") == expected


def test_near_copies_are_rejected_also_after_resuming(tiny: Make, tmp_path: Path) -> None:
    records: list[StepRecord] = []

    def keep(phase: str, record: StepRecord | None) -> None:
        if record is not None:
            records.append(record)

    def twin(task: Task, name: str) -> Task:
        program = task.payload["program"].replace("g", name)
        return replace(task, id=f"{task.id}{name}", payload={**task.payload, "program": program})

    def step(trainer: Trainer, validated: list[Task]) -> list[str]:
        trainer.domain.validate = lambda drafts: validated  # type: ignore[method-assign]
        generate = trainer.policy.generate
        trainer.policy.generate = lambda *args, **options: [  # type: ignore[method-assign]
            replace(text, finished=True) for text in generate(*args, **options)
        ]
        trainer.run(keep)
        return [
            p.outcome.reason if isinstance(p.outcome, Rejection) else "valid"
            for p in records[-1].proposals
        ]

    with Trainer.start(tiny(steps=1), tmp_path / "run") as trainer:
        known = trainer.domain.seed_tasks(6, trainer.config.seed)
        fresh = [task for task in trainer.domain.seed_tasks(6, seed=77) if task.kind == "code_o"]
        proposed = [fresh[0], twin(fresh[0], "u"), twin(known[0], "u"), twin(known[2], "u"),
                    known[1], fresh[1]]  # fmt: skip
        assert [task.kind for task in proposed[2:5]] == ["code_o", "code_f", "code_i"]
        expected = ["valid", "near_copy", "near_copy", "near_copy", "duplicate", "valid"]
        assert step(trainer, proposed) == expected
        forms = {key: trainer.domain.form(task) for key, task in trainer.archive.tasks.items()}
    with Trainer.resume(tmp_path / "run", steps=2) as trainer:
        again = {key: trainer.domain.form(task) for key, task in trainer.archive.tasks.items()}
        assert again == forms
        other = trainer.domain.seed_tasks(6, seed=78)
        proposed = [twin(fresh[0], "w"), twin(fresh[1], "w"), *other[:4]]
        assert step(trainer, proposed) == ["near_copy", "near_copy", *["valid"] * 4]
    off = tiny(steps=1, domain={"guards": ["leak"]})
    with Trainer.start(off, tmp_path / "off") as trainer:
        proposed = [fresh[0], twin(fresh[0], "u"), *other[:4]]
        assert step(trainer, proposed) == ["valid"] * 6


def test_references_follow_the_configured_rule(tiny: Make, tmp_path: Path) -> None:
    config = tiny(steps=1, domain={"references": "azr", "seed_tasks": 12})
    with Trainer.start(config, tmp_path / "run") as trainer:
        kinds = {task.id: task.kind for task in trainer.archive.tasks.values()}
        records: list[StepRecord] = []
        trainer.run(lambda phase, record: records.append(record) if record else None)
    shown = [(p.kind, kinds[p.references[0]]) for p in records[0].proposals]
    assert {kind for kind, _ in shown} == {"code_o", "code_i", "code_f"}
    assert all((kind == reference) != (kind == "code_f") for kind, reference in shown)
    metrics = records[0].metrics
    shares = [metrics[f"coverage/{kind}"] for kind in ("code_o", "code_i", "code_f")]
    assert metrics["coverage"] == pytest.approx(sum(shares) / 3)
    assert all(0 < share < 1 for share in shares)


def test_stop_request_saves_and_resumes(tiny: Make, tmp_path: Path) -> None:
    with Trainer.start(tiny(steps=3), tmp_path / "run") as trainer:
        assert not trainer.run(quiet, should_stop=lambda: trainer.step == 1)
    with Trainer.resume(tmp_path / "run", steps=2) as trainer:
        assert trainer.step == 1
        assert trainer.run(quiet)
    adapters = load_file(tmp_path / "run" / "checkpoints" / "step-000002" / "adapters.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in adapters.values())


def test_errors_before_expensive_work_are_clear(tiny: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown operator"):
        Trainer.start(tiny(evolution={"mutations": ["svdd"]}), tmp_path / "a")
    with pytest.raises(ConfigError, match="no run"):
        Trainer.resume(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="nowhere"):
        Trainer.start(tiny(policy={"base": str(tmp_path / "nowhere")}), tmp_path / "b")
    assert not (tmp_path / "b" / "run.db").exists()


def test_a_relative_base_is_found_from_another_directory(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    shutil.copytree(SEEDLING_FILES, "my-model")
    config = tiny(steps=1, policy={"base": "my-model"}, domain={"style": "compact"})
    Trainer.start(config, Path("run")).close()
    monkeypatch.chdir(tmp_path)
    with Trainer.resume(Path("here/run")) as trainer:
        assert trainer.config.policy.base == str((tmp_path / "here" / "my-model").resolve())
        assert trainer.run(quiet)


def test_a_new_total_of_steps_is_kept(tiny: Make, tmp_path: Path) -> None:
    with Trainer.start(tiny(steps=1), tmp_path / "run") as trainer:
        trainer.run(quiet)
    Trainer.resume(tmp_path / "run", steps=5).close()
    with Trainer.resume(tmp_path / "run") as trainer:
        assert trainer.config.steps == 5
    with pytest.raises(ConfigError, match="greater than or equal to 1"):
        Trainer.resume(tmp_path / "run", steps=-3)


FULL = {
    "fitness": "novelty",
    "sharing": "behaviour",
    "selection": "tournament",
    "replacement": "tournament",
    "tournament_size": 2,
    "child_rating": "parents",
    "child_optimizer": "parent",
    "hyperparameters": ["learning_rate", "temperature"],
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
    records: dict[str, list[StepRecord]] = {"whole": [], "cut": []}

    def keep(name: str) -> Callable[[str, StepRecord | None], None]:
        return lambda phase, record: records[name].append(record) if record else None

    with Trainer.start(config, tmp_path / "whole") as trainer:
        trainer.run(keep("whole"))
        whole = trainer.chronicle.state(), trainer.alarms.state(), trainer.population
    with Trainer.start(config, tmp_path / "cut") as trainer:
        trainer.run(keep("cut"), should_stop=lambda: trainer.step == 2)
    with Trainer.resume(tmp_path / "cut") as trainer:
        trainer.run(keep("cut"), should_stop=lambda: trainer.step == 4)
    with Trainer.resume(tmp_path / "cut") as trainer:
        trainer.run(keep("cut"))
        cut = trainer.chronicle.state(), trainer.alarms.state(), trainer.population
    assert cut == whole
    assert final_files(tmp_path / "cut", 5) == final_files(tmp_path / "whole", 5)
    measured = [
        [{k: v for k, v in r.metrics.items() if k != "tokens_per_s"} for r in records[name]]
        for name in ("whole", "cut")
    ]
    assert measured[0] == measured[1]
    # The population has members with temperatures of their own, and the gap stays nothing.
    own = [m for m in whole[2].members if m.temperature is not None]
    assert own
    assert {m.temperature for m in own} != {1.0}
    assert max(metrics["logprob_gap"] for metrics in measured[0]) < 1e-4
    assert any("alarm/no_learning_signal" in metrics for metrics in measured[0])
    for metrics in measured[0]:
        assert metrics["diversity/teacher/weights_mean"] <= 2**0.5
        assert 1.0 <= metrics["diversity/student/weights_effective"] <= 3.0
    with RunStore.open(tmp_path / "cut", read_only=True) as store:
        living = [m for m in store.load_members() if m.died is None]
        kept = {m.id: (m.learning_rate_factor, m.temperature) for m in living}
    assert kept == {m.id: (m.learning_rate_factor, m.temperature) for m in whole[2].members}
