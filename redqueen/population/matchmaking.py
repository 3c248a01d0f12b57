"""Who meets whom: teachers take turns, students are drawn by prioritized fictitious self-play."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from redqueen.config import Config
from redqueen.population.population import BOTH_ROLES, Population
from redqueen.population.ratings import RatingSystem
from redqueen.types import Match, Member, Role

Matchmaker = Callable[[Member, Sequence[Member], RatingSystem], NDArray[np.float64]]
"""Weights, not normalised, with which `teacher` meets each of `students`."""


def prioritized(
    teacher: Member, students: Sequence[Member], ratings: RatingSystem
) -> NDArray[np.float64]:
    """p (1 - p), with p the probability that the student beats the teacher.

    The variance weighting of prioritized fictitious self-play (Vinyals et al., Nature 2019,
    f_var): near-even matches are the likeliest.
    """
    p_S = np.array([ratings.win_probability(student, teacher) for student in students])
    return p_S * (1.0 - p_S)


def uniform(
    teacher: Member, students: Sequence[Member], ratings: RatingSystem
) -> NDArray[np.float64]:
    """Every student alike."""
    return np.ones(len(students))


MATCHMAKERS: dict[str, Matchmaker] = {"prioritized": prioritized, "uniform": uniform}


def _draw(weights_S: NDArray[np.float64], rng: np.random.Generator) -> int:
    """Index drawn in proportion to the weights; evenly if they all underflowed to 0."""
    total = weights_S.sum()
    even = np.full(len(weights_S), 1.0 / len(weights_S))
    return int(rng.choice(len(weights_S), p=weights_S / total if total > 0 else even))


def make_matches(
    population: Population, config: Config, step: int, rng: np.random.Generator
) -> tuple[Match, ...]:
    """The `rollout.matches` matches of one step, then those of cross-evaluation.

    Teachers take turns in slot order; whose turn it is follows from `step` alone, so that over
    time all get equally many matches and a resumed run needs no state. Students are drawn without
    replacement until all have been drawn, then all are available again. A self-play member takes
    its turn among the teachers and meets itself. Where nobody teaches, the students take turns
    with the stream. The configuration sees to it that there are students where there are teachers.

    With `rollout.students_per_task` above 1, the tasks of each match go to further students; each
    of them is a match of its own (`Match.tasks_of`), numbered after all others.
    """
    teachers = population.by_role(Role.TEACHER)
    students = population.with_roles((Role.STUDENT,))
    ratings = RatingSystem(config.population)
    matchmaker = MATCHMAKERS[config.population.matchmaking]
    count = config.rollout.matches
    pool: list[Member] = []
    matches = []
    for index in range(count):
        turn = step * count + index
        if not teachers:
            matches.append(Match(step, index, None, students[turn % len(students)].id))
            continue
        teacher = teachers[turn % len(teachers)]
        student = teacher
        if teacher.roles != BOTH_ROLES:
            pool = pool or list(students)
            student = pool.pop(_draw(matchmaker(teacher, pool, ratings), rng))
        matches.append(Match(step, index, teacher.id, student.id))
    return (*matches, *_cross_evaluation(matches, students, config, rng))


def _cross_evaluation(
    matches: Sequence[Match],
    students: Sequence[Member],
    config: Config,
    rng: np.random.Generator,
) -> list[Match]:
    """Further students for the tasks of `matches`, drawn evenly without replacement.

    Evenly, because they measure the task: near-even matches are what the matched student is for.
    A self-play member's tasks stay with it.
    """
    further: list[Match] = []
    for match in matches:
        others = [s for s in students if s.id != match.student]
        if match.teacher == match.student or not others:
            continue
        wanted = config.rollout.students_per_task
        count = len(others) if wanted == "all" else wanted - 1
        chosen = sorted(rng.choice(len(others), size=count, replace=False)) if count else []
        for number in chosen:
            index = len(matches) + len(further)
            further.append(Match(match.step, index, match.teacher, others[number].id, match.index))
    return further
