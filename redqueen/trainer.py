"""The loop: match, propose, validate, solve, learn, evolve, store. Nothing is hidden elsewhere.

Data moves one way through the phases in small frozen records. Every draw derives from (run seed,
step, phase, match, ...), so a run that is killed and resumed is the run that was never killed.
The parts come from `redqueen.build`.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from redqueen.background import Background
from redqueen.callbacks.base import Callbacks
from redqueen.callbacks.database import Snapshot
from redqueen.config import Config
from redqueen.curriculum import Archive, CopyIndex, HeldOut, admit, draw_stream
from redqueen.engines.base import Engine, Sampling
from redqueen.environments.base import Draft, Environment, TaskSource, TaskSpace
from redqueen.errors import InfrastructureError
from redqueen.evolution import (
    BehaviourLog,
    Evolution,
    removed_members,
    step_activity,
    survey,
)
from redqueen.learner import Learner, assign_rewards, make_samples, step_metrics
from redqueen.models.adapters import AdapterStack
from redqueen.population import Population, RatingSystem, make_matches, match_results
from redqueen.rng import derive_seed, numpy_rng
from redqueen.rollouts.collect import generate_and_check, run_interaction, verifier_of
from redqueen.rollouts.plan import plan_posings, plan_proposals, posed_tasks
from redqueen.swarm.record import swarm_metrics
from redqueen.types import (
    Completion,
    EvolutionEvent,
    ForeignGroup,
    Match,
    Proposal,
    Rejection,
    Role,
    Rollout,
    StepRecord,
    Task,
)

if TYPE_CHECKING:  # needs the extra `swarm`
    from redqueen.swarm.exchange import Swarm


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


class Storage(Protocol):
    """Where finished steps go. Unlike callbacks, a failure of it ends the run."""

    def write(self, record: StepRecord, checkpoint: Snapshot | None) -> None:
        """Write a step, then what the next one depends on."""
        ...

    def save(self, checkpoint: Snapshot) -> None:
        """Write a checkpoint alone."""
        ...

    def truncate_after(self, step: int) -> None:
        """Forget the steps after a checkpoint, from before a crash."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """One environment of the run, with what the curriculum keeps of it."""

    environment: Environment
    archive: Archive
    held_out: HeldOut
    copies: CopyIndex | None
    """None: near copies are allowed, or the environment has no fingerprints."""
    stream: TaskSource | None
    share: float
    """Its share of matches."""


@dataclass(slots=True)
class Parts:
    """What a trainer works with; made by `redqueen.build` alone."""

    config: Config
    engine: Engine
    adapters: AdapterStack
    learner: Learner
    worlds: Mapping[str, World]
    ratings: RatingSystem
    population: Population
    evolution: Evolution
    behaviour: BehaviourLog
    callbacks: Callbacks
    base_parameters: int
    step: int = 0
    """Steps done."""
    swarm: "Swarm | None" = None
    """None: the run is in no swarm."""


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
        self.evolution = parts.evolution
        self.behaviour = parts.behaviour
        self.storage = storage
        self.callbacks = parts.callbacks
        self.base_parameters = parts.base_parameters
        self.step = parts.step
        self.swarm = parts.swarm
        environments = {name: world.environment for name, world in self.worlds.items()}
        self._environments = environments
        self._spaces = {n: e for n, e in environments.items() if isinstance(e, TaskSpace)}
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
            "adapters": self.adapters.state_dict(),
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

        @contextmanager
        def phase(name: str) -> Iterator[None]:
            self.callbacks.on_phase(step, name)
            with clock(name):
                yield

        with phase("match"):
            shares = {name: world.share for name, world in self.worlds.items()}
            rng = numpy_rng(config.seed, step, "match")
            matches = make_matches(
                self.population,
                config.population.matchmaking,
                self.ratings,
                count=config.rollout.matches,
                students_per_task=config.rollout.students_per_task,
                shares=shares,
                step=step,
                rng=rng,
            )
        proposals = self._propose(step, matches, phase, clock)
        streamed = self._stream(step, matches)
        with phase("solve"):
            posed = posed_tasks(matches, proposals, streamed)
            rollouts = self._solve(step, matches, posed, clock)
        foreign = self._exchange(step, posed, rollouts, phase)
        with phase("learn"):
            rewards = assign_rewards(matches, proposals, rollouts, config.learner)
            results = match_results(self.ratings, self.population, matches, proposals, rollouts)
            members = self.population.members
            samples, exchange = make_samples(matches, proposals, rollouts, rewards, members), None
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
            self.population = self.ratings.update(self.population, results)
            for _, task in posed:
                self._archives[task.environment].add([task])
        before, events = self.population, tuple[EvolutionEvent, ...]()
        with phase("evolve"):
            self.behaviour.add(step_activity(proposals, rewards.proposals, rollouts, self._cell_of))
            seen = survey(before, self.behaviour, self.adapters.A, self.adapters.B)
            # Newborns of the last step would be measured before they have learnt anything.
            if self.evolution.is_due(step) and step < config.steps:
                self.population, events = self.evolution.evolve(
                    before, seen, self.adapters, self.learner.optimizer, step
                )
                self.behaviour.begin_generation([m.id for m in self.population.members])
            self.engine.sync(range(len(self.population)), self.adapters, step)
        metrics = update.metrics() | step_metrics(proposals, rollouts) | seen.metrics()
        metrics |= archive_metrics(self._archives)
        if exchange is not None:
            metrics |= swarm_metrics(exchange)
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
            members=(*self.population.members, *removed_members(before, events)),
            events=events,
            metrics=metrics,
            seconds=clock.seconds | {"store": self._store_seconds},
            streamed=tuple(task for _, task in streamed),
            exchange=exchange,
        )

    def _propose(
        self, step: int, matches: Sequence[Match], phase: Any, clock: Clock
    ) -> tuple[Proposal, ...]:
        """The teachers write; what is written is validated while others still write."""
        rollout = self.config.rollout
        with phase("propose"):
            planned = plan_proposals(
                matches,
                self.population,
                self._spaces,
                self._archives,
                self.config.curriculum.references,
                tasks_per_match=rollout.tasks_per_match,
                reference_count=rollout.references,
                step=step,
                seed=self.config.seed,
            )

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
            validated = checks.results()
            clock.seconds["beside/validate"] = checks.busy_seconds
            outcomes: dict[int, Task | Rejection] = {}
            for name, world in self.worlds.items():
                places = [i for i, plan in enumerate(planned) if plan.match.environment == name]
                admitted = admit(
                    [validated[i] for i in places],
                    [completions[i].finished for i in places],
                    world.archive,
                    world.copies,
                    world.held_out,
                )
                outcomes.update(zip(places, admitted, strict=True))
            _check_validated(list(outcomes.values()))
            return tuple(
                Proposal(
                    step=step,
                    match=plan.match.index,
                    teacher=plan.teacher,
                    kind=plan.kind,
                    references=tuple(task.id for task in plan.references),
                    request=plan.request,
                    completion=completion,
                    outcome=outcomes[number],
                )
                for number, (plan, completion) in enumerate(zip(planned, completions, strict=True))
            )

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

    def _stream(self, step: int, matches: Sequence[Match]) -> list[tuple[Match, Task]]:
        """The tasks of every match without a teacher, in the order of matches."""
        streamed = []
        for match in matches:
            if match.teacher is not None or match.tasks_of is not None:
                continue
            world = self.worlds[match.environment]
            seed = derive_seed(self.config.seed, "stream", step, match.index)
            tasks = draw_stream(
                match.environment, world.stream, self.config.rollout.tasks_per_match, seed,
                world.held_out, step,
            )  # fmt: skip
            streamed += [(match, task) for task in tasks]
        return streamed

    def _exchange(
        self,
        step: int,
        posed: Sequence[tuple[Match, Task]],
        rollouts: Sequence[Rollout],
        phase: Any,
    ) -> tuple[ForeignGroup, ...]:
        """Other nodes get this step's rollouts; what there is of theirs is drawn."""
        if self.swarm is None:
            return ()
        with phase("exchange"):
            students = self.population.by_role(Role.STUDENT)
            self.swarm.publish(step, (task for _, task in posed), rollouts)
            return self.swarm.draw(step, students)

    def _solve(
        self, step: int, matches: Sequence[Match], posed: Sequence[tuple[Match, Task]], clock: Clock
    ) -> tuple[Rollout, ...]:
        """The students write their attempts, which are verified while others still write."""
        rollout = self.config.rollout
        posings = plan_posings(posed, matches, self.population, self._environments)
        rollouts, seconds = run_interaction(
            rollout.interaction.begin(posings, rollout.attempts, step, self.config.seed),
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


def archive_metrics(archives: Mapping[str, Archive]) -> dict[str, float]:
    """Return the archives' metrics; with several, each name is followed by its environment's."""
    if len(archives) == 1:
        return dict(next(iter(archives.values())).metrics())
    metrics: dict[str, float] = {}
    for name, archive in archives.items():
        metrics |= {f"{key}/{name}": value for key, value in archive.metrics().items()}
    covered = sum(archive.coverage for archive in archives.values())
    return metrics | {"coverage": covered / len(archives)}
