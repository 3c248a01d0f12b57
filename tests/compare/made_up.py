"""A made-up study with known effects, written through the study database: test data, no result.

`python tests/compare/made_up.py DIRECTORY` writes one to look at.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from redqueen.compare import plan
from redqueen.compare.database import StudyDatabase
from redqueen.compare.study import Study, build_study
from redqueen.store import EvaluationRow
from redqueen.store.schema import transaction

KINDS = ("code_o", "code_i", "code_f")
SINGLE = {
    "population.teachers": 0,
    "population.students": 0,
    "population.self_play": 1,
    "rollout.matches": 1,
}
ENTRIES: list[dict[str, Any]] = [
    {"name": "populora-4x4", "steps": 60},
    {"name": "no-evolution", "steps": 60, "overrides": {"evolution.enabled": False}},
    {"name": "uniform", "steps": 60, "overrides": {"population.matchmaking": "uniform"}},
    {"name": "azr", "steps": 60, "overrides": SINGLE},
    {"name": "azr-long", "steps": 240, "overrides": SINGLE},
]
VIEWS = [
    {
        "name": "per adapter",
        "match": "adapter",
        "entries": ["populora-4x4", "no-evolution", "uniform", "azr"],
    },
    {"name": "in total", "match": "total", "entries": ["populora-4x4", "azr-long"]},
]
CLAIMS = [
    {"claim": "tasks-diverge", "of": "populora-4x4", "against": "azr"},
    {"claim": "rates-oscillate", "of": "populora-4x4"},
    {"claim": "coverage-grows", "of": "populora-4x4"},
    {"claim": "mean-beats", "of": "populora-4x4", "against": "azr"},
    {"claim": "mean-beats", "of": "populora-4x4", "against": "azr-long"},
    {"claim": "weakest-beats", "of": "populora-4x4", "against": "azr"},
    {"claim": "cost", "of": "populora-4x4", "against": "azr"},
    {"claim": "evolution-adds", "of": "populora-4x4", "against": "no-evolution"},
    {"claim": "matchmaking-adds", "of": "populora-4x4", "against": "uniform"},
]
SKILL = {"populora-4x4": 0.55, "no-evolution": 0.54, "uniform": 0.50, "azr": 0.42, "azr-long": 0.5}
DRIFT = {"azr": -0.3, "azr-long": -0.3}
"""Log change of complexity over the run; the others' is +0.3."""


def made_up_study(**over: Any) -> Study:
    values = {
        "name": "Made-up study",
        "seeds": [0, 1, 2, 3],
        "evaluation": {"tasks": 90, "samples": 2},
        "entries": ENTRIES,
        "views": VIEWS,
        "claims": CLAIMS,
    }
    return build_study(values | over)


def steps_of(rng: np.random.Generator, entry: str, last: int) -> tuple[list[Any], list[Any]]:
    """Rows of `steps` and `kinds`."""
    steps, kinds = [], []
    single = entry in DRIFT
    for step in range(1, last + 1):
        share = step / last
        coverage = 0.4 * (1 - np.exp(-3 * share)) if single else 0.5 * share**0.7
        seconds = float(rng.normal(2.0 if single else 5.0, 0.2))
        steps.append((step, seconds, 32, 28, coverage, 100.0 * share, 0.4, 9000.0))
        size = np.exp(DRIFT.get(entry, 0.3) * share)
        for k, kind in enumerate(KINDS):
            swing = 0.0 if single else 0.2 * np.sin(step / 4)
            middle = 0.9 * share + 0.05 if single else 0.5 + swing
            tasks = 9
            rates = rng.binomial(8, np.clip(rng.normal(middle, 0.05, tasks), 0.02, 0.98)) / 8
            noise = rng.normal(0, 0.1, 3)
            kinds.append(
                (
                    step, kind, tasks, (6 + k) * size + noise[0], 3 * size + noise[1],
                    8 * size + noise[2], int(8 * rates.sum()), 8 * tasks, tasks,
                    float(rates.sum()), float((rates**2).sum()),
                )
            )  # fmt: skip
    return steps, kinds


def answers(
    rng: np.random.Generator, subject: str, rate: float, easy: np.ndarray, samples: int
) -> list[EvaluationRow]:
    rows = []
    for mode, count in (("greedy", 1), ("sampled", samples)):
        for i, ease in enumerate(easy):
            chance = float(np.clip(rate + ease, 0.02, 0.98))
            rows.append(
                EvaluationRow(
                    subject, "held-out", mode, f"task-{i:03d}", KINDS[i % 3], 1 + i // 3 % 5,
                    int(rng.binomial(count, chance)), count,
                )
            )  # fmt: skip
    return rows


def make_up(path: Path, study: Study | None = None, failed: bool = False) -> None:
    """Write a study database with every run of `study`."""
    study = study or made_up_study()
    plan_ = plan(study)
    wanted = study.evaluation
    rng = np.random.default_rng(5)
    easy = rng.normal(0, 0.2, wanted.tasks)
    with StudyDatabase.create_or_open(path) as db:
        db.write_plan(plan_, "redqueen compare studies/made-up.toml --jobs 2")
        db.add_base("base:seedling", answers(rng, "base", 0.35, easy, wanted.samples))
        base = db.rows("SELECT id FROM runs WHERE entry = 'base:seedling'")[0][0]
        for run in plan_.runs:
            if failed and run == plan_.runs[-1]:
                db.add_failure(run.entry.name, run.seed, "the sandbox failed on all 8 attempts")
                continue
            name = run.entry.name
            machine = json.dumps({"torch": "2.13", "python": "3.11"})
            memory = json.dumps({"host": float(rng.normal(900 if name in DRIFT else 1100, 5))})
            with transaction(db.db):
                id_ = db._fresh_run(name, run.seed, base=base, memory=memory, machine=machine)
                steps, kinds = steps_of(rng, name, run.config.steps)
                db._insert("steps", id_, steps)
                db._insert("kinds", id_, kinds)
                luck = rng.normal(0, 0.01)
                students = 1 if name in DRIFT else 4
                rows: list[EvaluationRow] = []
                for m in range(students):
                    rate = SKILL[name] + luck - 0.01 * m
                    rows += answers(rng, f"member:{m}", rate, easy, wanted.samples)
                db._add_evaluations(id_, rows)


if __name__ == "__main__":
    from redqueen.compare import report

    folder = Path(sys.argv[1])
    make_up(folder / "study.db", failed=True)
    print(report(folder).page)
