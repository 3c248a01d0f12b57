import itertools
from collections import Counter
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redqueen.config.population import HallOfFameConfig, PopulationConfig
from redqueen.population import Population, RatingSystem, make_matches, numbered_on
from redqueen.population.matchmaking import Prioritized, environment_of_turn
from redqueen.population.population import NO_SLOT
from redqueen.types import PAST, Match, Member, Role

SHARES = {"code": 1.0}


@dataclass(frozen=True)
class Setting:
    """What matches are made with, but the population, the step and the draws."""

    config: PopulationConfig
    count: int
    students_per_task: Any

    def make(
        self,
        population: Population,
        step: int,
        rng: np.random.Generator,
        shares: Any = SHARES,
        **probes: Any,
    ) -> tuple[Match, ...]:
        return make_matches(
            population,
            self.config.matchmaking,
            RatingSystem(self.config),
            count=self.count,
            students_per_task=self.students_per_task,
            shares=shares,
            step=step,
            rng=rng,
            **probes,
        )


def setup(
    matches: int = 4, mode: str = "prioritized", students_per_task: Any = 1, **counts: int
) -> tuple[Population, Setting]:
    config = PopulationConfig(**({"teachers": 3, "students": 4} | counts), matchmaking=mode)
    return Population.founders(config), Setting(config, matches, students_per_task)


def with_mus(population: Population, mus: dict[int, float]) -> Population:
    return population.updated(
        [replace(population.by_id(i), mu=mu, sigma=1.0) for i, mu in mus.items()]
    )


def test_matches_are_deterministic_and_numbered() -> None:
    population, setting = setup()
    a = setting.make(population, 7, np.random.default_rng(3))
    assert a == setting.make(population, 7, np.random.default_rng(3))
    assert [(m.step, m.index) for m in a] == [(7, i) for i in range(4)]


@pytest.mark.parametrize("matches", [1, 2, 3, 4, 7])
def test_teachers_take_equal_turns_over_time(matches: int) -> None:
    population, setting = setup(matches)
    turns = [
        match.teacher
        for step in range(30)
        for match in setting.make(population, step, np.random.default_rng(step))
    ]
    assert turns == [i % 3 for i in range(30 * matches)]


def test_a_child_takes_its_predecessors_turn() -> None:
    population, setting = setup()
    child = replace(population.by_id(1), id=7)
    order = [m.teacher for m in setting.make(population, 0, np.random.default_rng(0))]
    new = setting.make(population.replace(1, child), 0, np.random.default_rng(0))
    assert [m.teacher for m in new] == [7 if i == 1 else i for i in order]


@pytest.mark.parametrize("mode", ["prioritized", "uniform"])
def test_students_are_drawn_without_replacement(mode: str) -> None:
    population, setting = setup(matches=10, mode=mode)
    population = with_mus(population, {0: 25, 3: 25, 4: 90})
    students = [m.student for m in setting.make(population, 0, np.random.default_rng(1))]
    assert sorted(students[:4]) == sorted(students[4:8]) == [3, 4, 5, 6]
    assert len(set(students[8:])) == 2


def chi_square(counts: np.ndarray, p: np.ndarray) -> float:
    expected = p * counts.sum()
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("mode", ["prioritized", "uniform"])
def test_frequencies_follow_the_weights(mode: str) -> None:
    population, setting = setup(matches=1, mode=mode, teachers=1)
    population = with_mus(population, {0: 25, 1: 25, 2: 30, 3: 20, 4: 34})
    ratings = RatingSystem(setting.config)
    p = np.array(
        [ratings.win_probability(population.by_id(i), population.by_id(0)) for i in range(1, 5)]
    )
    weights = p * (1 - p) if mode == "prioritized" else np.ones(4)
    rng = np.random.default_rng(11)
    count = Counter(setting.make(population, s, rng)[0].student for s in range(3000))
    counts = np.array([count[i] for i in range(1, 5)])
    assert chi_square(counts, weights / weights.sum()) < 11.34  # 99 % quantile, 3 degrees
    other = np.ones(4) if mode == "prioritized" else p * (1 - p)
    assert chi_square(counts, other / other.sum()) > 50


def test_hopeless_ratings_fall_back_to_even_draws() -> None:
    population, setting = setup(matches=1, teachers=1)
    population = with_mus(population, {0: 1e6, 1: 0, 2: 0, 3: 0, 4: 0})
    weights = Prioritized().weights(
        population.by_id(0), population.members[1:], RatingSystem(setting.config)
    )
    assert not weights.any()
    rng = np.random.default_rng(2)
    assert {setting.make(population, s, rng)[0].student for s in range(60)} == {1, 2, 3, 4}


