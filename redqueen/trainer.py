"""The loop: match, propose, validate, solve, learn, evolve, store. Nothing is hidden elsewhere.

Data moves one way through the phases in small frozen records. Every draw derives from (run seed,
step, phase, match, ...), so a run that is killed and resumed is the run that was never killed.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from redqueen.alarms import Alarms
from redqueen.background import Batches, Beside
from redqueen.benchmarks import Reserved
from redqueen.config import Config, build_config, merge
from redqueen.curriculum.archive import Archive
from redqueen.curriculum.near_copies import CopyIndex
from redqueen.engines.policy import Policy
from redqueen.environments import build_domain
from redqueen.environments.base import Attempt, Domain, Draft, Judgement
from redqueen.errors import ConfigError
from redqueen.evolution import (
    Chronicle,
    buried,
    check_operators,
    check_rated,
    evolve,
    is_due,
    step_activity,
    survey,
)
from redqueen.learner import (
    Learner,
    StackedAdamW,
    make_trajectories,
    settle,
    step_metrics,
)
from redqueen.models.loading import absolute_base
from redqueen.population import Population, RatingSystem, make_matches
from redqueen.rng import numpy_rng
from redqueen.rollouts.admit import grade, sift
from redqueen.rollouts.plan import (
    PlannedAttempt,
    check_stream,
    plan_attempts,
    plan_proposals,
    posed_tasks,
    stream_tasks,
)
from redqueen.sandbox import Sandbox, make_sandbox
from redqueen.store import RunStore, load_checkpoint, save_checkpoint
from redqueen.types import (
    Completion,
    EvolutionEvent,
    Match,
    Proposal,
    Rejection,
    Rollout,
    StepRecord,
    Task,
    Verdict,
)

CHECKED_TOGETHER = 16
"""Texts that are checked in one go while others are being written."""


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


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a checkpoint holds; nothing that a later step does changes it."""

    step: int
    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Any]


Progress = Callable[[str, StepRecord | None], None]
"""Called with a phase's name as it begins, and with ("done", record) after each step."""


