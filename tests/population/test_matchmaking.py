from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redqueen.config import Config, build_config
from redqueen.population import MATCHMAKERS, Population, RatingSystem, make_matches
from redqueen.types import Match, Role


def setup(
    matches: int = 4, mode: str = "prioritized", students_per_task: Any = 1, **counts: int
) -> tuple[Population, Config]:
    counts = {"teachers": 3, "students": 4} | counts
    config = build_config(
        {
            "population": counts | {"matchmaking": mode},
            "rollout": {"matches": matches, "students_per_task": students_per_task},
        }
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


@st.composite
def casts(draw: st.DrawFn) -> tuple[Population, Config]:
    """Every population that may be configured, small, with any cross-evaluation."""
    teachers = draw(st.integers(0, 3))
    students = draw(st.integers(1 if teachers else 0, 4))
    self_play = draw(st.integers(0, 2)) if teachers or not students else 0
    if not students and not self_play:
        students = 1
    wanted = draw(st.one_of(st.integers(1, max(1, students)), st.just("all")))
    return setup(
        draw(st.integers(1, 6)),
        draw(st.sampled_from(["prioritized", "uniform"])),
        wanted,
        teachers=teachers,
        students=students,
        self_play=self_play,
    )


@given(casts(), st.integers(0, 50), st.integers(0, 2**32))
def test_who_attempts_the_tasks_of_a_match(
    cast: tuple[Population, Config], step: int, seed: int
) -> None:
    population, config = cast
    made = make_matches(population, config, step, np.random.default_rng(seed))
    count, wanted = config.rollout.matches, config.rollout.students_per_task
    assert [m.index for m in made] == list(range(len(made)))
    assert [m.tasks_of is None for m in made] == [i < count for i in range(len(made))]
    students = len(population.with_roles((Role.STUDENT,)))
    for root in made[:count]:
        group = [m for m in made if m.root == root.index]
        assert group[0] is root
        assert {m.teacher for m in group} == {root.teacher}
        if root.teacher == root.student:
            assert group == [root]
            assert len(population.by_id(root.student).roles) == 2
            continue
        assert len(group) == (students if wanted == "all" else wanted)
        assert len({m.student for m in group}) == len(group)
        for match in group:
            assert population.by_id(match.student).roles == (Role.STUDENT,)
            if match.teacher is not None:
                assert population.by_id(match.teacher).roles == (Role.TEACHER,)


def test_further_students_leave_the_matched_ones_as_they_are() -> None:
    population, config = setup(matches=5)
    alone = make_matches(population, config, 3, np.random.default_rng(4))
    for wanted in (2, 4, "all"):
        _, wide = setup(matches=5, students_per_task=wanted)
        assert make_matches(population, wide, 3, np.random.default_rng(4))[:5] == alone


def test_further_students_are_drawn_evenly_without_replacement() -> None:
    population, config = setup(matches=1, teachers=1, students_per_task=3)
    population = with_mus(population, {0: 25, 1: 25, 2: 60, 3: -10, 4: 25})
    rng = np.random.default_rng(8)
    given_matched: Counter[tuple[int, int]] = Counter()
    matched: Counter[int] = Counter()
    for step in range(3000):
        first, *others = make_matches(population, config, step, rng)
        assert len({first.student, *(m.student for m in others)}) == 3
        matched[first.student] += 1
        given_matched.update((first.student, m.student) for m in others)
    for (root, _), count in given_matched.items():
        expected = matched[root] * 2 / 3  # two of the three others
        assert abs(count - expected) < 4 * np.sqrt(expected / 3) + 1
    assert matched[1] + matched[4] > 2900  # the matched one follows the ratings all the same


def test_without_teachers_students_take_turns_with_the_stream() -> None:
    population, config = setup(matches=3, teachers=0, students=4)
    made = [
        match
        for step in range(8)
        for match in make_matches(population, config, step, np.random.default_rng(0))
    ]
    assert [m.student for m in made] == [i % 4 for i in range(24)]
    assert {m.teacher for m in made} == {None}
    _, shared = setup(matches=1, teachers=0, students=4, students_per_task="all")
    assert make_matches(population, shared, 2, np.random.default_rng(0)) == (
        Match(2, 0, None, 2),
        Match(2, 1, None, 0, 0),
        Match(2, 2, None, 1, 0),
        Match(2, 3, None, 3, 0),
    )
