from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from redqueen.config import Config, build_config
from redqueen.population import MATCHMAKERS, Population, RatingSystem, make_matches


def setup(matches: int = 4, mode: str = "prioritized", **counts: int) -> tuple[Population, Config]:
    counts = {"teachers": 3, "students": 4} | counts
    config = build_config(
        {"population": counts | {"matchmaking": mode}, "rollout": {"matches": matches}}
    )
    return Population.founders(config.population), config


def with_mus(population: Population, mus: dict[int, float]) -> Population:
    return population.updated(
        [replace(population.by_id(i), mu=mu, sigma=1.0) for i, mu in mus.items()]
    )


def test_matches_are_deterministic_and_numbered() -> None:
    population, config = setup()
    a = make_matches(population, config, 7, np.random.default_rng(3))
    assert a == make_matches(population, config, 7, np.random.default_rng(3))
    assert [(m.step, m.index) for m in a] == [(7, i) for i in range(4)]


@pytest.mark.parametrize("matches", [1, 2, 3, 4, 7])
def test_teachers_take_equal_turns_over_time(matches: int) -> None:
    population, config = setup(matches)
    turns = [
        match.teacher
        for step in range(30)
        for match in make_matches(population, config, step, np.random.default_rng(step))
    ]
    assert turns == [i % 3 for i in range(30 * matches)]


def test_a_child_takes_its_predecessors_turn() -> None:
    population, config = setup()
    child = replace(population.by_id(1), id=7)
    order = [m.teacher for m in make_matches(population, config, 0, np.random.default_rng(0))]
    new = make_matches(population.replace(1, child), config, 0, np.random.default_rng(0))
    assert [m.teacher for m in new] == [7 if i == 1 else i for i in order]


@pytest.mark.parametrize("mode", ["prioritized", "uniform"])
def test_students_are_drawn_without_replacement(mode: str) -> None:
    population, config = setup(matches=10, mode=mode)
    population = with_mus(population, {0: 25, 3: 25, 4: 90})
    students = [m.student for m in make_matches(population, config, 0, np.random.default_rng(1))]
    assert sorted(students[:4]) == sorted(students[4:8]) == [3, 4, 5, 6]
    assert len(set(students[8:])) == 2


def chi_square(counts: np.ndarray, p: np.ndarray) -> float:
    expected = p * counts.sum()
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("mode", ["prioritized", "uniform"])
def test_frequencies_follow_the_weights(mode: str) -> None:
    population, config = setup(matches=1, mode=mode, teachers=1)
    population = with_mus(population, {0: 25, 1: 25, 2: 30, 3: 20, 4: 34})
    ratings = RatingSystem(config.population)
    p = np.array(
        [ratings.win_probability(population.by_id(i), population.by_id(0)) for i in range(1, 5)]
    )
    weights = p * (1 - p) if mode == "prioritized" else np.ones(4)
    rng = np.random.default_rng(11)
    count = Counter(make_matches(population, config, s, rng)[0].student for s in range(3000))
    counts = np.array([count[i] for i in range(1, 5)])
    assert chi_square(counts, weights / weights.sum()) < 11.34  # 99 % quantile, 3 degrees
    other = np.ones(4) if mode == "prioritized" else p * (1 - p)
    assert chi_square(counts, other / other.sum()) > 50


def test_hopeless_ratings_fall_back_to_even_draws() -> None:
    population, config = setup(matches=1, teachers=1)
    population = with_mus(population, {0: 1e6, 1: 0, 2: 0, 3: 0, 4: 0})
    weights = MATCHMAKERS["prioritized"](
        population.by_id(0), population.members[1:], RatingSystem(config.population)
    )
    assert not weights.any()
    rng = np.random.default_rng(2)
    assert {make_matches(population, config, s, rng)[0].student for s in range(60)} == {1, 2, 3, 4}


def test_self_play_members_meet_themselves() -> None:
    population, config = setup(matches=3, teachers=0, students=0, self_play=2)
    made = make_matches(population, config, 0, np.random.default_rng(0))
    assert [(m.teacher, m.student) for m in made] == [(0, 0), (1, 1), (0, 0)]
    population, config = setup(matches=4, teachers=1, students=2, self_play=1)
    made = make_matches(population, config, 0, np.random.default_rng(0))
    assert [m.student == m.teacher == 3 for m in made] == [False, True, False, True]
    assert {m.student for m in made} == {1, 2, 3}
