"""A step's rounds: the teachers propose, or the stream is drawn from, and the students solve."""

from collections.abc import Callable, Sequence
from functools import partial

from redqueen.background import Background
from redqueen.clock import Clock
from redqueen.closing import Closing
from redqueen.config import Config
from redqueen.config.rollout import RolloutConfig
from redqueen.curriculum import Worlds, draw_stream
from redqueen.engines.base import Engine, Sampling
from redqueen.learner import disputed_tasks
from redqueen.population import Population, numbered_on
from redqueen.rng import derive_seed
from redqueen.rollouts.collect import generate_and_check, run_interaction, verifier_of
from redqueen.rollouts.interactions.base import Posing
from redqueen.rollouts.judging import judge, plan_judgements
from redqueen.rollouts.plan import (
    PlannedProposal,
    Round,
    mixed_groups,
    plan_posings,
    plan_proposals,
    posed_tasks,
)
from redqueen.types import Judgement, Match, Messages, Proposal, Rollout, Task


class Rounds(Closing):
    """Plays the matches of a step; `close` it when the run ends."""

    def __init__(
        self,
        config: Config,
        engine: Engine,
        worlds: Worlds,
        leaves_room: Callable[[Messages, int], bool],
    ) -> None:
        """`leaves_room`: does the base's context hold a prompt and so many new tokens?"""
        self.config = config
        self.engine = engine
        self.worlds = worlds
        self.leaves_room = leaves_room
        self._verify = verifier_of(worlds.environments)
        self._checks = Background("checks")

    def close(self) -> None:
        """Wait for what is being checked, and end the thread."""
        self._checks.close()

    def play(
        self,
        step: int,
        matches: tuple[Match, ...],
        population: Population,
        rollout: RolloutConfig,
        clock: Clock,
    ) -> tuple[Round, int]:
        """Propose, validate and solve, in rounds until enough groups have mixed verdicts. Returns
        all rounds as one, and how many there were.

        Further rounds are of the same pairs: DAPO's dynamic sampling (arXiv 2503.14476, section
        3.2), with teachers who write further tasks.
        """
        rounds = [self._round(step, matches, population, rollout, clock)]
        while len(rounds) < rollout.max_rounds:
            if sum(mixed_groups(item.rollouts) for item in rounds) >= rollout.mixed_groups:
                break
            further = numbered_on(matches, len(rounds))
            rounds.append(self._round(step, further, population, rollout, clock))
        return Round.joined(rounds), len(rounds)

    def _round(
        self,
        step: int,
        matches: tuple[Match, ...],
        population: Population,
        rollout: RolloutConfig,
        clock: Clock,
    ) -> Round:
        """The tasks of some matches are written, or drawn from the stream, and solved."""
        proposals, shown = self._propose(step, matches, population, rollout, clock)
        streamed = self._stream(step, matches, rollout.tasks_per_match)
        with clock("solve"):
            posed = posed_tasks(matches, proposals, streamed)
            environments = self.worlds.environments
            posings = plan_posings(posed, matches, population.by_id, environments)
            rollouts = self.solve(step, posings, rollout.attempts, clock)
        judgements = self._judge(step, matches, proposals, rollouts, shown, clock)
        disputed = disputed_tasks(matches, proposals, rollouts, self.worlds.fallible)
        for match, task in posed:
            archive = self.worlds[task.environment].archive
            if (match.root, task.id) in disputed:
                archive.ban(task)
            else:
                archive.add([task])
        return Round(
            matches=matches,
            proposals=proposals,
            shown=shown,
            streamed=tuple(task for _, task in streamed),
            posed=tuple(posed),
            rollouts=rollouts,
            judgements=judgements,
        )

    def _judge(
        self,
        step: int,
        matches: Sequence[Match],
        proposals: Sequence[Proposal],
        rollouts: Sequence[Rollout],
        shown: Sequence[Task],
        clock: Clock,
    ) -> tuple[Judgement, ...]:
        """The base judges the tasks that somebody solved, if the teachers' reward asks for it."""
        tokens = self.config.learner.teacher.reward.judge_tokens
        if not tokens:
            return ()
        with clock("judge"):
            tasks = {task.id: task for task in shown}
            for world in self.worlds.values():
                tasks |= world.archive.tasks
            planned = plan_judgements(
                matches,
                proposals,
                rollouts,
                self.worlds.environments,
                tasks,
                self.config.seed,
                fits=lambda messages: self.leaves_room(messages, tokens),
            )
            return judge(self.engine, planned, tokens)

    def _propose(
        self,
        step: int,
        matches: Sequence[Match],
        population: Population,
        rollout: RolloutConfig,
        clock: Clock,
    ) -> tuple[tuple[Proposal, ...], tuple[Task, ...]]:
        """The teachers write; what is written is validated while others still write. Also returns
        the references that are in no archive."""
        with clock("propose"):
            planned = self._plan(step, matches, population, rollout)
            shown = {
                task.id: task
                for plan in planned
                for task in plan.references
                if task.id not in self.worlds[plan.match.environment].archive
            }
            completions, checks = generate_and_check(
                self.engine,
                [plan.request for plan in planned],
                Sampling(rollout.propose_tokens, rollout.temperature, rollout.top_p),
                self._checks,
                self.worlds.validate,
                lambda number, completion: planned[number].draft(completion),
                partial(clock.on_texts, "propose"),
            )
        with clock("validate"):
            outcomes = self.worlds.admit(
                [plan.match.environment for plan in planned],
                checks.results(),
                [completion.finished for completion in completions],
                shown,
                self._can_be_posed,
            )
            clock.add("beside/validate", checks.busy_seconds)
            proposals = tuple(
                Proposal(
                    step=step,
                    match=plan.match.index,
                    teacher=plan.teacher,
                    kind=plan.kind,
                    references=tuple(task.id for task in plan.references),
                    request=plan.request,
                    completion=completion,
                    outcome=outcome,
                    novelty=self.worlds[plan.match.environment].archive.novelty(outcome),
                )
                for plan, completion, outcome in zip(planned, completions, outcomes, strict=True)
            )
            return proposals, tuple(shown.values())

    def _plan(
        self, step: int, matches: Sequence[Match], population: Population, rollout: RolloutConfig
    ) -> list[PlannedProposal]:
        """What each teacher is asked to write."""
        return plan_proposals(
            matches,
            population,
            self.worlds.spaces,
            self.worlds.archives,
            self.config.curriculum.references,
            tasks_per_match=rollout.tasks_per_match,
            reference_count=rollout.references,
            temperature=rollout.propose_temperature,
            dropout=rollout.vocabulary_dropout,
            fits=lambda messages: self.leaves_room(messages, rollout.propose_tokens),
            step=step,
            seed=self.config.seed,
        )

    def _can_be_posed(self, task: Task) -> bool:
        """Return whether a task's prompt leaves room for an attempt."""
        prompt = self.worlds[task.environment].environment.prompt(task)
        return self.leaves_room(prompt, self.config.rollout.solve_tokens)

    def _stream(self, step: int, matches: Sequence[Match], count: int) -> list[tuple[Match, Task]]:
        """The tasks of every match without a teacher, in the order of matches."""
        streamed = []
        for match in matches:
            if match.teacher is not None or match.tasks_of is not None:
                continue
            world = self.worlds[match.environment]
            seed = derive_seed(self.config.seed, "stream", step, match.index)
            tasks = draw_stream(match.environment, world.stream, count, seed, world.held_out, step)
            streamed += [(match, task) for task in tasks if self._can_be_posed(task)]
        return streamed

    def solve(
        self, step: int, posings: Sequence[Posing], attempts: int, clock: Clock
    ) -> tuple[Rollout, ...]:
        """The students write their attempts, which are verified while others still write."""
        rollout = self.config.rollout
        rollouts, seconds = run_interaction(
            rollout.interaction.begin(
                posings,
                attempts,
                step,
                self.config.seed,
                lambda messages: self.leaves_room(messages, rollout.solve_tokens),
            ),
            self.engine,
            Sampling(rollout.solve_tokens, rollout.temperature, rollout.top_p),
            self._checks,
            self._verify,
            partial(clock.on_texts, "solve"),
        )
        clock.add("beside/verify", seconds)
        return tuple(rollouts)