def test_self_play_members_meet_themselves() -> None:
    population, setting = setup(matches=3, teachers=0, students=0, self_play=2)
    made = setting.make(population, 0, np.random.default_rng(0))
    assert [(m.teacher, m.student) for m in made] == [(0, 0), (1, 1), (0, 0)]
    population, setting = setup(matches=4, teachers=1, students=2, self_play=1)
    made = setting.make(population, 0, np.random.default_rng(0))
    assert [m.student == m.teacher == 3 for m in made] == [False, True, False, True]
    assert {m.student for m in made} == {1, 2, 3}


@st.composite
def casts(draw: st.DrawFn) -> tuple[Population, Setting]:
    """Every population that may be configured, small, with any cross-evaluation."""
    teachers = draw(st.integers(0, 3))
    students = draw(st.integers(1 if teachers else 0, 4))
    self_play = draw(st.integers(0, 2)) if teachers or not students else 0
    if not students and not self_play:
        students = 1
    per_task = draw(st.one_of(st.integers(1, max(1, students)), st.just("all")))
    return setup(
        draw(st.integers(1, 6)),
        draw(st.sampled_from(["prioritized", "uniform"])),
        per_task,
        teachers=teachers,
        students=students,
        self_play=self_play,
    )


@settings(max_examples=50)
@given(casts(), st.integers(0, 50), st.integers(0, 2**32))
def test_who_attempts_the_tasks_of_a_match(
    cast: tuple[Population, Setting], step: int, seed: int
) -> None:
    population, setting = cast
    made = setting.make(population, step, np.random.default_rng(seed))
    count, per_task = setting.count, setting.students_per_task
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
        assert len(group) == (students if per_task == "all" else per_task)
        assert len({m.student for m in group}) == len(group)
        for match in group:
            assert population.by_id(match.student).roles == (Role.STUDENT,)
            if match.teacher is not None:
                assert population.by_id(match.teacher).roles == (Role.TEACHER,)


def test_further_students_leave_the_matched_ones_as_they_are() -> None:
    population, setting = setup(matches=5)
    alone = setting.make(population, 3, np.random.default_rng(4))
    for per_task in (2, 4, "all"):
        _, wide = setup(matches=5, students_per_task=per_task)
        assert wide.make(population, 3, np.random.default_rng(4))[:5] == alone


def test_further_students_are_drawn_evenly_without_replacement() -> None:
    population, setting = setup(matches=1, teachers=1, students_per_task=3)
    population = with_mus(population, {0: 25, 1: 25, 2: 60, 3: -10, 4: 25})
    rng = np.random.default_rng(8)
    given_matched: Counter[tuple[int, int]] = Counter()
    matched: Counter[int] = Counter()
    for step in range(3000):
        first, *others = setting.make(population, step, rng)
        assert len({first.student, *(m.student for m in others)}) == 3
        matched[first.student] += 1
        given_matched.update((first.student, m.student) for m in others)
    for (root, _), count in given_matched.items():
        expected = matched[root] * 2 / 3  # two of the three others
        assert abs(count - expected) < 4 * np.sqrt(expected / 3) + 1
    assert matched[1] + matched[4] > 2900  # the matched one follows the ratings all the same


def test_without_teachers_students_take_turns_with_the_stream() -> None:
    population, setting = setup(matches=3, teachers=0, students=4)
    made = [
        match
        for step in range(8)
        for match in setting.make(population, step, np.random.default_rng(0))
    ]
    assert [m.student for m in made] == [i % 4 for i in range(24)]
    assert {m.teacher for m in made} == {None}
    _, shared = setup(matches=1, teachers=0, students=4, students_per_task="all")
    assert shared.make(population, 2, np.random.default_rng(0)) == (
        Match(2, 0, None, 2),
        Match(2, 1, None, 0, 0),
        Match(2, 2, None, 1, 0),
        Match(2, 3, None, 3, 0),
    )


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 7])
def test_environments_take_turns_in_proportion_to_their_shares(stride: int) -> None:
    """Over all turns, and over every teacher's, wherever one looks."""
    shares = {"code": 3.0, "math": 1.0, "off": 0.0, "logic": 2.0}
    for first in range(stride):
        turns = [environment_of_turn(shares, t) for t in range(first, 600 * stride, stride)]
        for name, share in shares.items():
            for length in (60, 150, 600):
                expected = length * share / 6.0
                assert abs(turns[:length].count(name) - expected) <= 6
                assert abs(turns[-length:].count(name) - expected) <= 9


