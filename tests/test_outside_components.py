"""Matchmakers, rewards, advantages and operators from outside the package, named in a config."""

import json

import numpy as np
import pytest
import torch

from redqueen.config.evolution import EvolutionConfig
from redqueen.config.learner import LearnerConfig
from redqueen.config.population import PopulationConfig
from redqueen.config.section import Section
from redqueen.evolution import BehaviourLog, Evolution, survey
from redqueen.learner.teacher_rewards import Posed
from redqueen.population import Population, RatingSystem, make_matches
from redqueen.types import Role
from tests.evolution.toy_slots import Slots
from tests.learner.toy_bigram import VERSIONS, Bigram, make_batch, make_learner

HERE = "tests.outside_components"
EVOLUTION = {
    "fitness": f"{HERE}:YoungestFittest",
    "selection": f"{HERE}:BestTwo",
    "replacement": f"{HERE}:SecondWorst",
    "mutations": [{"type": f"{HERE}:Negate", "size": 2.0}],
    "crossovers": [f"{HERE}:Other"],
}


def test_a_matchmaker() -> None:
    config = PopulationConfig(matchmaking=f"{HERE}:LastStudent")
    matches = make_matches(
        Population.founders(config),
        config.matchmaking,
        RatingSystem(config),
        count=4,
        students_per_task=1,
        shares={"code": 1.0},
        step=0,
        rng=np.random.default_rng(0),
    )
    assert [m.student for m in matches] == [7, 6, 5, 4]


def test_a_teachers_reward() -> None:
    config = LearnerConfig(teacher={"reward": {"type": f"{HERE}:Threshold", "below": 0.3}})
    tasks = [Posed(rate) for rate in (0.0, 0.2, 0.4)]
    assert config.teacher.reward.of_step(tasks) == [0.0, 1.0, 0.0]


def test_an_advantage_scheme() -> None:
    policy = Bigram(1)
    learner = make_learner(policy, advantage=f"{HERE}:RawReward")
    report = learner.update(make_batch(policy, 0, 8, 0), 1, VERSIONS)
    assert report.trained_sequences == 8
    assert [learner.state()[role] for role in ("teacher", "student")] == [{"calls": 1}] * 2


@pytest.mark.parametrize("crossover", [0.0, 1.0])
def test_the_components_of_a_generation(crossover: float) -> None:
    config = EvolutionConfig(**EVOLUTION, crossover_probability=crossover)
    newcomers = PopulationConfig()
    population, slots, before = Population.founders(newcomers), Slots(8), Slots(8)
    seen = survey(population, BehaviourLog(1), slots.get)
    evolution = Evolution(config, newcomers, dict.fromkeys(Role, 1.0), seed=0)
    _, events = evolution.evolve(population, seen, slots, slots, 15)
    assert [e.removed for e in events] == [1, 5]
    assert [e.parents for e in events] == ([(3, 2), (7, 6)] if crossover else [(3,), (7,)])
    assert {e.operator for e in events} == {f"{HERE}:{'Other' if crossover else 'Negate'}"}
    expected = before.B[2] if crossover else -2.0 * before.B[3]
    assert torch.equal(slots.B[1], expected)


@pytest.mark.parametrize(
    "section",
    [
        PopulationConfig(matchmaking=f"{HERE}:LastStudent"),
        LearnerConfig(teacher={"reward": {"type": f"{HERE}:Threshold", "below": 0.3}}),
        LearnerConfig(student={"advantage": {"type": "rae", "decay": 0.9}}),
        EvolutionConfig(**EVOLUTION, sharing="weights", hyperparameters=["temperature"]),
    ],
    ids=lambda section: type(section).__name__,
)
def test_configs_survive_json(section: Section) -> None:
    assert type(section).model_validate(json.loads(section.model_dump_json())) == section
