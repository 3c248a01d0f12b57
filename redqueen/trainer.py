"""The loop: match, propose, validate, solve, learn, evolve, store. Nothing is hidden elsewhere.

Data moves one way through the phases in small frozen records. Every draw derives from (run seed,
step, phase, match, ...), so a run that is killed and resumed is the run that was never killed.
The parts come from `redqueen.build`.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from redqueen.background import Background
from redqueen.callbacks.database import Snapshot
from redqueen.config.rollout import RolloutConfig
from redqueen.curriculum import admit, archive_metrics, draw_stream, outside_share
from redqueen.engines.base import Sampling
from redqueen.environments.base import Draft, TaskSpace
from redqueen.errors import InfrastructureError
from redqueen.evolution import (
    Survey,
    probe_result,
    removed_members,
    step_activity,
    survey,
    with_probe,
)
from redqueen.learner import UpdateReport, assign_rewards, make_samples, step_metrics
from redqueen.parts import Parts, Storage
from redqueen.population import make_matches, match_results
from redqueen.rng import derive_seed, numpy_rng
from redqueen.rollouts.collect import generate_and_check, run_interaction, verifier_of
from redqueen.rollouts.plan import plan_posings, plan_proposals, posed_tasks
from redqueen.swarm.record import swarm_metrics
from redqueen.types import (
    Completion,
    EvolutionEvent,
    Exchange,
    ForeignGroup,
    Match,
    Proposal,
    Rejection,
    Role,
    Rollout,
    Sample,
    StepRecord,
    Task,
)


@dataclass(slots=True)
class Clock:
    """Wall clock by phase, in seconds."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Add the time of the block to `phase`."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - begun


