import json
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from redqueen.config import Config, EvolutionConfig, build_config
from redqueen.errors import ConfigError
from redqueen.evolution import (
    Chronicle,
    buried,
    check_operators,
    check_rated,
    evolve,
    is_due,
    survey,
)
from redqueen.evolution.replacement import cull_count
from redqueen.evolution.selection import draw_parents
from redqueen.population import Population
from redqueen.types import Role


class Slots:
    """Adapters and optimizer state of a toy, with a log of what was reset."""

    def __init__(self, count: int) -> None:
        g = torch.Generator().manual_seed(0)
        self.A, self.B = (
            torch.randn(count, 2, 6, generator=g),
            torch.randn(count, 5, 2, generator=g),
        )
        self.reset: list[int] = []
        self.copied: list[tuple[int, int]] = []

    def get(self, slot: int) -> dict:
        return {"layer": (self.A[slot], self.B[slot])}

    def set(self, slot: int, factors: dict) -> None:
        self.A[slot], self.B[slot] = factors["layer"]

    def reset_slot(self, slot: int) -> None:
        self.reset.append(slot)

    def copy_slot(self, source: int, target: int) -> None:
        self.copied.append((source, target))


def setup(rated: dict[int, float] | None = None, **sections: dict) -> tuple[Population, Config]:
    config = build_config(sections)
    population = Population.founders(config.population)
    return population.updated(
        [replace(population.by_id(i), mu=mu, sigma=1.0) for i, mu in (rated or {}).items()]
    ), config


def run(population: Population, config: Config, step: int = 10, seed: int = 0):
    slots = Slots(len(population))
    seen = survey(population, Chronicle(5), {"layer": slots.A}, {"layer": slots.B})
    return *evolve(population, seen, slots, slots, config, step, seed), slots


def test_the_weakest_of_each_role_is_replaced_in_its_slot() -> None:
    mus = {0: 30, 1: 20, 2: 25, 3: 28, 4: 30, 5: 31, 6: 40, 7: 29}
    population, config = setup(mus)
    new, events, slots = run(population, config)
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
    assert [m.died for m in buried(population, events)] == [10, 10]
    assert [m.id for m in buried(population, events)] == [1, 7]


def test_generations_repeat_from_seed_and_step() -> None:
    population, config = setup(
        {i: 20.0 + i for i in range(8)},
        evolution={"mutations": ("svd",), "crossovers": ("average",)},
    )
    a, events_a, slots_a = run(population, config, seed=5)
    b, events_b, slots_b = run(population, config, seed=5)
    assert (a, events_a) == (b, events_b)
    assert torch.equal(slots_a.A, slots_b.A)
    plans = {
        tuple((e.operator, e.parents) for e in run(population, config, step=s)[1]) for s in range(6)
    }
    assert len(plans) > 2
    mutations = config.model_copy(
        update={"evolution": config.evolution.model_copy(update={"crossover_probability": 0.0})}
    )
    others = [(0, 10), (1, 10), (2, 10), (0, 20)]
    weights = {
        tuple(run(population, mutations, step, seed)[2].A[0].ravel().tolist())
        for seed, step in others
    }
    assert len(weights) == len(others)


def test_operators_are_drawn_as_configured() -> None:
    population, config = setup({i: 20.0 + i for i in range(8)})
    seen: Counter[str] = Counter()
    for seed in range(300):
        for event in run(population, config, seed=seed)[1]:
            seen[event.operator] += 1
            assert len(set(event.parents)) == len(event.parents)
            assert len(event.parents) == (2 if event.operator in ("average", "layerwise") else 1)
            fitness = [population.by_id(p).mu for p in event.parents]
            assert fitness == sorted(fitness, reverse=True)
    # 600 draws, a quarter each: standard deviation 10.6.
    assert all(abs(count - 150) < 43 for count in seen.values())
    assert len(seen) == 4


def test_two_members_leave_one_survivor_that_mutates() -> None:
    population, config = setup(
        {0: 20, 1: 30, 2: 30, 3: 20},
        population={"teachers": 2, "students": 2},
        evolution={"crossover_probability": 1.0, "cull": 0.9},
    )
    for seed in range(5):
        events = run(population, config, seed=seed)[1]
        assert [(e.removed, e.parents) for e in events] == [(0, (1,)), (3, (2,))]
        assert all(e.operator in ("svd", "layer_gaussian") for e in events)


def test_a_lone_member_is_never_replaced() -> None:
    population, config = setup(population={"teachers": 1, "students": 1})
    new, events, _ = run(population, config)
    assert (new, events) == (population, ())


def test_self_play_members_evolve_among_themselves() -> None:
    population, config = setup(
        {0: 10, 1: 9, 2: 30, 3: 20, 4: 25},
        population={"teachers": 1, "students": 1, "self_play": 3},
    )
    _, events, _ = run(population, config)
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


def test_parents_are_drawn_evenly() -> None:
    population, _ = setup()
    rng = np.random.default_rng(0)
    count = Counter(m.id for _ in range(1000) for m in draw_parents(population.members[:4], 2, rng))
    assert all(abs(c - 500) < 60 for c in count.values())


def test_is_due_every_interval() -> None:
    config = EvolutionConfig(interval=5)
    assert [s for s in range(16) if is_due(config, s)] == [5, 10, 15]
    assert not is_due(config.model_copy(update={"enabled": False}), 5)
    assert not is_due(config.model_copy(update={"cull": 0.0}), 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mutations": ("svd", "tickle")}, "unknown operator 'tickle'; known: svd"),
        ({"crossovers": ("svd",)}, r"evolution\.crossovers: unknown operator 'svd'"),
        ({"mutations": ()}, r"evolution\.mutations must name"),
        ({"crossovers": ()}, r"evolution\.crossovers is empty"),
    ],
)
def test_bad_operators_are_named(change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_operators(EvolutionConfig(**change))
    check_operators(EvolutionConfig(crossovers=(), crossover_probability=0.0))


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
    config = build_config({"population": population, "evolution": evolution})
    if good:
        check_rated(config)
    else:
        with pytest.raises(ConfigError, match=r"evolution\.fitness .* no rated opponent"):
            check_rated(config)


def test_a_child_inherits_rating_and_optimizer_state_if_told_to() -> None:
    mus = {i: 20.0 + i for i in range(8)}
    population, config = setup(
        mus, evolution={"child_rating": "parents", "child_optimizer": "parent", "cull": 0.5}
    )
    new, events, slots = run(population, config)
    assert slots.reset == []
    first = [(population.by_id(e.parents[0]).slot, new.by_id(e.child).slot) for e in events]
    assert slots.copied == first
    assert len(events) == 4
    for event in events:
        child = new.by_id(event.child)
        assert child.mu == pytest.approx(np.mean([mus[p] for p in event.parents]))
        assert child.sigma == pytest.approx(0.5 * 25 / 3)


def test_survivors_keep_weights_rating_and_hyperparameters() -> None:
    population, config = setup(
        {i: 20.0 + i for i in range(8)},
        evolution={"hyperparameters": ("learning_rate", "temperature"), "cull": 0.5},
    )
    new, events, slots = run(population, config)
    changed = {population.by_id(e.removed).slot for e in events}
    before = Slots(8)
    for member in new.members:
        old = population.members[member.slot]
        own = (member.learning_rate_factor, member.temperature)
        if member.slot in changed:
            assert 0.25 <= own[0] <= 4.0
            assert own[1] is not None
            assert 0.7 <= own[1] <= 1.3
            assert own != (1.0, None)
        else:
            assert member == old
            assert torch.equal(slots.A[member.slot], before.A[member.slot])