class Trainer:
    """One run. Make it with `start` or `resume`, then `run` it."""

    store: RunStore

    def __init__(self, config: Config):
        """Load the base and make the founders; `start` and `resume` fill in the rest."""
        check_operators(config.evolution)
        if config.threads:
            torch.set_num_threads(config.threads)
        self.config = config
        self.population = Population.founders(config.population)
        self.ratings = RatingSystem(config.population)
        self.policy = Policy.load(config.policy, len(self.population), config.seed)
        self.policy.start_workers()
        self.sandbox: Sandbox = make_sandbox(config.sandbox)
        self.domain: Domain = build_domain(config, self.sandbox, self.policy.tokenizer)
        check_stream(config, self.domain)
        check_rated(config)
        self.held_out = Reserved(self.domain, config.eval.seed)
        self.archive = Archive(config.domain.archive_size, self.domain.cell, self.domain.cells)
        self.copies = (
            CopyIndex(self.domain.form, config.domain.program_repeats)
            if "near_copy" in config.domain.guards
            else None
        )
        self.optimizer = StackedAdamW(
            self.policy.adapters.parameters(),
            betas=config.learner.betas,
            weight_decay=config.learner.weight_decay,
            max_grad_norm=config.learner.max_grad_norm,
        )
        self.learner = Learner(
            self.policy,
            self.optimizer,
            config.learner,
            temperature=config.rollout.temperature,
            seed=config.seed,
            steps=config.steps,
        )
        self.chronicle = Chronicle(config.evolution.diversity_window)
        self.alarms = Alarms(config.alarms)
        self.step = 0
        self._checks, self._writes = Beside("checks"), Beside("store")
        self._store_seconds = 0.0

    @classmethod
    def start(cls, config: Config, directory: Path) -> "Trainer":
        """A new run in `directory`.

        Raises:
            ConfigError: the directory holds a run already, or the configuration does not work.
        """
        RunStore.check_vacant(directory)
        base = absolute_base(config.policy.base)
        config = build_config(merge(config.model_dump(), {"policy": {"base": base}}))
        trainer = cls(config)
        with ExitStack() as undo:
            undo.callback(trainer.policy.close)
            undo.callback(trainer.sandbox.close)
            trainer.store = undo.enter_context(RunStore.create(directory, config))
            trainer.archive.add(trainer.domain.seed_tasks(config.domain.seed_tasks, config.seed))
            trainer.checkpoint()
            undo.pop_all()
        return trainer

    @classmethod
    def resume(cls, directory: Path, steps: int | None = None) -> "Trainer":
        """Take up a run at its newest whole checkpoint; `steps` sets a new total.

        Raises:
            ConfigError: there is no run in `directory`, no checkpoint to continue from, or `steps`
                is less than the run has done.
        """
        with ExitStack() as undo:
            store = undo.enter_context(RunStore.open(directory))
            saved = load_checkpoint(directory)
            config = store.config()
            if steps is not None:
                config = build_config(config.model_dump() | {"steps": steps}, "--steps")
                if steps < saved.step:
                    raise ConfigError(f"--steps {steps}: the run has done {saved.step} already")
                store.write_meta("config", config.model_dump(mode="json"))
            trainer = cls(config)
            undo.callback(trainer.policy.close)
            undo.callback(trainer.sandbox.close)
            trainer.store = store
            trainer.policy.adapters.load_state_dict(saved.tensors["adapters"])
            trainer.optimizer.load_state_dict(saved.tensors["optimizer"])
            trainer.population = Population.from_json(saved.state["population"])
            trainer.archive.restore(saved.state["archive"])
            trainer.chronicle.restore(saved.state["chronicle"])
            trainer.alarms.restore(saved.state["alarms"])
            trainer.step = saved.step
            undo.pop_all()
        return trainer

    def close(self) -> None:
        """Stop the workers of policy and sandbox, and close the database."""
        self._checks.close()
        self._writes.close()
        self.policy.close()
        self.sandbox.close()
        self.store.close()

    def __enter__(self) -> "Trainer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, progress: Progress, should_stop: Callable[[], bool] = lambda: False) -> bool:
        """Train to the last step; returns False if `should_stop` ended it early, between steps.

        What the database has of steps after the checkpoint, from before a crash, is dropped.
        """
        if self.step < self.config.steps:
            self.store.truncate_after(self.step)
        while self.step < self.config.steps:
            if should_stop():
                break
            record = self.train_step(progress)
            progress("store", None)
            begun = time.perf_counter()
            self.step = record.step
            due = self.step % self.config.checkpoint_every == 0 or self.step == self.config.steps
            self._writes.begin(partial(self._store, record, self._snapshot() if due else None))
            # Known only once the record is on its way, so it is booked on the next step.
            self._store_seconds = time.perf_counter() - begun
            progress("done", record)
        self.flush()
        if self.step < self.config.steps:
            self.checkpoint()
        return self.step == self.config.steps

    def flush(self) -> None:
        """Wait until all steps that are done are on the disk.

        Raises:
            InfrastructureError: one could not be written.
        """
        self._writes.finish()

    def _store(self, record: StepRecord, checkpoint: Snapshot | None) -> None:
        """Write a step, then what the next one depends on: beside the loop."""
        self.store.write_step(record)
        if checkpoint is not None:
            self._save(checkpoint)

    def _snapshot(self) -> Snapshot:
        """Everything that the next step depends on, as it is now."""
        tensors = {
            "adapters": self.policy.adapters.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        return Snapshot(
            self.step,
            {
                file: {name: tensor.to("cpu", copy=True) for name, tensor in own.items()}
                for file, own in tensors.items()
            },
            {
                "population": self.population.to_json(),
                "archive": self.archive.state(),
                "chronicle": self.chronicle.state(),
                "alarms": self.alarms.state(),
            },
        )

    def _save(self, snapshot: Snapshot) -> None:
        save_checkpoint(
            self.store.directory,
            snapshot.step,
            snapshot.tensors,
            snapshot.state,
            keep=self.config.keep_checkpoints,
        )

    def checkpoint(self) -> None:
        """Write everything that the next step depends on."""
        self._save(self._snapshot())

    # ── one step ────────────────────────────────────────────────────────────────────────────

    def train_step(self, progress: Progress) -> StepRecord:
        """One pass through the phases (docs/design.md), not yet stored."""
        step, clock = self.step + 1, Clock()

        def phase(name: str) -> Any:
            progress(name, None)
            return clock(name)

        with phase("match"):
            rng = numpy_rng(self.config.seed, step, "match")
            matches = make_matches(self.population, self.config, step, rng)
        with phase("propose"):
            proposals, outcomes = self._propose(step, matches)
            streamed = stream_tasks(matches, self.domain, self.config, step, self.held_out.holds)
        with phase("validate"):
            proposals = sift(
                proposals, outcomes.results(), self.archive, self.copies, self.held_out
            )
        with phase("solve"):
            posed = posed_tasks(matches, proposals, streamed)
            planned = plan_attempts(posed, matches, self.population, self.domain, self.config, step)
            rollouts, judgements = self._solve(step, planned)
        with phase("verify"):
            rollouts = grade(rollouts, judgements.results(), self.config)
        with phase("learn"):
            proposals, results = settle(
                self.ratings, self.population, matches, proposals, rollouts, self.config.learner
            )
            trained = make_trajectories(proposals, rollouts, self.population.members)
            rates = {m.slot: m.learning_rate_factor for m in self.population.members}
            update = self.learner.update(trained, step, rates)
            self.population = self.ratings.update(self.population, results)
            self.archive.add(task for _, task in posed)
        before, events = self.population, tuple[EvolutionEvent, ...]()
        with phase("evolve"):
            self.chronicle.add(step_activity(proposals, rollouts, self.domain.cell))
            adapters = self.policy.adapters
            seen = survey(before, self.chronicle, adapters.A, adapters.B)
            # Newborns of the last step would be measured before they have learnt anything.
            if is_due(self.config.evolution, step) and step < self.config.steps:
                self.population, events = evolve(
                    before, seen, adapters, self.optimizer, self.config, step, self.config.seed
                )
                self.chronicle.begin_generation([m.id for m in self.population.members])
        metrics = update.metrics() | step_metrics(proposals, rollouts) | seen.metrics()
        metrics |= self.archive.metrics(self.domain.kinds)
        metrics |= self.alarms.watch(metrics)
        sampling = clock.seconds["propose"] + clock.seconds["solve"]
        metrics["tokens_per_s"] = metrics["sampled_tokens"] / sampling
        return StepRecord(
            step=step,
            matches=results,
            proposals=proposals,
            rollouts=rollouts,
            members=(*self.population.members, *buried(before, events)),
            events=events,
            metrics=metrics,
            seconds=clock.seconds | {"store": self._store_seconds},
            streamed=tuple(task for _, task in streamed),
        )

    def _propose(
        self, step: int, matches: Sequence[Match]
    ) -> tuple[tuple[Proposal, ...], Batches[Draft, Task | Rejection]]:
        """The teachers write; what is written is validated while others still write."""
        config = self.config
        planned = plan_proposals(matches, self.population, self.archive, self.domain, config, step)
        outcomes = self._checks.batches(self.domain.validate, CHECKED_TOGETHER)

        def draft(number: int, text: str) -> Draft:
            plan = planned[number]
            return Draft(plan.kind, text, plan.references, plan.teacher, step)

        def check(texts: Mapping[int, Completion]) -> None:
            outcomes.add({number: draft(number, text.text) for number, text in texts.items()})

        written = self.policy.generate(
            [proposal.request for proposal in planned],
            max_new_tokens=config.rollout.propose_tokens,
            temperature=config.rollout.temperature,
            top_p=config.rollout.top_p,
            on_written=check,
        )
        proposals = tuple(
            Proposal(
                step=step,
                match=plan.match.index,
                teacher=plan.teacher,
                kind=plan.kind,
                references=tuple(task.id for task in plan.references),
                completion=text,
                outcome=Rejection("not validated", malformed=False, infra=True),
            )
            for plan, text in zip(planned, written, strict=True)
        )
        return proposals, outcomes

    def _solve(
        self, step: int, planned: Sequence[PlannedAttempt]
    ) -> tuple[tuple[Rollout, ...], Batches[Attempt, Judgement]]:
        """The students write their attempts, which are verified while others still write."""
        judgements = self._checks.batches(self.domain.verify, CHECKED_TOGETHER)

        def check(texts: Mapping[int, Completion]) -> None:
            judgements.add({n: Attempt(planned[n].task, text.text) for n, text in texts.items()})

        written = self.policy.generate(
            [attempt.request for attempt in planned],
            max_new_tokens=self.config.rollout.solve_tokens,
            temperature=self.config.rollout.temperature,
            top_p=self.config.rollout.top_p,
            on_written=check,
        )
        rollouts = tuple(
            Rollout(
                step=step,
                match=attempt.match.index,
                student=attempt.match.student,
                task_id=attempt.task.id,
                kind=attempt.task.kind,
                attempt=attempt.number,
                completion=text,
                verdict=Verdict.INFRA_ERROR,
            )
            for attempt, text in zip(planned, written, strict=True)
        )
        return rollouts, judgements
