"""The probe: a step in which fitness compares like with like, and how far it can be trusted.

In the last step of a generation every task goes to every student: all students attempt the same
tasks, and all teachers' tasks are attempted by the same students.

Shapes: M members, T tasks.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from redqueen.evolution.diversity import GROUPS, Floats, Survey
from redqueen.population.population import Population
from redqueen.population.ratings import solve_rate
from redqueen.types import Match, Proposal, Role, Rollout

Key = tuple[int, str]
"""A probe's task: index of the match that it was made for, and its id."""

EVEN = 1e-12
"""Means that differ by no more are equal: sums in another order differ by rounding."""


def crossed_reliability(scores_MT: Floats) -> float | None:
    """Return the split-half reliability of the members' means over tasks that all attempted.

    1 - MS(residual) / MS(members) of the two-way layout (Hoyt, Psychometrika 1941). It equals
    Cronbach's alpha (Psychometrika 1951), the mean of the coefficients of all splits of the tasks
    into halves. At most 1; 0 or less: the members differ no more than chance makes them. None
    without two members and two tasks.
    """
    M, T = scores_MT.shape
    if M < 2 or T < 2:
        return None
    member_M1, task_T = scores_MT.mean(1, keepdims=True), scores_MT.mean(0)
    if np.ptp(member_M1) <= EVEN:
        return 0.0
    rest_MT = scores_MT - member_M1 - task_T + scores_MT.mean()
    between = T * member_M1.var(ddof=1)
    residual = (rest_MT**2).sum() / ((M - 1) * (T - 1))
    return float(1.0 - residual / between)


