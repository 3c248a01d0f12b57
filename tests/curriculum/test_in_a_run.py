"""What a step makes of proposals that are held out, in the archive already, or nearly so."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from redqueen import build
from redqueen.curriculum import suite_tasks
from redqueen.engines.base import Engine, OnFinished, Sampling, ignore
from redqueen.trainer import Trainer
from redqueen.types import Completion, Rejection, Request, Task
from tests.trainers import Keep, Make, code_of, seeds


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

    def close(self) -> None:
        self.engine.close()


def outcomes_of(trainer: Trainer, keep: Keep, validated: list[Task]) -> list[str]:
    """What becomes of these tasks when they are what a step's proposals say."""
    code_of(trainer).validate = lambda drafts: [validated.pop(0) for _ in drafts]
    trainer.rounds.engine = Finished(trainer.engine)
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


@pytest.mark.slow
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
    with build.resume(tmp_path / "run", [("steps", "2")], callbacks=[keep]) as trainer:
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
