"""Who goes, who stays, who has children: each rule against what it promises."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redqueen import registry
from redqueen.config.component import build_component
from redqueen.config.evolution import EvolutionConfig, HyperparametersConfig
from redqueen.config.population import PopulationConfig
from redqueen.evolution.hyperparameters import inherit
from redqueen.evolution.replacement import child_rating, cull_count, split
from redqueen.evolution.selection import Tournament, Truncation
from redqueen.types import Member, Role


def crowd(count: int, **changes: object) -> list[Member]:
    return [
        Member(**({"id": i, "slot": i, "roles": (Role.STUDENT,), "mu": 0.0, "sigma": 1.0}
                  | changes))
        for i in range(count)
    ]  # fmt: skip


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_worst_go_and_of_equals_the_first_born() -> None:
    config = EvolutionConfig(cull=0.5)
    removed, survivors = split(crowd(4), [20.0, 30.0, 20.0, 25.0], config, rng())
    assert [m.id for m in removed] == [0, 2]
    assert [m.id for m in survivors] == [1, 3]


def test_the_oldest_go_and_of_equals_the_least_fit() -> None:
    members = [
        Member(i, i, (Role.STUDENT,), 0.0, 1.0, born=b) for i, b in enumerate([9, 3, 3, 0, 5])
    ]
    config = EvolutionConfig(cull=0.6, replacement="oldest")
    # Member 3 is the first born, but the fittest of all: an elite.
    removed, survivors = split(members, [1.0, 4.0, 2.0, 9.0, 0.0], config, rng())
    assert [m.id for m in removed] == [2, 1, 4]
    assert [m.id for m in survivors] == [3, 0]
    free = EvolutionConfig(cull=0.6, replacement="oldest", elites=0)
    assert split(members, [1.0, 4.0, 2.0, 9.0, 0.0], free, rng()).removed[0].id == 3


@given(
    st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=9),
    st.floats(0, 0.999),
    st.integers(0, 10),
    st.integers(1, 12),
    st.sampled_from(sorted(registry.COMPONENTS["replacement"])),
    st.integers(0, 5),
)
def test_replacement_splits_the_group_and_spares_the_elites(
    fitness: list[float], cull: float, elites: int, size: int, rule: str, seed: int
) -> None:
    members = crowd(len(fitness))
    replacement = {"type": rule} | ({"size": size} if rule == "tournament" else {})
    config = EvolutionConfig(cull=cull, elites=elites, replacement=replacement)
    removed, survivors = split(members, fitness, config, rng(seed))
    assert sorted(m.id for m in (*removed, *survivors)) == list(range(len(members)))
    assert len(removed) == cull_count(len(members), cull, elites)
    assert survivors
    assert [fitness[m.id] for m in survivors] == sorted(
        (fitness[m.id] for m in survivors), reverse=True
    )
    best = sorted(range(len(members)), key=lambda i: (fitness[i], i))[len(members) - elites :]
    if elites <= len(members):
        assert {m.id for m in removed}.isdisjoint(best)
    else:
        assert not removed


def test_tournament_replacement_has_the_closed_form_chance() -> None:
    """One of 5 candidates goes: rank i (0 the worst) loses with C(4 - i, 2) / C(5, 3)."""
    config = EvolutionConfig(cull=0.2, elites=1, replacement="tournament")
    members, fitness = crowd(6), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    trials = 4000
    count = Counter(
        split(members, fitness, config, rng(seed)).removed[0].id for seed in range(trials)
    )
    expected = [math.comb(4 - i, 2) / math.comb(5, 3) for i in range(3)]
    assert set(count) == {0, 1, 2}
    for i, chance in enumerate(expected):
        assert abs(count[i] / trials - chance) < 4 * math.sqrt(chance * (1 - chance) / trials)


def test_tournament_selection_has_the_closed_form_chance() -> None:
    """All ways to draw 2 of 4, then 2 of the 3 that are left, enumerated."""
    chances: Counter[tuple[int, ...]] = Counter()
    for first in itertools.combinations(range(4), 2):
        left = [i for i in range(4) if i != min(first)]
        for second in itertools.combinations(left, 2):
            chances[tuple(sorted((min(first), min(second))))] += 1 / 18
    survivors, trials, g = crowd(4), 4000, rng(1)
    count = Counter(
        tuple(m.id for m in Tournament(size=2).parents(survivors, 2, g)) for _ in range(trials)
    )
    assert set(count) == set(chances)
    for pair, chance in chances.items():
        assert abs(count[pair] / trials - chance) < 4 * math.sqrt(chance * (1 - chance) / trials)
    assert [m.id for m in Tournament(size=99).parents(survivors, 2, g)] == [0, 1]
    alone = Counter(Tournament(size=1).parents(survivors, 1, g)[0].id for _ in range(trials))
    assert all(abs(n - trials / 4) < 4 * math.sqrt(trials * 3 / 16) for n in alone.values())


@pytest.mark.parametrize("name", registry.COMPONENTS["selection"])
def test_parents_are_distinct_survivors_best_first(name: str) -> None:
    survivors, selection = crowd(5), build_component("selection", name)
    for seed in range(50):
        parents = selection.parents(survivors, 2, rng(seed))
        assert parents == selection.parents(survivors, 2, rng(seed))
        assert parents[0].id < parents[1].id


def test_truncation_draws_parents_evenly() -> None:
    g = rng()
    count = Counter(m.id for _ in range(1000) for m in Truncation().parents(crowd(4), 2, g))
    assert all(abs(c - 500) < 60 for c in count.values())


def test_a_childs_rating() -> None:
    newcomers = PopulationConfig()
    parents = [crowd(1, mu=30.0, sigma=3.0)[0], crowd(1, mu=20.0, sigma=8.0)[0]]
    assert child_rating(parents, EvolutionConfig(), newcomers) == (25.0, 25.0 / 3.0)
    inherits = EvolutionConfig(child_rating="parents", child_sigma=0.5)
    mu, sigma = child_rating(parents, inherits, newcomers)
    assert mu == 25.0
    assert sigma == pytest.approx(math.sqrt((9 + 64) / 2))
    assert child_rating(parents[:1], inherits, newcomers) == (30.0, 0.5 * 25 / 3)


def test_hyperparameters_are_left_alone_unless_named() -> None:
    parent = crowd(1, learning_rate_factor=0.7, temperature=1.2)[0]
    assert inherit(parent, HyperparametersConfig(), 1.0, rng()) == (0.7, 1.2)
    only = EvolutionConfig(hyperparameters=["temperature"]).hyperparameters
    assert only == HyperparametersConfig(vary=("temperature",))
    factor, temperature = inherit(parent, only, 1.0, rng())
    assert factor == 0.7
    assert temperature != 1.2


def test_hyperparameters_are_perturbed_or_resampled_within_bounds() -> None:
    config = HyperparametersConfig(
        vary=("learning_rate", "temperature"),
        resample_probability=0.0,
        learning_rate_bounds=(0.5, 2.0),
        temperature_bounds=(0.8, 1.0),
    )
    founder = crowd(1)[0]
    seen = {inherit(founder, config, 0.9, rng(seed)) for seed in range(60)}
    assert seen == {(f, t) for f in (0.8, 1.2) for t in (0.8, 1.0)}
    edge = crowd(1, learning_rate_factor=2.0, temperature=0.8)[0]
    seen = {inherit(edge, config, 0.9, rng(seed)) for seed in range(60)}
    assert seen == {(f, t) for f in (1.6, 2.0) for t in (0.8, 0.96)}


def test_resampling_is_even_on_a_logarithmic_scale() -> None:
    config = HyperparametersConfig(vary=("learning_rate",), resample_probability=1.0)
    g = rng(3)
    drawn = np.log([inherit(crowd(1)[0], config, 1.0, g)[0] for _ in range(2000)])
    low, high = np.log(0.25), np.log(4.0)
    assert low <= drawn.min()
    assert drawn.max() <= high
    # Uniform: mean in the middle, variance (high - low)^2 / 12.
    assert abs(drawn.mean() - (low + high) / 2) < 4 * (high - low) / math.sqrt(12 * 2000)
    assert drawn.var() == pytest.approx((high - low) ** 2 / 12, rel=0.1)


@pytest.mark.parametrize("name", ["learning_rate_bounds", "temperature_bounds"])
def test_bounds_come_in_order(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: 2 is above 1; give the least first"):
        HyperparametersConfig(**{name: (2.0, 1.0)})
    assert getattr(HyperparametersConfig(**{name: (1.0, 1.0)}), name) == (1.0, 1.0)
