"""The loop: match, propose, validate, solve, learn, evolve, store.

How matches are played stands in `redqueen.rollouts.rounds`; the rest is here. Data moves one way
through the phases in small frozen records. Every draw derives from (run seed, step, phase, match,
...), so a run that is killed and resumed is the run that was never killed. The parts come from
`redqueen.build`.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor

from redqueen.background import Background
from redqueen.callbacks.database import Snapshot
from redqueen.clock import Clock
from redqueen.closing import Closing
from redqueen.config.rollout import RolloutConfig
from redqueen.evolution import (
    Guest,
    Probe,
    ProbeResult,
    Survey,
    probe_result,
    removed_members,
    step_activity,
    survey,
    with_probe,
)
from redqueen.learner import (
    Rewards,
    UpdateReport,
    assign_rewards,
    cross_likelihood,
    make_samples,
    step_metrics,
)
from redqueen.parts import Parts, Storage
from redqueen.population import Population, make_matches, match_results, players
from redqueen.rng import numpy_rng
from redqueen.rollouts.ahead import Ahead, Played
from redqueen.rollouts.guests import measure_guests
from redqueen.rollouts.plan import mixed_groups
from redqueen.rollouts.rounds import Rounds
from redqueen.swarm.record import swarm_metrics
from redqueen.types import (
    EvolutionEvent,
    ForeignAdapter,
    ForeignGroup,
    Match,
    Role,
    Rollout,
    StepRecord,
    Task,
)


class Trainer(Closing):
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
        self.pager = parts.pager
        self.swarm = parts.swarm
        self.rounds = Rounds(parts.config, parts.engine, parts.worlds, parts.leaves_room)
        # An engine that reads the adapters in place, or also learns, does one thing at a time.
        alone = parts.config.engine.in_place or hasattr(parts.engine, "scorer")
        self._ahead = Ahead(concurrent=not alone)
        self._writes = Background("store")
        self._store_seconds = 0.0
        self._version = self.step
        self.engine.sync(range(len(self.population)), self.adapters, self._version)

    def close(self) -> None:
        """Wait for what is being written, checked and stored, and end the threads."""
        self._ahead.close()
        self.rounds.close()
        self._writes.close()

    def run(self, should_stop: Callable[[], bool] = lambda: False) -> bool:
        """Train to the last step; returns False if `should_stop` ended it early, between steps.

        What the database has of steps after the checkpoint, from before a crash, is dropped.

        Raises:
            InfrastructureError: an infrastructure error; the last checkpoint is intact.
        """
        if self.step < self.config.steps:
            self.storage.truncate_after(self.step)
        self.callbacks.on_start()
        while self.step < self.config.steps:
            if should_stop():
                break
            record = self.train_step()
            self.callbacks.on_phase(record.step, "store")
            begun = time.perf_counter()
            self.step = record.step
            checkpoint = self.snapshot() if self._is_kept(self.step) else None
            self._writes.begin(partial(self.storage.write, record, checkpoint))
            # Known only once the record is on its way, so it is booked on the next step.
            self._store_seconds = time.perf_counter() - begun
            self.callbacks.on_step(record)
        self.flush()
        if self.step < self.config.steps and not self._ahead.pending:
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
        tensors: dict[str, dict[str, Tensor]] = {}
        pages: dict[str, object] = {}
        if self.pager is not None:
            pages = {"pages": self.pager.flush(self.step)}
        else:
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
            pages
            | {
                "population": self.population.to_json(),
                "hall_of_fame": self.hall_of_fame.state(),
                "archives": self.worlds.state(),
                "behaviour": self.behaviour.state(),
                "learner": self.learner.state(),
                "callbacks": self.callbacks.state(),
            },
            () if self.pager is None else self.pager.take_unsynced(),
        )

    # ── one step ────────────────────────────────────────────────────────────────────────────

    def train_step(self) -> StepRecord:
        """Return the record of one pass through the phases (docs/design.md), not yet stored."""
        config, step = self.config, self.step + 1
        clock = Clock(partial(self.callbacks.on_phase, step), self.callbacks.on_texts)
        due = self.evolution.is_due(step)
        probe, rollout = self._size(step)
        played = self._texts(step, clock)
        texts = played.round
        matches, proposals, rollouts = texts.matches, texts.proposals, texts.rollouts
        foreign = self._exchange(step, texts.posed, rollouts, clock)
        if config.rollout.overlap and not (due or self._is_kept(step)):
            self._ahead.begin(self._plan(step + 1, Clock()))
        with clock("learn"):
            credit = config.rollout.interaction.credit
            rewards = assign_rewards(
                matches, proposals, rollouts, config.learner, texts.judgements,
                self.worlds.fallible, credit,
            )  # fmt: skip
            rated = _rated(matches, rollouts, rewards)
            results = match_results(self.ratings, self.population, matches, proposals, rated)
            likelihood = self._likelihood(matches, rollouts)
            update = self._update(step, played, rewards, foreign)
            self.population = self.ratings.update(self.population, results)
            self.population, past = self.hall_of_fame.end_step(self.population, matches, step)
        before = self.population
        if self._ahead.pending:
            with clock("wait"):
                self._ahead.wait()
        with clock("evolve"):
            cell_of = self.worlds.cell_of
            self.behaviour.add(step_activity(proposals, rewards.proposals, rollouts, cell_of))
            everybody = due and config.evolution.compares
            seen = survey(
                before,
                self.behaviour,
                self.adapters.get,
                None if everybody else config.evolution.compared,
                players(matches),
            )
            measured: dict[str, float] = {}
            adapters: Sequence[ForeignAdapter] = ()
            guests: Sequence[Guest] = ()
            if probe:
                result = probe_result(before, matches, proposals, rewards.proposals, rollouts)
                seen, measured = with_probe(seen, result), result.metrics()
                adapters, guests = self._guests(step, texts.posed, result, rollout.attempts, clock)
            # Newborns of the last step would be measured before they have learnt anything.
            events = self._evolve(step, seen, guests) if due and step < config.steps else ()
            self._version = step
            self.engine.sync(range(len(self.population)), self.adapters, step)
        exchange = self.swarm.record(step, foreign, adapters) if self.swarm else None
        metrics = update.metrics() | seen.metrics() | measured | likelihood
        metrics |= played.metrics
        if self.worlds.fallible and rollouts:
            metrics["disputed"] = 1 - len(rated) / len(rollouts)
        if exchange is not None:
            metrics |= swarm_metrics(exchange)
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
            seconds={**played.seconds, **clock.seconds, "store": self._store_seconds},
            streamed=texts.streamed,
            shown=texts.shown,
            exchange=exchange,
            judgements=texts.judgements,
        )

    def _is_kept(self, step: int) -> bool:
        """Return whether a checkpoint follows a step."""
        return step % self.config.checkpoint_every == 0 or step == self.config.steps

    def _size(self, step: int) -> tuple[Probe | None, RolloutConfig]:
        """Return the probe that a step is to be, None for an ordinary one, and the step's size."""
        rollout, probe = self.config.rollout, self.evolution.probe_at(step)
        if probe is None:
            return None, rollout
        teachers = len(self.population.by_role(Role.TEACHER))
        return probe, probe.step(rollout, teachers, len(self.worlds))

    def _texts(self, step: int, clock: Clock) -> Played:
        """The texts of a step: written now, unless they have been while the step before learnt."""
        return self._ahead.take() if self._ahead.pending else self._plan(step, clock)()

    def _plan(self, step: int, clock: Clock) -> Callable[[], Played]:
        """Say who meets whom in a step; the call returned writes the texts, on any thread."""
        probe, rollout = self._size(step)
        with clock("match"):
            pairs = self._match(step, rollout, probe is not None)
        return partial(self._play, step, self._version, pairs, self.population, rollout, clock)

    def _play(
        self,
        step: int,
        version: int,
        pairs: tuple[Match, ...],
        population: Population,
        rollout: RolloutConfig,
        clock: Clock,
    ) -> Played:
        """Play the matches of a step; measure what comes of them while archives are as they are."""
        texts, rounds = self.rounds.play(step, pairs, population, rollout, clock)
        outcomes = (p.outcome for p in texts.proposals)
        metrics = step_metrics(texts.proposals, texts.rollouts)
        metrics |= self.worlds.metrics(item for item in outcomes if isinstance(item, Task))
        seconds = clock.seconds["propose"] + clock.seconds["solve"]
        metrics |= {
            "rounds": float(rounds),
            "mixed_groups": float(mixed_groups(texts.rollouts)),
            "tokens_per_s": metrics["sampled_tokens"] / seconds,
        }
        return Played(version, texts, metrics, clock.seconds)

    def _match(self, step: int, rollout: RolloutConfig, probe: bool) -> tuple[Match, ...]:
        """Who meets whom in this step; the past members among them take their slots."""
        matches = make_matches(
            self.population,
            self.config.population.matchmaking,
            self.ratings,
            count=rollout.matches,
            students_per_task=rollout.students_per_task,
            shares={name: world.share for name, world in self.worlds.items()},
            step=step,
            rng=numpy_rng(self.config.seed, step, "match"),
            past=None if probe else self.config.population.hall_of_fame,
            probes_before=self.evolution.probes_before(step),
            probe=probe,
        )
        playing = players(matches)
        self.adapters.bring([m.slot for m in self.population.members if m.id in playing])
        self.population = self.hall_of_fame.seat(self.population, matches, self.engine.sync)
        return matches

    def _update(
        self, step: int, played: Played, rewards: Rewards, foreign: tuple[ForeignGroup, ...]
    ) -> UpdateReport:
        """One fused update of all members, from this step's samples and groups of other nodes."""
        members, texts = self.population.members, played.round
        samples = make_samples(
            texts.matches, texts.proposals, texts.rollouts, rewards,
            self.population.everybody, self.config.learner.frozen,
        )  # fmt: skip
        if self.swarm is not None:
            samples = self.swarm.join(samples, foreign, step, members, self.learner.rescored)
        return self.learner.update(
            samples,
            step,
            versions={m.slot: played.version for m in members},
            rate_factors={m.slot: m.learning_rate_factor for m in members},
        )

    def _likelihood(
        self, matches: Sequence[Match], rollouts: Sequence[Rollout]
    ) -> dict[str, float]:
        """How likely students' answers are under each other, if the interaction wants to know."""
        count = self.config.rollout.interaction.texts_to_compare()
        if not count:
            return {}
        members = self.population.everybody
        return cross_likelihood(matches, rollouts, members, count, self.learner.rescored)

    def _guests(
        self,
        step: int,
        posed: Sequence[tuple[Match, Task]],
        result: ProbeResult,
        attempts: int,
        clock: Clock,
    ) -> tuple[Sequence[ForeignAdapter], Sequence[Guest]]:
        """Islands: the fittest student is sent, and what came of others is measured."""
        islands = self.swarm.islands if self.swarm else None
        students = self.population.with_roles((Role.STUDENT,))
        if islands is None or not students or Role.STUDENT in self.config.learner.frozen:
            return (), ()
        fittest = max(students, key=lambda m: (result.fitness.get(m.id, 0.0), -m.id))
        islands.publish(step, fittest.slot)
        return measure_guests(
            islands.arrivals(step) if step < self.config.steps else (),
            posed,
            result,
            self.worlds.environments,
            self.adapters,
            self.engine,
            step,
            lambda posings: self.rounds.solve(step, posings, attempts, clock),
        )

    def _evolve(
        self, step: int, seen: Survey, guests: Sequence[Guest]
    ) -> tuple[EvolutionEvent, ...]:
        """End a generation: the weak make room for children of the others, or for guests."""
        moments = self.pager or self.learner.optimizer
        self.population, events = self.evolution.evolve(
            self.population, seen, self.adapters, moments, step, guests
        )
        self.behaviour.begin_generation([m.id for m in self.population.members])
        return events

    def _exchange(
        self,
        step: int,
        posed: Sequence[tuple[Match, Task]],
        rollouts: Sequence[Rollout],
        clock: Clock,
    ) -> tuple[ForeignGroup, ...]:
        """Other nodes get this step's rollouts; what there is of theirs is drawn."""
        if self.swarm is None or Role.STUDENT in self.config.learner.frozen:
            return ()
        with clock("exchange"):
            self.swarm.publish(step, (task for _, task in posed), rollouts)
            return self.swarm.draw(step, self.population.by_role(Role.STUDENT))


def _rated(
    matches: Sequence[Match], rollouts: Sequence[Rollout], rewards: Rewards
) -> list[Rollout]:
    """Return the attempts that ratings go by: those at a disputed key say nothing about who is
    better."""
    roots = {match.index: match.root for match in matches}
    return [r for r in rollouts if (roots[r.match], r.task_id) not in rewards.disputed]