def test_a_match_and_its_cross_evaluation_are_of_one_environment() -> None:
    population, setting = setup(matches=5, students_per_task=2)
    shares = {"code": 1.0, "math": 1.0}
    seen = set()
    for step in range(4):
        made = setting.make(population, step, np.random.default_rng(step), shares)
        assert all(m.environment == made[m.root].environment for m in made)
        seen |= {m.environment for m in made}
        # Nothing is drawn for the environments: the same students meet.
        alone = setting.make(population, step, np.random.default_rng(step))
        assert [replace(m, environment="code") for m in made] == list(alone)
    assert seen == {"code", "math"}
    with pytest.raises(ValueError, match="positive share"):
        environment_of_turn({"code": 0.0}, 0)


def test_in_a_probe_all_teachers_meet_the_same_environments() -> None:
    shares = {"code": 3.0, "off": 0.0, "math": 1.0}
    population, setting = setup(matches=9, students_per_task="all", teachers=3)
    for step in range(5):
        made = setting.make(population, step, np.random.default_rng(0), shares, probe=True)
        met = {t: [m.environment for m in made if m.teacher == t and m.tasks_of is None]
               for t in range(3)}  # fmt: skip
        assert [*met.values()] == [["code", "math", "code"]] * 3
    _, students = setup(matches=2, teachers=0)
    alone = students.make(
        Population.founders(students.config), 1, np.random.default_rng(0), shares, probe=True
    )
    assert [m.environment for m in alone] == ["code", "math"]


