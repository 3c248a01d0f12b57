"""Each fitness against its definition; sharing against its closed form."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redqueen import registry
from redqueen.config.component import build_component
from redqueen.config.evolution import EvolutionConfig, SharingConfig
from redqueen.evolution import Activity
from redqueen.evolution.diversity import Group
from redqueen.evolution.fitness import (
    Conservative,
    Mean,
    SolveRate,
    group_fitness,
    novelty_of,
    shared,
)
from redqueen.types import Member, Role

SIGMA = 25 / 3


def group(
    activities: list[Activity],
    roles: tuple[Role, ...] = (Role.STUDENT,),
    behaviour: np.ndarray | None = None,
) -> Group:
    count = len(activities)
    members = tuple(Member(i, i, roles, 20.0 + i, 2.0 + i) for i in range(count))
    zeros = np.zeros((count, count))
    return Group(
        "student", members, members, tuple(activities), zeros,
        zeros if behaviour is None else behaviour,
        1.0, 1.0, None,
    )  # fmt: skip


def test_ratings() -> None:
    three = group([Activity()] * 3)
    assert Mean().of(three, SIGMA).tolist() == [20.0, 21.0, 22.0]
    assert Conservative().of(three, SIGMA).tolist() == [14.0, 12.0, 10.0]


def test_solve_rate_of_students_teachers_and_self_players() -> None:
    done = [
        Activity(attempts=8, solved=2.0, proposals=4, reward=1.0),
        Activity(attempts=2, solved=2.0, proposals=1, reward=-1.0),
        Activity(),
    ]
    # The idle one gets the pooled rate of all 10 attempts, and the pooled reward of 5 proposals.
    students = SolveRate().of(group(done), SIGMA)
    np.testing.assert_allclose(students, [0.25, 1.0, 0.4])
    teachers = SolveRate().of(group(done, (Role.TEACHER,)), SIGMA)
    np.testing.assert_allclose(teachers, [0.25, -1.0, 0.0])
    both = SolveRate().of(group(done, (Role.TEACHER, Role.STUDENT)), SIGMA)
    np.testing.assert_allclose(both, [0.25, 0.0, 0.2])
    assert SolveRate().of(group([Activity()] * 2), SIGMA).tolist() == [0.0, 0.0]


def test_novelty_is_the_mean_distance_to_the_nearest() -> None:
    d = np.array([[0, 1, 2, 9], [1, 0, 3, 9], [2, 3, 0, 9], [9, 9, 9, 0]], dtype=float)
    np.testing.assert_allclose(novelty_of(d, 2), [1.5, 2.0, 2.5, 9.0])
    np.testing.assert_allclose(novelty_of(d, 99), [4.0, 13 / 3, 14 / 3, 9.0])
    d[3] = d[:, 3] = np.nan
    # Unknown: as novel as the others on average.
    np.testing.assert_allclose(novelty_of(d, 1), [1.0, 1.0, 2.0, 4 / 3])
    np.testing.assert_allclose(novelty_of(np.full((2, 2), np.nan), 1), [0.0, 0.0])
    assert np.diag(d)[0] == 0.0


def test_novelty_is_a_bonus_in_units_of_the_rating() -> None:
    d = np.array([[0.0, 0.5], [0.5, 0.0]])
    config = EvolutionConfig(fitness={"type": "novelty", "weight": 2.0})
    fitness = group_fitness(group([Activity()] * 2, behaviour=d), config, SIGMA)
    np.testing.assert_allclose(fitness, [20 + 2 * 25 / 3 * 0.5, 21 + 2 * 25 / 3 * 0.5])


def test_sharing_has_its_closed_form() -> None:
    config = SharingConfig(radius=0.5, exponent=2.0)
    f = np.array([1.0, 3.0, 2.0])
    d = np.array([[0, 0.25, 0.9], [0.25, 0, np.nan], [0.9, np.nan, 0]])
    raised = f - 1.0 + f.std()
    niches = np.array([1 + 0.75, 1 + 0.75, 1.0])
    np.testing.assert_allclose(shared(f, d, config), raised / niches)
    assert np.isnan(d[1, 2])


def test_crowding_can_cost_a_fitter_member_its_place() -> None:
    config = SharingConfig(radius=0.5)
    clones = np.ones((4, 4)) - np.eye(4)
    clones[:3, :3] = 0.0
    f = np.array([26.0, 25.5, 25.0, 24.0])
    assert np.argmin(f) == 3
    assert np.argmin(shared(f, clones, config)) == 2
    equal = shared(np.full(4, 25.0), clones, config)
    np.testing.assert_allclose(equal, [1 / 3, 1 / 3, 1 / 3, 1.0])


@given(
    st.lists(st.integers(-40, 40).map(float), min_size=2, max_size=6),
    st.floats(0.125, 8),
    st.integers(-50, 50),
    st.integers(0, 99),
)
def test_sharing_ranks_alike_when_ratings_are_shifted_or_scaled(
    values: list[float], scale: float, shift: int, seed: int
) -> None:
    config = SharingConfig()
    d = np.random.default_rng(seed).uniform(0, 1, (len(values), len(values)))
    d = (d + d.T) / 2
    np.fill_diagonal(d, 0.0)
    f = np.array(values)
    plain, moved = shared(f, d, config), shared(scale * f + shift, d, config)
    assert (plain > 0).all()
    factor = scale if np.ptp(f) > 0 else 1.0
    np.testing.assert_allclose(moved, factor * plain, rtol=1e-6, atol=1e-9)


def test_equal_fitness_is_recognised_although_its_mean_is_rounded() -> None:
    equal = np.full(3, 0.1)
    assert equal.std() > 0
    near = np.zeros((3, 3))
    np.testing.assert_allclose(shared(equal, near, SharingConfig()), [1 / 3] * 3)


def test_sharing_uses_the_distances_that_it_is_told_to() -> None:
    crowd = replace(
        group([Activity()] * 2, behaviour=np.array([[0, 1.0], [1.0, 0]])),
        weights_MM=np.zeros((2, 2)),
    )
    by = {
        name: group_fitness(crowd, EvolutionConfig(sharing={"by": name}), SIGMA)
        for name in ("off", "behaviour", "weights")
    }
    assert by["off"].tolist() == [20.0, 21.0]
    np.testing.assert_allclose(by["behaviour"], [0.5, 1.5])
    np.testing.assert_allclose(by["weights"], by["behaviour"] / 2)


@pytest.mark.parametrize("name", registry.COMPONENTS["fitness"])
def test_every_fitness_is_one_finite_number_a_member(name: str) -> None:
    four = replace(group([Activity()] * 4), probe_M=np.zeros(4))
    fitness = build_component("fitness", name).of(four, SIGMA)
    assert fitness.shape == (4,)
    assert np.isfinite(fitness).all()