def nested_reliability(values: Sequence[Floats], strata: int = 1) -> float | None:
    """Return the reliability of members' means, each over values of its own.

    1 - MS(within) / MS(between) of the one-way layout, the intraclass correlation ICC(1, k) of
    Shrout and Fleiss, Psychological Bulletin 1979. `strata` whose means were taken off the values
    cost MS(within) a degree of freedom each, but one. None without two members of two values.
    """
    groups = [group for group in values if len(group) > 1]
    free = sum(map(len, groups)) - len(groups) - (strata - 1)
    if len(groups) < 2 or free < 1:
        return None
    if np.ptp([group.mean() for group in groups]) <= EVEN:
        return 0.0
    grand = np.concatenate(groups).mean()
    between = sum(len(g) * (g.mean() - grand) ** 2 for g in groups) / (len(groups) - 1)
    within = sum(((g - g.mean()) ** 2).sum() for g in groups) / free
    return float(1.0 - within / between)


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a probe says of each member, and how far it can be trusted."""

    fitness: Mapping[int, float]
    """Member id -> mean score of its attempts, or mean reward of its proposals, the differences
    between task kinds taken off. Who has neither is missing."""
    reliability: Mapping[str, float]
    """By group, where it can be computed."""
    common: tuple[Key, ...] = ()
    """The tasks that count for every student."""

    def metrics(self) -> dict[str, float]:
        """Return `fitness_reliability/<group>` and `member/<id>/fitness`."""
        flat = {f"fitness_reliability/{name}": value for name, value in self.reliability.items()}
        return flat | {f"member/{id_}/fitness": value for id_, value in self.fitness.items()}


def _student_scores(
    ids: Sequence[int], matches: Sequence[Match], rollouts: Sequence[Rollout]
) -> tuple[tuple[int, ...], Floats, tuple[Key, ...]]:
    """Return who has attempts that count, their mean scores [M, T] on the tasks at which each of
    them has one, and these tasks.

    A student all of whose attempts were lost to the infrastructure is left out: no task would be
    common to all.
    """
    roots = {match.index: match.root for match in matches}
    attempts: dict[Key, dict[int, list[Rollout]]] = {}
    for rollout in rollouts:
        task = attempts.setdefault((roots[rollout.match], rollout.task_id), {})
        task.setdefault(rollout.student, []).append(rollout)
    rates = {
        key: {id_: solve_rate(by_student.get(id_, ())) for id_ in ids}
        for key, by_student in attempts.items()
    }
    able = tuple(i for i in ids if any(of[i] is not None for of in rates.values()))
    common = tuple(key for key, of in rates.items() if all(of[i] is not None for i in able))
    scores_TM = np.array([[rates[key][i] for i in able] for key in common], dtype=np.float64)
    return able, scores_TM.reshape(len(common), len(able)).T, common


def _teacher_rewards(
    population: Population,
    matches: Sequence[Match],
    proposals: Sequence[Proposal],
    proposal_rewards: Sequence[float | None],
) -> tuple[dict[int, list[float]], int]:
    """Return the rewards of each teacher, and in how many strata they are.

    A stratum is an environment's task kind. Nobody chooses it, and with eight proposals and three
    kinds each teacher has one kind less often than the others: the same one in every probe. So a
    reward counts by its distance from the mean of its stratum, set upon the mean of all.
    """
    environments = {match.index: match.environment for match in matches}
    paid = [
        (proposal.teacher, (environments[proposal.match], proposal.kind), reward)
        for proposal, reward in zip(proposals, proposal_rewards, strict=True)
        if reward is not None and Role.STUDENT not in population.by_id(proposal.teacher).roles
    ]
    of_stratum: dict[tuple[str, str], list[float]] = {}
    for _, stratum, reward in paid:
        of_stratum.setdefault(stratum, []).append(reward)
    mean = math.fsum(reward for *_, reward in paid) / max(1, len(paid))
    easier = {key: math.fsum(some) / len(some) - mean for key, some in of_stratum.items()}
    rewards: dict[int, list[float]] = {}
    for teacher, stratum, reward in paid:
        rewards.setdefault(teacher, []).append(reward - easier[stratum])
    return rewards, len(of_stratum)


def guest_fitness(common: Sequence[Key], rollouts: Sequence[Rollout]) -> float | None:
    """Return a guest's mean score on the tasks that count for every student; None if one of them
    does not count for the guest, whose mean would be of other tasks then.

    `rollouts` name the match that each task was made for.
    """
    attempts: dict[Key, list[Rollout]] = {}
    for rollout in rollouts:
        attempts.setdefault((rollout.match, rollout.task_id), []).append(rollout)
    rates = [solve_rate(attempts.get(key, ())) for key in common]
    counted = [rate for rate in rates if rate is not None]
    return math.fsum(counted) / len(rates) if rates and len(counted) == len(rates) else None


def probe_result(
    population: Population,
    matches: Sequence[Match],
    proposals: Sequence[Proposal],
    proposal_rewards: Sequence[float | None],
    rollouts: Sequence[Rollout],
) -> ProbeResult:
    """Return the result of a step in which every task went to every student."""
    fitness: dict[int, float] = {}
    reliability: dict[str, float | None] = {}
    students = [member.id for member in population.with_roles(GROUPS["student"])]
    able, scores_MT, common = _student_scores(students, matches, rollouts)
    if scores_MT.size:
        fitness |= dict(zip(able, scores_MT.mean(1).tolist(), strict=True))
        reliability["student"] = crossed_reliability(scores_MT)
    rewards, strata = _teacher_rewards(population, matches, proposals, proposal_rewards)
    fitness |= {id_: math.fsum(values) / len(values) for id_, values in rewards.items()}
    reliability["teacher"] = nested_reliability([np.array(v) for v in rewards.values()], strata)
    computed = {k: v for k, v in reliability.items() if v is not None}
    return ProbeResult(fitness, computed, common)


def with_probe(survey: Survey, result: ProbeResult) -> Survey:
    """Return the survey with the result in its groups; who is missing gets its group's mean."""
    groups = []
    for group in survey.groups:
        values_M = np.array([result.fitness.get(m.id, np.nan) for m in group.members])
        known = values_M[~np.isnan(values_M)]
        mean = float(known.mean()) if known.size else 0.0
        groups.append(replace(group, probe_M=np.where(np.isnan(values_M), mean, values_M)))
    return Survey(tuple(groups))
