"""Who meets whom: teachers take turns, students are drawn by prioritized fictitious self-play.

Fictitious self-play meets the past too: in a share of the matches a member of the hall of fame
takes one side's place.
"""

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from redqueen.config.component import Component
from redqueen.config.population import HallOfFameConfig
from redqueen.population.population import BOTH_ROLES, Population
from redqueen.population.ratings import RatingSystem
from redqueen.types import Match, Member, Role

Floats = NDArray[np.float64]

GOLDEN_RATIO = (math.sqrt(5.0) - 1.0) / 2.0


class Matchmaker(Component):
    """Base of what a config names as a matchmaker."""

    def weights(self, teacher: Member, students: Sequence[Member], ratings: RatingSystem) -> Floats:
        """Return the weights, not normalised, with which `teacher` meets each of `students`."""
        raise NotImplementedError


class Prioritized(Matchmaker):
    """p (1 - p), with p the probability that the student beats the teacher.

    The variance weighting of prioritized fictitious self-play (Vinyals et al., Nature 2019,
    f_var): near-even matches are the likeliest.
    """

    def weights(self, teacher: Member, students: Sequence[Member], ratings: RatingSystem) -> Floats:
        """Return p (1 - p) for each student."""
        p = np.array([ratings.win_probability(student, teacher) for student in students])
        return p * (1.0 - p)


class Uniform(Matchmaker):
    """Every student alike."""

    def weights(self, teacher: Member, students: Sequence[Member], ratings: RatingSystem) -> Floats:
        """Return ones."""
        return np.ones(len(students))


def _draw(weights: Floats, rng: np.random.Generator) -> int:
    """Return an index drawn in proportion to the weights; evenly if they all underflowed to 0."""
    total = weights.sum()
    even = np.full(len(weights), 1.0 / len(weights))
    return int(rng.choice(len(weights), p=weights / total if total > 0 else even))


def environment_of_turn(shares: Mapping[str, float], turn: int) -> str:
    """Return the environment whose turn it is, each in proportion to its share; draws nothing.

    Turn t falls on the point frac(t g) of [0, 1), g the golden ratio, which is cut into the shares.
    These points are evenly spread over every stretch of turns, and over every second, third, ...
    turn as well, so that each teacher meets all environments in proportion.

    Raises:
        ValueError: no share is positive.
    """
    total = math.fsum(shares.values())
    if not total > 0.0:
        raise ValueError("at least one environment needs a positive share")
    point = turn * GOLDEN_RATIO % 1.0 * total
    names = [name for name, share in shares.items() if share > 0.0]
    ends = itertools.accumulate(shares[name] for name in names)
    return next((name for name, end in zip(names, ends, strict=True) if point < end), names[-1])


def players(matches: Sequence[Match]) -> Collection[int]:
    """Return the ids of all members that take part."""
    return {id_ for match in matches for id_ in (match.teacher, match.student) if id_ is not None}


