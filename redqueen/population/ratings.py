"""TrueSkill ratings: who is expected to win a match, who won it, and what that changes.

Herbrich, Minka and Graepel, "TrueSkill: A Bayesian Skill Rating System", NeurIPS 2006.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import trueskill

from redqueen.config.population import PopulationConfig
from redqueen.errors import RedQueenError
from redqueen.population.population import Population
from redqueen.types import Match, MatchResult, Member, Proposal, Rejection, Rollout


def solve_rate(attempts: Iterable[Rollout]) -> float | None:
    """Return the mean score of attempts at one task, in [0, 1]; None if no attempt counts.

    Infrastructure errors do not count; see `Rollout.score`.
    """
    scores = [rollout.score for rollout in attempts]
    counted = [score for score in scores if score is not None]
    return math.fsum(counted) / len(counted) if counted else None


class RatingSystem:
    """The rating rules of one population, in a TrueSkill environment of their own."""

    def __init__(self, config: PopulationConfig) -> None:
        self._env = trueskill.TrueSkill(
            mu=config.mu,
            sigma=config.sigma,
            beta=config.beta,
            tau=config.tau,
            draw_probability=config.draw_probability,
        )

    def win_probability(self, student: Member, teacher: Member) -> float:
        """Return the probability that the student performs better than the teacher.

        Phi((mu_s - mu_t) / sqrt(2 beta^2 + sigma_s^2 + sigma_t^2)), the paper's performance model.
        """
        variance = 2.0 * self._env.beta**2 + student.sigma**2 + teacher.sigma**2
        return 0.5 * math.erfc((teacher.mu - student.mu) / math.sqrt(2.0 * variance))

    def result(
        self,
        population: Population,
        match: Match,
        solve_rates: Sequence[float | None],
        *,
        proposed: int,
        infra_rejections: int = 0,
    ) -> MatchResult:
        """Return who won: the student if its mean solve rate is above what the ratings expect.

        Args:
            population: holds both members with their ratings before the match.
            match: who met.
            solve_rates: one per valid task, in [0, 1], of this match's student; None where every
                attempt ended in an infrastructure error.
            proposed: all proposals of the match; none if it shares another match's tasks.
            infra_rejections: those of them that were lost to an infrastructure error.

        A match without any valid task is won by the student, unless infrastructure errors are the
        only reason; a solve rate equal to the expectation is a draw. A match against the stream has
        no outcome, nor has one that shares the tasks of a match without any: a teacher loses once
        for having nothing to pose.
        """
        counted = [rate for rate in solve_rates if rate is not None]
        mean = math.fsum(counted) / len(counted) if counted else None
        if match.teacher is None:
            return MatchResult(match, proposed, len(solve_rates), mean, None, None)
        student, teacher = population.by_id(match.student), population.by_id(match.teacher)
        expected = self.win_probability(student, teacher)
        student_won: bool | None = None
        if mean is not None:
            student_won = None if mean == expected else mean > expected
        elif not solve_rates and infra_rejections < proposed:
            student_won = True
        return MatchResult(match, proposed, len(solve_rates), mean, expected, student_won)

    def update(self, population: Population, results: Sequence[MatchResult]) -> Population:
        """Return the population with the results applied in order.

        Nobody is rated by meeting itself or the stream.

        With a draw probability of 0 a draw says nothing, and changes nothing.

        Raises:
            RedQueenError: a result is so surprising that its update cannot be computed in double
                precision, which takes a beta far too small for the ratings' range.
        """
        for result in results:
            match = result.match
            drawn = result.student_won is None
            no_outcome = drawn and (result.solve_rate is None or not self._env.draw_probability)
            if no_outcome or match.teacher is None or match.student == match.teacher:
                continue
            student, teacher = population.by_id(match.student), population.by_id(match.teacher)
            ranks = [0, 0] if drawn else [0, 1] if result.student_won else [1, 0]
            teams = [(self._env.create_rating(m.mu, m.sigma),) for m in (student, teacher)]
            try:
                (new_s,), (new_t,) = self._env.rate(teams, ranks)
            except FloatingPointError:
                raise RedQueenError(
                    f"the ratings of members {student.id} and {teacher.id} are too far apart to be "
                    "updated; raise population.beta or population.tau"
                ) from None
            population = population.updated(
                (
                    replace(student, mu=new_s.mu, sigma=new_s.sigma),
                    replace(teacher, mu=new_t.mu, sigma=new_t.sigma),
                )
            )
        return population


def match_results(
    ratings: RatingSystem,
    population: Population,
    matches: Sequence[Match],
    proposals: Sequence[Proposal],
    rollouts: Sequence[Rollout],
) -> tuple[MatchResult, ...]:
    """Return who won each match of a step, decided by the attempts of its own student."""
    attempts: dict[tuple[int, str], list[Rollout]] = {}
    for rollout in rollouts:
        attempts.setdefault((rollout.match, rollout.task_id), []).append(rollout)
    rates: dict[int, list[float | None]] = {match.index: [] for match in matches}
    for (index, _), task_attempts in attempts.items():
        rates[index].append(solve_rate(task_attempts))
    results = []
    for match in matches:
        outcomes = [p.outcome for p in proposals if p.match == match.index]
        lost = sum(isinstance(outcome, Rejection) and outcome.infra for outcome in outcomes)
        results.append(
            ratings.result(
                population,
                match,
                rates[match.index],
                proposed=len(outcomes),
                infra_rejections=lost,
            )
        )
    return tuple(results)
