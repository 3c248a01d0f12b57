import json
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from redqueen.config.evolution import EvolutionConfig
from redqueen.config.population import PopulationConfig
from redqueen.errors import ConfigError
from redqueen.evolution import BehaviourLog, Evolution, check_rated, removed_members, survey
from redqueen.evolution.replacement import cull_count
from redqueen.population import Population
from redqueen.types import Role
from tests.evolution.toy_slots import Slots

HEAT = dict.fromkeys(Role, 1.0)


def setup(
    mus: dict[int, float] | None = None, sizes: dict | None = None, **evolution: Any
) -> tuple[Population, Evolution]:
    newcomers = PopulationConfig(**(sizes or {}))
    population = Population.founders(newcomers)
    population = population.updated(
        [replace(population.by_id(i), mu=mu, sigma=1.0) for i, mu in (mus or {}).items()]
    )
    return population, Evolution(EvolutionConfig(**evolution), newcomers, HEAT, seed=0)


def run(population: Population, evolution: Evolution, step: int = 10, seed: int = 0):
    slots = Slots(len(population))
    seen = survey(population, BehaviourLog(5), slots.get)
    evolution = replace(evolution, seed=seed)
    return *evolution.evolve(population, seen, slots, slots, step), slots


def test_the_weakest_of_each_role_is_replaced_in_its_slot() -> None:
    mus = {0: 30, 1: 20, 2: 25, 3: 28, 4: 30, 5: 31, 6: 40, 7: 29}
    population, evolution = setup(mus)
    new, events, slots = run(population, evolution)
    assert [(e.role, e.removed, e.child) for e in events] == [
        (Role.TEACHER, 1, 8),
        (Role.STUDENT, 7, 9),
    ]
    assert slots.reset == [1, 7]
    before = Slots(8)
    for slot in range(8):
        assert torch.equal(slots.A[slot], before.A[slot]) == (slot not in (1, 7))
    for event in events:
        child, dead = new.by_id(event.child), population.by_id(event.removed)
        assert (child.slot, child.roles, child.born) == (dead.slot, dead.roles, 10)
        assert (child.mu, child.sigma) == (25.0, 25.0 / 3.0)
        assert (child.parents, child.operator) == (event.parents, event.operator)
        assert event.removed not in event.parents
        for parent in event.parents:
            assert population.by_id(parent).roles == dead.roles
        assert np.isfinite(list(event.details.values())).all()
        json.dumps(dict(event.details), allow_nan=False)
    assert [m.died for m in removed_members(population, events)] == [10, 10]
    assert [m.id for m in removed_members(population, events)] == [1, 7]


def test_generations_repeat_from_seed_and_step() -> None:
    population, evolution = setup(
        {i: 20.0 + i for i in range(8)}, mutations=("svd",), crossovers=("average",)
    )
    a, events_a, slots_a = run(population, evolution, seed=5)
    b, events_b, slots_b = run(population, evolution, seed=5)
    assert (a, events_a) == (b, events_b)
    assert torch.equal(slots_a.A, slots_b.A)
    plans = {
        tuple((e.operator, e.parents) for e in run(population, evolution, step=s)[1])
        for s in range(6)
    }
    assert len(plans) > 2
    mutations = replace(evolution, config=EvolutionConfig(crossover_probability=0.0))
    others = [(0, 10), (1, 10), (2, 10), (0, 20)]
    weights = {
        tuple(run(population, mutations, step, seed)[2].A[0].ravel().tolist())
        for seed, step in others
    }
    assert len(weights) == len(others)


def test_operators_are_drawn_as_configured() -> None:
    population, evolution = setup({i: 20.0 + i for i in range(8)})
    seen: Counter[str] = Counter()
    for seed in range(300):
        for event in run(population, evolution, seed=seed)[1]:
            seen[event.operator] += 1
            assert len(set(event.parents)) == len(event.parents)
            assert len(event.parents) == (2 if event.operator in ("average", "layerwise") else 1)
            fitness = [population.by_id(p).mu for p in event.parents]
            assert fitness == sorted(fitness, reverse=True)
    # 600 draws, a quarter each: standard deviation 10.6.
    assert all(abs(count - 150) < 43 for count in seen.values())
    assert len(seen) == 4


def test_two_members_leave_one_survivor_that_mutates() -> None:
    population, evolution = setup(
        {0: 20, 1: 30, 2: 30, 3: 20},
        {"teachers": 2, "students": 2},
        crossover_probability=1.0,
        cull=0.9,
    )
    for seed in range(5):
        events = run(population, evolution, seed=seed)[1]
        assert [(e.removed, e.parents) for e in events] == [(0, (1,)), (3, (2,))]
        assert all(e.operator in ("svd", "layer_gaussian") for e in events)


def test_a_lone_member_is_never_replaced() -> None:
    population, evolution = setup(sizes={"teachers": 1, "students": 1})
    new, events, _ = run(population, evolution)
    assert (new, events) == (population, ())


def test_self_play_members_evolve_among_themselves() -> None:
    population, evolution = setup(
        {0: 10, 1: 9, 2: 30, 3: 20, 4: 25},
        {"teachers": 1, "students": 1, "self_play": 3},
    )
    _, events, _ = run(population, evolution)
    assert [e.removed for e in events] == [3]
    assert set(events[0].parents) <= {2, 4}


@pytest.mark.parametrize(
    ("members", "cull", "expected"),
    [
        (4, 0.25, 1),
        (8, 0.25, 2),
        (7, 0.25, 1),
        (3, 0.1, 1),
        (2, 0.99, 1),
        (1, 0.9, 0),
        (4, 0, 0),
        (100, 0.29, 29),
        (10, 0.3, 3),
        (10, 1 / 3, 3),
        (0, 0.5, 0),
        (3, 0.99, 2),
    ],
)
def test_cull_count(members: int, cull: float, expected: int) -> None:
    assert cull_count(members, cull) == expected