def test_a_probe_costs_no_teacher_its_turn() -> None:
    """Two matches, four teachers, every second step a probe: all have equally many others."""
    population, setting = setup(matches=2, teachers=4)
    turns: Counter[int | None] = Counter()
    for step in range(1, 40, 2):
        made = setting.make(population, step, np.random.default_rng(0), probes_before=step // 2)
        turns.update(m.teacher for m in made)
    assert turns == {0: 10, 1: 10, 2: 10, 3: 10}


def test_a_further_round_is_of_the_same_pairs_with_new_numbers() -> None:
    population, setting = setup(students_per_task="all")
    matches = setting.make(population, 7, np.random.default_rng(3))
    again = numbered_on(matches, 2)
    size = len(matches)
    assert [m.index for m in again] == list(range(2 * size, 3 * size))
    for one, other in zip(matches, again, strict=True):
        assert (one.teacher, one.student) == (other.teacher, other.student)
        assert other.root == one.root + 2 * size


def with_past(population: Population, ratings: dict[int, tuple[Role, float]]) -> Population:
    """Add past members with these ids, roles and mus."""
    past = [
        Member(id_, NO_SLOT, (role,), mu, 1.0, 1, (0,), PAST, 1)
        for id_, (role, mu) in ratings.items()
    ]
    return replace(population, past=tuple(past), next_id=max(ratings) + 1)


def test_more_students_than_matches_meet_by_the_closed_form() -> None:
    """Six students, two matches: pairs without replacement, each draw by p (1 - p)."""
    population, setting = setup(matches=2, teachers=1, students=6)
    mus = {0: 25.0, 1: 25.0, 2: 29.0, 3: 21.0, 4: 35.0, 5: 12.0, 6: 27.0}
    population = with_mus(population, mus)
    variance = 2 * setting.config.beta**2 + 2.0
    p = {i: NormalDist(0.0, variance**0.5).cdf(mus[i] - mus[0]) for i in range(1, 7)}
    weight = {i: p[i] * (1 - p[i]) for i in p}
    total = sum(weight.values())
    expected = {
        (i, j): weight[i] / total * weight[j] / (total - weight[i])
        for i, j in itertools.permutations(weight, 2)
    }
    assert sum(expected.values()) == pytest.approx(1.0)
    rng = np.random.default_rng(5)
    drawn: Counter[tuple[int, int]] = Counter()
    for step in range(4000):
        first, second = setting.make(population, step, rng)
        drawn[first.student, second.student] += 1
    counts = np.array([drawn[pair] for pair in expected])
    assert chi_square(counts, np.array([*expected.values()])) < 49.6  # 99 %, 29 degrees
    # Who is drawn is not even: the two nearest equals play most, the outsiders least.
    shares = Counter[int]()
    for pair, count in drawn.items():
        shares.update(dict.fromkeys(pair, count))
    assert shares.most_common()[0][0] == 1
    assert {i for i, _ in shares.most_common()[-2:]} == {4, 5}


@pytest.mark.parametrize("mode", ["prioritized", "uniform"])
def test_the_past_is_met_by_the_same_weights(mode: str) -> None:
    population, setting = setup(matches=1, mode=mode, teachers=1, students=1)
    population = with_mus(population, {0: 25.0, 1: 27.0})
    mus = {2: (Role.TEACHER, 20.0), 3: (Role.TEACHER, 33.0), 4: (Role.TEACHER, 27.0),
           5: (Role.STUDENT, 24.0), 6: (Role.STUDENT, 40.0)}  # fmt: skip
    population = with_past(population, mus)
    ratings = RatingSystem(setting.config)

    def chances(ids: list[int], opponent: int) -> np.ndarray:
        if mode == "uniform":
            return np.full(len(ids), 1.0 / len(ids))
        p = [ratings.win_probability(population.by_id(i), population.by_id(opponent)) for i in ids]
        weights = np.array([x * (1 - x) for x in p])
        return weights / weights.sum()

    rng, share = np.random.default_rng(3), 0.4
    past = HallOfFameConfig(share=share, slots=1)
    met: Counter[tuple[int, int]] = Counter()
    for step in range(4000):
        (match,) = make_matches(
            population, setting.config.matchmaking, ratings, count=1, students_per_task=1,
            shares=SHARES, step=step, rng=rng, past=past,
        )  # fmt: skip
        met[match.teacher or 0, match.student] += 1
    # p (1 - p) is the same whichever side one asks for.
    expected = {(0, 1): 1 - share}
    teachers, students = [2, 3, 4], [5, 6]
    for ids, opponent in ((teachers, 1), (students, 0)):
        for i, chance in zip(ids, chances(ids, opponent), strict=True):
            expected[(i, 1) if ids is teachers else (0, i)] = share / 2 * float(chance)
    assert met.keys() == expected.keys()
    counts = np.array([met[pair] for pair in expected])
    assert chi_square(counts, np.array([*expected.values()])) < 15.1  # 99 %, 5 degrees


def test_no_more_of_the_past_play_than_there_are_slots() -> None:
    population, setting = setup(matches=12, teachers=3, students=4)
    population = with_past(
        population, {i: (Role.TEACHER if i % 2 else Role.STUDENT, 25.0) for i in range(7, 17)}
    )
    seen = set()
    for step in range(40):
        made = make_matches(
            population, setting.config.matchmaking, RatingSystem(setting.config), count=12,
            students_per_task=2, shares=SHARES, step=step, rng=np.random.default_rng(step),
            past=HallOfFameConfig(share=0.9, slots=3),
        )  # fmt: skip
        past = {i for m in made for i in (m.teacher, m.student)} & set(range(7, 17))
        assert len(past) <= 3
        seen |= past
        for match in made:
            assert not {match.teacher, match.student} <= past
            assert match.tasks_of is None or match.student not in past
            assert match.teacher == made[match.root].teacher
    assert seen == set(range(7, 17))


def test_a_side_without_a_past_leaves_its_place_to_the_other() -> None:
    population, setting = setup(matches=1, teachers=1, students=1)
    population = with_past(population, {2: (Role.STUDENT, 25.0)})
    met = Counter(
        (match.teacher, match.student)
        for step in range(200)
        for match in make_matches(
            population, setting.config.matchmaking, RatingSystem(setting.config), count=1,
            students_per_task=1, shares=SHARES, step=step, rng=np.random.default_rng(step),
            past=HallOfFameConfig(share=0.5),
        )
    )  # fmt: skip
    assert met.keys() == {(0, 1), (0, 2)}
    assert 70 < met[0, 2] < 130


def test_without_a_past_nothing_is_drawn_for_it() -> None:
    population, setting = setup()
    plain, other = np.random.default_rng(2), np.random.default_rng(2)
    assert setting.make(population, 3, plain) == make_matches(
        population, setting.config.matchmaking, RatingSystem(setting.config), count=4,
        students_per_task=1, shares=SHARES, step=3, rng=other, past=HallOfFameConfig(share=0.5),
    )  # fmt: skip
    assert plain.random() == other.random()