class Trainer:
    """Runs the steps of one run on its parts; `close` it, or use it as a context manager."""

    def __init__(self, parts: Parts, storage: Storage) -> None:
        self.config = parts.config
        self.engine = parts.engine
        self.adapters = parts.adapters
        self.learner = parts.learner
        self.worlds = parts.worlds
        self.ratings = parts.ratings
        self.population = parts.population
        self.hall_of_fame = parts.hall_of_fame
        self.evolution = parts.evolution
        self.behaviour = parts.behaviour
        self.storage = storage
        self.callbacks = parts.callbacks
        self.base_parameters = parts.base_parameters
        self.step = parts.step
        self.swarm = parts.swarm
        self._leaves_room = parts.leaves_room
        environments = {name: world.environment for name, world in self.worlds.items()}
        self._environments = environments
        self._spaces = {n: e for n, e in environments.items() if isinstance(e, TaskSpace)}
        self._regions = {name: world.seeds for name, world in self.worlds.items() if world.seeds}
        self._archives = {name: world.archive for name, world in self.worlds.items()}
        self._verify = verifier_of(environments)
        self._checks, self._writes = Background("checks"), Background("store")
        self._store_seconds = 0.0
        self.engine.sync(range(len(self.population)), self.adapters, self.step)

    def close(self) -> None:
        """Wait for what is being checked and stored, and end the threads."""
        self._checks.close()
        self._writes.close()

    def __enter__(self) -> "Trainer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, should_stop: Callable[[], bool] = lambda: False) -> bool:
        """Train to the last step; returns False if `should_stop` ended it early, between steps.

        What the database has of steps after the checkpoint, from before a crash, is dropped.

        Raises:
            InfrastructureError: a failure of ours; the last checkpoint is intact.
        """
        if self.step < self.config.steps:
            self.storage.truncate_after(self.step)
        while self.step < self.config.steps:
            if should_stop():
                break
            record = self.train_step()
            self.callbacks.on_phase(record.step, "store")
            begun = time.perf_counter()
            self.step = record.step
            due = self.step % self.config.checkpoint_every == 0 or self.step == self.config.steps
            checkpoint = self.snapshot() if due else None
            self._writes.begin(partial(self.storage.write, record, checkpoint))
            # Known only once the record is on its way, so it is booked on the next step.
            self._store_seconds = time.perf_counter() - begun
            self.callbacks.on_step(record)
        self.flush()
        if self.step < self.config.steps:
            self.storage.save(self.snapshot())
        self.callbacks.on_end(self.step == self.config.steps)
        return self.step == self.config.steps

    def flush(self) -> None:
        """Wait until all steps that are done are on the disk.

        Raises:
            InfrastructureError: one could not be written.
        """
        self._writes.finish()
        if self.swarm is not None:
            self.swarm.flush()

    def snapshot(self) -> Snapshot:
        """Return everything that the next step depends on, as it is now."""
        tensors = {
            "adapters": self.adapters.state_dict(len(self.population)),
            "optimizer": self.learner.optimizer.state_dict(),
        }
        return Snapshot(
            self.step,
            {
                file: {name: tensor.to("cpu", copy=True) for name, tensor in group.items()}
                for file, group in tensors.items()
            },
            {
                "population": self.population.to_json(),
                "hall_of_fame": self.hall_of_fame.state(),
                "archives": {name: world.archive.state() for name, world in self.worlds.items()},
                "behaviour": self.behaviour.state(),
                "learner": self.learner.state(),
                "callbacks": self.callbacks.state(),
            },
        )

    # ── one step ────────────────────────────────────────────────────────────────────────────

    def train_step(self) -> StepRecord:
        """Return the record of one pass through the phases (docs/design.md), not yet stored."""
        config, step, clock = self.config, self.step + 1, Clock()
        # Newborns of the last step would be measured before they have learnt anything.
        due = self.evolution.is_due(step) and step < config.steps
        probe = self.evolution.probe_at(step) if due else None
        teachers = len(self.population.by_role(Role.TEACHER))
        rollout = probe.step(config.rollout, teachers) if probe else config.rollout

        @contextmanager
        def phase(name: str) -> Iterator[None]:
            self.callbacks.on_phase(step, name)
            with clock(name):
                yield

        with phase("match"):
            matches = make_matches(
                self.population,
                config.population.matchmaking,
                self.ratings,
                count=rollout.matches,
                students_per_task=rollout.students_per_task,
                shares={name: world.share for name, world in self.worlds.items()},
                step=step,
                rng=numpy_rng(config.seed, step, "match"),
                past=None if probe else config.population.hall_of_fame,
            )
            self.population = self.hall_of_fame.seat(self.population, matches, self.engine.sync)
        proposals, shown = self._propose(step, matches, rollout, phase, clock)
        streamed = self._stream(step, matches, rollout.tasks_per_match)
        with phase("solve"):
            posed = posed_tasks(matches, proposals, streamed)
            rollouts = self._solve(step, matches, posed, rollout.attempts, clock)
        foreign = self._exchange(step, posed, rollouts, phase)
        with phase("learn"):
            rewards = assign_rewards(matches, proposals, rollouts, config.learner)
            results = match_results(self.ratings, self.population, matches, proposals, rollouts)
            samples = make_samples(
                matches,
                proposals,
                rollouts,
                rewards,
                self.population,
                config.learner.frozen,
            )
            update, exchange = self._update(step, samples, foreign)
            self.population = self.ratings.update(self.population, results)
            self.population, past = self.hall_of_fame.end_step(self.population, matches, step)
            for _, task in posed:
                self._archives[task.environment].add([task])
        before = self.population
        with phase("evolve"):
            self.behaviour.add(step_activity(proposals, rewards.proposals, rollouts, self._cell_of))
            seen = survey(before, self.behaviour, self.adapters.A, self.adapters.B)
            measured: dict[str, float] = {}
            if probe:
                result = probe_result(before, matches, proposals, rewards.proposals, rollouts)
                seen, measured = with_probe(seen, result), result.metrics()
            events = self._evolve(step, seen) if due else ()
            self.engine.sync(range(len(self.population)), self.adapters, step)
        metrics = update.metrics() | step_metrics(proposals, rollouts) | seen.metrics() | measured
        metrics |= archive_metrics(self._archives)
        if exchange is not None:
            metrics |= swarm_metrics(exchange)
        valid = [p.outcome for p in proposals if isinstance(p.outcome, Task)]
        metrics |= outside_share(self._regions, valid)
        metrics["tokens_per_s"] = metrics["sampled_tokens"] / (
            clock.seconds["propose"] + clock.seconds["solve"]
        )
        metrics |= self.callbacks.on_metrics(step, metrics)
        return StepRecord(
            step=step,
            matches=results,
            proposals=proposals,
            proposal_rewards=rewards.proposals,
            rollouts=rollouts,
            rollout_rewards=rewards.rollouts,
            members=(*self.population.members, *past, *removed_members(before, events)),
            events=events,
            metrics=metrics,
            seconds=clock.seconds | {"store": self._store_seconds},
            streamed=tuple(task for _, task in streamed),
            shown=shown,
            exchange=exchange,
        )

    def _update(
        self,
        step: int,
        samples: tuple[Sample, ...],
        foreign: tuple[ForeignGroup, ...],
    ) -> tuple[UpdateReport, Exchange | None]:
        """One fused update of all members, from own samples and from groups of other nodes."""
        members, exchange = self.population.members, None
        if self.swarm is not None:
            samples, exchange = self.swarm.join(
                samples, foreign, step, members, self.learner.rescored
            )
        update = self.learner.update(
            samples,
            step,
            versions={m.slot: self.step for m in members},
            rate_factors={m.slot: m.learning_rate_factor for m in members},
        )
        return update, exchange

    def _evolve(self, step: int, seen: Survey) -> tuple[EvolutionEvent, ...]:
        """End a generation: the weak make room for children of the others."""
        self.population, events = self.evolution.evolve(
            self.population, seen, self.adapters, self.learner.optimizer, step
        )
        self.behaviour.begin_generation([m.id for m in self.population.members])
        return events

    def _propose(
        self,
        step: int,
        matches: Sequence[Match],
        rollout: RolloutConfig,
        phase: Any,
        clock: Clock,
    ) -> tuple[tuple[Proposal, ...], tuple[Task, ...]]:
        """The teachers write; what is written is validated while others still write. Also returns
        the references that are in no archive."""
        with phase("propose"):
            planned = plan_proposals(
                matches,
                self.population,
                self._spaces,
                self._archives,
                self.config.curriculum.references,
                tasks_per_match=rollout.tasks_per_match,
                reference_count=rollout.references,
                temperature=rollout.propose_temperature,
                dropout=rollout.vocabulary_dropout,
                fits=lambda messages: self._leaves_room(messages, rollout.propose_tokens),
                step=step,
                seed=self.config.seed,
            )

            shown = {
                task.id: task
                for plan in planned
                for task in plan.references
                if task.id not in self._archives[plan.match.environment]
            }

            def draft(number: int, completion: Completion) -> tuple[str, Draft]:
                plan = planned[number]
                return plan.match.environment, Draft(
                    plan.kind, completion.text, plan.references, plan.teacher, step
                )

            completions, checks = generate_and_check(
                self.engine,
                [plan.request for plan in planned],
                Sampling(rollout.propose_tokens, rollout.temperature, rollout.top_p),
                self._checks,
                self._validate,
                draft,
                partial(self.callbacks.on_texts, "propose"),
            )
        with phase("validate"):
            names = [plan.match.environment for plan in planned]
            outcomes = self._admit(names, checks.results(), completions, shown)
            clock.seconds["beside/validate"] = checks.busy_seconds
            proposals = tuple(
                Proposal(
                    step=step,
                    match=plan.match.index,
                    teacher=plan.teacher,
                    kind=plan.kind,
                    references=tuple(task.id for task in plan.references),
                    request=plan.request,
                    completion=completion,
                    outcome=outcomes[number],
                    novelty=self._archives[plan.match.environment].novelty(outcomes[number]),
                )
                for number, (plan, completion) in enumerate(zip(planned, completions, strict=True))
            )
            return proposals, tuple(shown.values())

    def _admit(
        self,
        names: Sequence[str],
        validated: Sequence[Task | Rejection],
        completions: Sequence[Completion],
        shown: Collection[str],
    ) -> list[Task | Rejection]:
        """Return what becomes of each proposal, in the environment of its name."""
        outcomes: dict[int, Task | Rejection] = {}
        for name, world in self.worlds.items():
            places = [i for i, other in enumerate(names) if other == name]
            admitted = admit(
                [validated[i] for i in places],
                [completions[i].finished for i in places],
                world.archive,
                world.copies,
                world.held_out,
                shown,
                self._can_be_posed,
            )
            outcomes.update(zip(places, admitted, strict=True))
        _check_validated(list(outcomes.values()))
        return [outcomes[place] for place in range(len(names))]

    def _can_be_posed(self, task: Task) -> bool:
        """Return whether a task's prompt leaves room for an attempt."""
        prompt = self._environments[task.environment].prompt(task)
        return self._leaves_room(prompt, self.config.rollout.solve_tokens)

    def _cell_of(self, task: Task) -> str:
        """Return the name of the archive cell of a task, whatever its environment."""
        return str(self._archives[task.environment].cell(task))

    def _validate(self, drafts: Sequence[tuple[str, Draft]]) -> list[Task | Rejection]:
        """Validate drafts, each in the environment that it was written for."""
        results: dict[int, Task | Rejection] = {}
        for name in dict.fromkeys(name for name, _ in drafts):
            places = [i for i, (other, _) in enumerate(drafts) if other == name]
            validated = self._spaces[name].validate([drafts[i][1] for i in places])
            results.update(zip(places, validated, strict=True))
        return [results[place] for place in range(len(drafts))]

    def _stream(self, step: int, matches: Sequence[Match], count: int) -> list[tuple[Match, Task]]:
        """The tasks of every match without a teacher, in the order of matches."""
        streamed = []
        for match in matches:
            if match.teacher is not None or match.tasks_of is not None:
                continue
            world = self.worlds[match.environment]
            seed = derive_seed(self.config.seed, "stream", step, match.index)
            tasks = draw_stream(
                match.environment, world.stream, count, seed, world.held_out, step,
            )  # fmt: skip
            streamed += [(match, task) for task in tasks if self._can_be_posed(task)]
        return streamed

    def _exchange(
        self,
        step: int,
        posed: Sequence[tuple[Match, Task]],
        rollouts: Sequence[Rollout],
        phase: Any,
    ) -> tuple[ForeignGroup, ...]:
        """Other nodes get this step's rollouts; what there is of theirs is drawn."""
        if self.swarm is None or Role.STUDENT in self.config.learner.frozen:
            return ()
        with phase("exchange"):
            self.swarm.publish(step, (task for _, task in posed), rollouts)
            return self.swarm.draw(step, self.population.by_role(Role.STUDENT))

    def _solve(
        self,
        step: int,
        matches: Sequence[Match],
        posed: Sequence[tuple[Match, Task]],
        attempts: int,
        clock: Clock,
    ) -> tuple[Rollout, ...]:
        """The students write their attempts, which are verified while others still write."""
        rollout = self.config.rollout
        posings = plan_posings(posed, matches, self.population, self._environments)
        rollouts, seconds = run_interaction(
            rollout.interaction.begin(posings, attempts, step, self.config.seed),
            self.engine,
            Sampling(rollout.solve_tokens, rollout.temperature, rollout.top_p),
            self._checks,
            self._verify,
            partial(self.callbacks.on_texts, "solve"),
        )
        clock.seconds["beside/verify"] = seconds
        return tuple(rollouts)


def _check_validated(outcomes: Sequence[Task | Rejection]) -> None:
    """Raises InfrastructureError if the sandbox failed and nothing became a task."""
    lost = sum(isinstance(outcome, Rejection) and outcome.infra for outcome in outcomes)
    if lost and not any(isinstance(outcome, Task) for outcome in outcomes):
        raise InfrastructureError(
            f"the sandbox failed on {lost} of {len(outcomes)} proposals and none became a task; "
            "the last checkpoint is intact. Check `redqueen doctor`, then resume"
        )