def test_a_generation_is_due_every_interval() -> None:
    _, evolution = setup(interval=5)
    assert [s for s in range(16) if evolution.is_due(s)] == [5, 10, 15]
    for key, value in (("enabled", False), ("cull", 0.0)):
        assert not setup(interval=5, **{key: value})[1].is_due(5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mutations": ("svd", "tickle")}, "unknown mutation 'tickle'; known: svd"),
        ({"crossovers": ("svd",)}, "unknown crossover 'svd'; known: average"),
        ({"mutations": ()}, "mutations must name at least one"),
        ({"crossovers": ()}, "crossovers is empty"),
    ],
)
def test_bad_operators_are_named(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EvolutionConfig(**change)
    EvolutionConfig(crossovers=(), crossover_probability=0.0)
    EvolutionConfig(mutations=(), crossovers=(), enabled=False)


def test_operators_take_their_keys_from_the_config() -> None:
    mus = {i: 20.0 + i for i in range(8)}
    population, evolution = setup(
        mus, mutations=[{"type": "neftune", "alpha": 0.0}], crossover_probability=0.0
    )
    _, events, slots = run(population, evolution)
    for event in events:
        assert event.operator == "neftune"
        parent = population.by_id(event.parents[0]).slot
        assert torch.equal(slots.A[population.by_id(event.removed).slot], slots.A[parent])


@pytest.mark.parametrize(
    ("population", "evolution", "good"),
    [
        ({"teachers": 0, "students": 2}, {}, False),
        ({"teachers": 0, "students": 2}, {"fitness": "conservative"}, False),
        ({"teachers": 0, "students": 2}, {"fitness": "solve_rate"}, True),
        ({"teachers": 0, "students": 2}, {"enabled": False}, True),
        ({"teachers": 0, "students": 1}, {}, True),
        ({"teachers": 0, "students": 0, "self_play": 2}, {}, False),
        ({"teachers": 1, "students": 4}, {}, True),
    ],
)
def test_selection_by_rating_needs_rated_members(
    population: dict[str, int], evolution: dict[str, Any], good: bool
) -> None:
    configs = PopulationConfig(**population), EvolutionConfig(**evolution)
    if good:
        check_rated(*configs)
    else:
        with pytest.raises(
            ConfigError,
            match=r"evolution\.fitness = '(mean|conservative)' selects .* no rated opponent",
        ):
            check_rated(*configs)


def test_a_child_inherits_rating_and_optimizer_state_if_told_to() -> None:
    mus = {i: 20.0 + i for i in range(8)}
    population, evolution = setup(mus, child_rating="parents", child_optimizer="parent", cull=0.5)
    new, events, slots = run(population, evolution)
    assert slots.reset == []
    first = [(population.by_id(e.parents[0]).slot, new.by_id(e.child).slot) for e in events]
    assert slots.copied == first
    assert len(events) == 4
    for event in events:
        child = new.by_id(event.child)
        assert child.mu == pytest.approx(np.mean([mus[p] for p in event.parents]))
        assert child.sigma == pytest.approx(0.5 * 25 / 3)


def test_survivors_keep_weights_rating_and_hyperparameters() -> None:
    population, evolution = setup(
        {i: 20.0 + i for i in range(8)},
        hyperparameters={"vary": ("learning_rate", "temperature")},
        cull=0.5,
    )
    new, events, slots = run(population, evolution)
    changed = {population.by_id(e.removed).slot for e in events}
    before = Slots(8)
    for member in new.members:
        old = population.members[member.slot]
        pair = (member.learning_rate_factor, member.temperature)
        if member.slot in changed:
            assert 0.25 <= pair[0] <= 4.0
            assert pair[1] is not None
            assert 0.7 <= pair[1] <= 1.3
            assert pair != (1.0, None)
        else:
            assert member == old
            assert torch.equal(slots.A[member.slot], before.A[member.slot])


def test_members_of_frozen_roles_are_left_as_they_are() -> None:
    population, evolution = setup({0: 30, 1: 20, 5: 31})
    for frozen, roles in (
        ({Role.TEACHER}, {Role.STUDENT}), ({Role.STUDENT}, {Role.TEACHER}), (set(Role), set()),
    ):  # fmt: skip
        _, events, _ = run(population, replace(evolution, frozen=frozenset(frozen)))
        assert {event.role for event in events} == roles
    # Who holds both roles is frozen only when both are.
    both, evolution = setup({}, {"teachers": 0, "students": 0, "self_play": 3})
    assert run(both, replace(evolution, frozen=frozenset({Role.TEACHER})))[1]
    assert not run(both, replace(evolution, frozen=frozenset(Role)))[1]


def test_a_probe_comes_with_the_end_of_a_generation_and_needs_common_tasks() -> None:
    _, evolution = setup(interval=5, fitness={"type": "dominated_novelty", "by": "probe"})
    assert [step for step in range(1, 12) if evolution.probe_at(step)] == [5, 10]
    assert [evolution.probes_before(step) for step in (1, 5, 6, 10, 11)] == [0, 0, 1, 1, 2]
    _, evolution = setup(interval=5)
    assert evolution.probe_at(5) is None
    alone = PopulationConfig(teachers=0, students=0, self_play=2)
    with pytest.raises(ConfigError, match="only tasks of their own"):
        check_rated(alone, EvolutionConfig(fitness="probe"))
    check_rated(PopulationConfig(teachers=0), EvolutionConfig(fitness="probe"))