def make_matches(
    population: Population,
    matchmaker: Matchmaker,
    ratings: RatingSystem,
    *,
    count: int,
    students_per_task: int | Literal["all"],
    shares: Mapping[str, float],
    step: int,
    rng: np.random.Generator,
    past: HallOfFameConfig | None = None,
    probes_before: int = 0,
    probe: bool = False,
) -> tuple[Match, ...]:
    """Return the `count` matches of one step, then those of cross-evaluation.

    Teachers take turns in slot order; whose turn it is follows from `step` and `probes_before`, of
    its steps, so that over time all get equally many matches and a resumed run needs no state.
    Students are drawn without replacement until all have been drawn, then all are available again.
    A self-play member takes its turn among the teachers and meets itself. Where nobody teaches, the
    students take turns with the stream. The configuration sees to it that there are students where
    there are teachers.
    Each match is of one environment, see `environment_of_turn`. In a `probe` each round of the
    teachers is: environments with a share take turns, so that all teachers meet the same ones.
    With `past` some matches are against the hall of fame, see `_against_the_past`.

    With `students_per_task` above 1, the tasks of each match go to further students; each of them
    is a match of its own (`Match.tasks_of`), numbered after all others.

    Raises:
        ValueError: no share is positive.
    """
    teachers = population.by_role(Role.TEACHER)
    students = population.with_roles((Role.STUDENT,))
    pool: list[Member] = []
    matches = []
    met = [name for name, share in shares.items() if share > 0.0]
    for index in range(count):
        turn = (step - probes_before) * count + index
        environment = environment_of_turn(shares, turn)
        if probe:
            environment = met[index // max(1, len(teachers)) % len(met)]
        if not teachers:
            student = students[turn % len(students)]
            matches.append(Match(step, index, None, student.id, environment=environment))
            continue
        teacher = teachers[turn % len(teachers)]
        student = teacher
        if teacher.roles != BOTH_ROLES:
            pool = pool or list(students)
            student = pool.pop(_draw(matchmaker.weights(teacher, pool, ratings), rng))
        matches.append(Match(step, index, teacher.id, student.id, environment=environment))
    if past is not None and population.past:
        matches = _against_the_past(matches, population, matchmaker, ratings, past, rng)
    return (*matches, *_cross_evaluation(matches, students, students_per_task, rng))


def _against_the_past(
    matches: Sequence[Match],
    population: Population,
    matchmaker: Matchmaker,
    ratings: RatingSystem,
    config: HallOfFameConfig,
    rng: np.random.Generator,
) -> list[Match]:
    """Return the matches, each with probability `share` with one side's place taken by a past
    member of the same roles.

    A fair coin says which side; it is the other one where the hall of fame has nobody for it. Who
    takes the place is drawn by the matchmaker's weights against the side that stays. Once
    `config.slots` past members play in the step, only these are drawn.
    """
    playing: set[int] = set()

    def meet(match: Match, side: Role) -> Match | None:
        assert match.teacher is not None  # a population with a past has teachers
        teacher, student = population.by_id(match.teacher), population.by_id(match.student)
        roles = (teacher if side is Role.TEACHER else student).roles
        full = len(playing) >= config.slots
        candidates = [
            m for m in population.past if m.roles == roles and (not full or m.id in playing)
        ]
        if not candidates:
            return None
        if side is Role.STUDENT:
            weights = matchmaker.weights(teacher, candidates, ratings)
        else:
            each = [matchmaker.weights(other, [student], ratings) for other in candidates]
            weights = np.concatenate(each)
        chosen = candidates[_draw(weights, rng)].id
        playing.add(chosen)
        if side is Role.STUDENT:
            return replace(match, student=chosen)
        return replace(match, teacher=chosen)

    result = []
    for match in matches:
        draw, coin = rng.random(2)
        if draw < config.share:
            first = Role.TEACHER if coin < 0.5 else Role.STUDENT
            other = Role.STUDENT if first is Role.TEACHER else Role.TEACHER
            match = meet(match, first) or meet(match, other) or match
        result.append(match)
    return result


def _cross_evaluation(
    matches: Sequence[Match],
    students: Sequence[Member],
    students_per_task: int | Literal["all"],
    rng: np.random.Generator,
) -> list[Match]:
    """Return matches of further students for the same tasks, drawn evenly without replacement.

    Evenly, because they measure the task: near-even matches are what the matched student is for.
    A self-play member's tasks stay with it.
    """
    further: list[Match] = []
    for match in matches:
        others = [s for s in students if s.id != match.student]
        if match.teacher == match.student or not others:
            continue
        count = len(others) if students_per_task == "all" else students_per_task - 1
        chosen = sorted(rng.choice(len(others), size=count, replace=False)) if count else []
        for number in chosen:
            further.append(
                Match(
                    step=match.step,
                    index=len(matches) + len(further),
                    teacher=match.teacher,
                    student=others[number].id,
                    tasks_of=match.index,
                    environment=match.environment,
                )
            )
    return further


def numbered_on(matches: Sequence[Match], round_: int) -> tuple[Match, ...]:
    """Return the same pairs once more, numbered as the matches of round `round_` (from 0)."""
    offset = round_ * len(matches)
    return tuple(
        replace(
            match,
            index=match.index + offset,
            tasks_of=None if match.tasks_of is None else match.tasks_of + offset,
        )
        for match in matches
    )
