"""A made-up study with known effects: test data, no result."""

from typing import Any

import numpy as np

from redqueen.compare import Answers, KindRow, RunResult, StepRow, Study, build_study

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
SKILL = {"populora-4x4": 0.6, "no-evolution": 0.595, "uniform": 0.5, "azr": 0.4, "azr-long": 0.5}
DRIFT = {"azr": -0.3, "azr-long": -0.3}
"""Log change of complexity over the run; the others' is +0.3."""
TASKS, SAMPLES = 900, 8


def made_up_study(**over: Any) -> Study:
    values = {
        "name": "Made-up study",
        "seeds": [0, 1, 2, 3],
        "evaluation": {"tasks": TASKS, "samples": SAMPLES},
        "entries": ENTRIES,
        "views": VIEWS,
        "claims": CLAIMS,
    }
    return build_study(values | over)


def curves_of(rng: np.random.Generator, entry: str, last: int) -> tuple[list[StepRow], Any]:
    steps: list[StepRow] = []
    kinds: dict[str, list[KindRow]] = {kind: [] for kind in KINDS}
    single = entry in DRIFT
    for step in range(1, last + 1):
        share = step / last
        coverage = 0.4 * (1 - np.exp(-3 * share)) if single else 0.5 * share**0.7
        seconds = float(rng.normal(2.0 if single else 5.0, 0.2))
        steps.append(StepRow(step, seconds, 32, float(coverage)))
        size = np.exp(DRIFT.get(entry, 0.3) * share)
        for k, kind in enumerate(KINDS):
            swing = 0.0 if single else 0.2 * np.sin(step / 4)
            middle = 0.9 * share + 0.05 if single else 0.5 + swing
            tasks = 9
            rates = rng.binomial(8, np.clip(rng.normal(middle, 0.05, tasks), 0.02, 0.98)) / 8
            noise = rng.normal(0, 0.1, 3)
            features = {
                "ast_depth": (6 + k) * size + noise[0],
                "cyclomatic": 3 * size + noise[1],
                "lines": 8 * size + noise[2],
            }
            kinds[kind].append(
                KindRow(
                    step, kind, tasks, features, 8 * tasks, tasks,
                    float(rates.sum()), float((rates**2).sum()),
                )
            )  # fmt: skip
    return steps, {kind: tuple(rows) for kind, rows in kinds.items()}


def made_up_runs(study: Study) -> list[RunResult]:
    """Every run of a study: skill by entry, 1 point of luck a run, 1 point between members."""
    rng = np.random.default_rng(5)
    ease_T = rng.normal(0, 0.2, TASKS)
    kinds_T = np.array([KINDS[i % 3] for i in range(TASKS)])

    def rates(skill: float, samples: int) -> np.ndarray:
        return rng.binomial(samples, np.clip(skill + ease_T, 0.02, 0.98)) / samples

    base = {"sampled": rates(0.35, SAMPLES), "greedy": rates(0.35, 1)}
    runs = []
    for entry in study.entries:
        for seed in study.seeds:
            steps, kinds = curves_of(rng, entry.name, entry.steps or 60)
            luck, answers = rng.normal(0, 0.004), {}
            members = range(1 if entry.name in DRIFT else 4)
            for mode, samples in (("sampled", SAMPLES), ("greedy", 1)):
                skill = SKILL[entry.name] + luck
                rates_MT = np.array([rates(skill - 0.01 * m, samples) for m in members])
                names = tuple(f"member:{m}" for m in members)
                answers["held-out", mode] = Answers(names, rates_MT, base[mode], kinds_T)
            runs.append(RunResult(entry.name, seed, tuple(steps), kinds, answers))
    return runs
