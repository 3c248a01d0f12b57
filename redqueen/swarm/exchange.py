"""A node's part of a step: send own groups, draw others' without waiting, make samples of them.

SAPO (arXiv 2509.08721): a step learns from I groups of its own and J of others. What was drawn is
in the run's records, so a resumed run that does a step again learns from the same groups.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from redqueen.background import Background
from redqueen.config.swarm import SwarmConfig
from redqueen.environments.base import environment_version
from redqueen.rng import numpy_rng
from redqueen.swarm.checks import Gate
from redqueen.swarm.identity import Identity
from redqueen.swarm.islands import Islands
from redqueen.swarm.judge import Judge
from redqueen.swarm.reasons import IMPLAUSIBLE, TAKEN
from redqueen.swarm.samples import Codec, foreign_samples
from redqueen.swarm.transport.base import Transport, TransportError
from redqueen.swarm.wire import Answer, Group, Message, Turn, decode, encode
from redqueen.types import (
    Exchange,
    ForeignAdapter,
    ForeignGroup,
    Member,
    Role,
    Rollout,
    Sample,
    Task,
    Verdict,
)

log = logging.getLogger(__name__)

A_STEP = 1024
"""Numbers that a step's messages have; groups beyond are not sent."""
JUDGED = 4
"""Groups that are judged in a step, at most, for each that is asked for."""
LOW = 0.01
"""Quantile of this node's own answers below which a foreign group is implausible."""
FEW = 50
"""Own answers under which nothing is said of that."""


@dataclass(frozen=True, slots=True)
class Past:
    """What a run's records say of the swarm, when it is resumed."""

    epoch: int
    exchanges: Mapping[int, Exchange] = field(default_factory=dict)
    """Of steps that are to be done again, by step."""
    used: Mapping[tuple[str, int, int], int] = field(default_factory=dict)
    """How often groups were learnt from, by origin, epoch and number."""
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """What became of each author's messages."""
    newest: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Epoch and number of the newest adapter of each author that was measured."""


class Swarm:
    """One node of a swarm; `close` it at the end."""

    def __init__(
        self,
        config: SwarmConfig,
        identity: Identity,
        transport: Transport,
        judge: Judge,
        codec: Codec,
        past: Past,
        *,
        seed: int,
        limit: int,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
        islands: Callable[[Gate], Islands] | None = None,
    ) -> None:
        """`seed` is the run's, `limit` the tokens after which its attempts are cut; `islands`
        makes the exchange of members; `clock` gives the time of day, `timer` measures."""
        self.config, self.identity, self.transport = config, identity, transport
        self.judge, self.codec, self.past = judge, codec, past
        self.gate = Gate(config, identity.name, clock)
        self._seed, self._limit, self._clock, self._timer = seed, limit, clock, timer
        self._used = Counter(dict(past.used))
        self._published = 0
        self._alone = False
        self._sends = Background("swarm")
        self.islands = islands(self.gate) if islands else None
        for author, counts in past.counts.items():
            self.gate.remember(author, counts)

    def close(self) -> None:
        """Wait for what is being sent, and leave the swarm."""
        self.flush()
        self._sends.close()
        if self.islands is not None:
            self.islands.close()
        self.transport.close()

    def flush(self) -> None:
        """Wait until what was published is on its way."""
        self._sends.finish()

    # ── own groups, to the others ───────────────────────────────────────────────────────────

    def publish(self, step: int, tasks: Iterable[Task], rollouts: Sequence[Rollout]) -> None:
        """Begin to send the groups of a step from which there is something to learn."""
        by_id = {task.id: task for task in tasks}
        groups: dict[str, list[Rollout]] = {}
        for rollout in rollouts:
            groups.setdefault(rollout.group, []).append(rollout)
        messages = []
        for number, attempts in enumerate(groups.values()):
            if number >= A_STEP:
                break
            if _is_telling(attempts):
                group = self._group(step * A_STEP + number, attempts, by_id[attempts[0].task_id])
                try:
                    data = encode(group, self.identity)
                except ValueError:
                    continue  # a text with a lone surrogate, which no message can hold
                if len(data) <= self.config.max_bytes:
                    self.gate.copies.add(group, self.identity.name)
                    messages.append((f"{group.epoch:012d}-{group.number:012d}", data))
        self._published = len(messages)
        self._sends.begin(partial(self._send, messages))

    def _group(self, number: int, attempts: Sequence[Rollout], task: Task) -> Group:
        """Return the message's content of some attempts at a task."""
        environment = self.judge.environments[task.environment]
        return Group.model_construct(
            environment=task.environment,
            environment_version=environment_version(environment),
            kind=task.kind,
            payload=dict(task.payload),
            messages=tuple(
                Turn.model_construct(role=turn.role, content=turn.content)
                for turn in attempts[0].request.messages
            ),
            answers=tuple(
                Answer.model_construct(text=a.completion.text, finished=a.completion.finished)
                for a in attempts
            ),
            limit=self._limit,
            member=attempts[0].student,
            epoch=self.past.epoch,
            number=number,
            time=int(self._clock()),
        )

    def _send(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Send messages; runs on a thread of its own, so that no slow peer holds up a step."""
        try:
            for key, data in messages:
                self.transport.publish(key, data)
        except TransportError as error:
            log.warning("some rollouts were not sent to other nodes: %s", error)

    # ── others' groups, into the step ───────────────────────────────────────────────────────

    def draw(self, step: int, students: Sequence[Member]) -> tuple[ForeignGroup, ...]:
        """Return the groups of others that a step learns from: those on record if the step is done
        again, else at most `foreign` of what is at hand."""
        gate = self.gate
        gate.begin_step(step)
        try:
            for data in self.transport.receive():
                gate.admit(data, step)
        except TransportError as error:
            log.warning("nothing was fetched from other nodes: %s", error)
        if step in self.past.exchanges:
            return self.past.exchanges[step].groups
        rng = numpy_rng(self._seed, step, "swarm")
        turns = [students[i] for i in rng.permutation(len(students))]
        wanted, left = self.config.foreign, JUDGED * self.config.foreign
        groups: list[ForeignGroup] = []
        again: list[tuple[int, Message]] = []
        end = self._timer() + self.config.max_seconds
        while len(groups) < wanted and left > 0 and self._timer() < end:
            picked = self._pick(min(wanted - len(groups), left), rng)
            if not picked:
                break
            left -= len(picked)
            judged = self.judge.judge([message.group for _, message in picked])
            for (arrived, message), result in zip(picked, judged, strict=True):
                if isinstance(result, str):
                    gate.count(message.author, result)
                    continue
                gate.count(message.author, TAKEN)
                self._used[message.key] += 1
                again.append((arrived, message))
                groups.append(
                    ForeignGroup(
                        *message.key,
                        student=turns[len(groups) % len(turns)].id,
                        message=message.data,
                        verdicts=tuple(item.verdict for item in result),
                        partial_scores=tuple(item.partial_score for item in result),
                    )
                )
        for arrived, message in again:
            if self._used[message.key] < self.config.repeats:
                gate.peers[message.author].waiting.appendleft((arrived, message.data))
        self._say_if_alone(step, len(groups))
        return tuple(groups)

    def _pick(self, count: int, rng: np.random.Generator) -> list[tuple[int, Message]]:
        """Take up to `count` waiting messages: an author by its share, then any of its own."""
        picked: list[tuple[int, Message]] = []
        while len(picked) < count and (shares := self.gate.shares()):
            weights = np.array(list(shares.values()))
            author = list(shares)[int(rng.choice(len(shares), p=weights / weights.sum()))]
            waiting = self.gate.peers[author].waiting
            place = int(rng.integers(len(waiting)))
            arrived, data = waiting[place]
            del waiting[place]
            message = decode(data, self.config.max_bytes)
            if self._used[message.key] < self.config.repeats:
                picked.append((arrived, message))
            else:
                self.gate.count(author, "repeated")
        return picked

    def _say_if_alone(self, step: int, groups: int) -> None:
        """Say so when a node begins or ends to train alone."""
        alone = groups == 0 and self.config.foreign > 0
        if alone and not self._alone:
            log.warning("step %d: nothing of other nodes is at hand; training alone", step)
        elif self._alone and not alone:
            log.warning("step %d: other nodes are heard again", step)
        self._alone = alone

    def join(
        self,
        samples: Sequence[Sample],
        groups: Sequence[ForeignGroup],
        step: int,
        members: Sequence[Member],
        rescored: Callable[[Sequence[Sample]], Sequence[Sample]],
    ) -> tuple[Sample, ...]:
        """Return what a step learns from, own samples first.

        `rescored` gives samples the log-probabilities of the present adapters.
        """
        own = self._own_part(samples, step)
        foreign = foreign_samples(
            groups, members, self.codec, self.judge.reward, step, version=step - 1
        )
        foreign = list(rescored(foreign)) if foreign else []
        self._weigh(own, foreign)
        return (*own, *foreign)

    def record(
        self, step: int, groups: Sequence[ForeignGroup], adapters: Sequence[ForeignAdapter]
    ) -> Exchange:
        """Return what a step had to do with other nodes; of a step that is done again, what is on
        record."""
        if step in self.past.exchanges:
            return self.past.exchanges[step]
        counts = {author: dict(several) for author, several in sorted(self.gate.counts.items())}
        return Exchange(self.past.epoch, self._published, tuple(groups), counts, tuple(adapters))

    def _own_part(self, samples: Sequence[Sample], step: int) -> list[Sample]:
        """Return all samples of teachers, and those of `own` groups of students, drawn."""
        names = dict.fromkeys(s.group for s in samples if s.role is Role.STUDENT)
        if self.config.own == "all" or len(names) <= self.config.own:
            return list(samples)
        rng = numpy_rng(self._seed, step, "swarm", "own")
        chosen = rng.choice(len(names), self.config.own, replace=False).tolist()
        kept = {name for place, name in enumerate(names) if place in chosen}
        return [s for s in samples if s.role is not Role.STUDENT or s.group in kept]

    def _weigh(self, own: Sequence[Sample], foreign: Sequence[Sample]) -> None:
        """Count the groups whose answers are less likely here than nearly all own ones. A soft
        check: they are learnt from, but their author is drawn less."""
        usual = [_mean_logprob(sample) for sample in own if sample.role is Role.STUDENT]
        if len(usual) < FEW:
            return
        low = float(np.quantile(usual, LOW))
        groups: dict[tuple[str, str], list[float]] = {}
        for sample in foreign:
            groups.setdefault((sample.origin, sample.group), []).append(_mean_logprob(sample))
        for (origin, _), values in groups.items():
            if float(np.median(values)) < low:
                self.gate.count(origin, IMPLAUSIBLE)


def _is_telling(attempts: Sequence[Rollout]) -> bool:
    """Return whether attempts at one task are of one round, all judged, and not all alike."""
    judged = {(a.verdict, a.partial_score) for a in attempts}
    return (
        len(judged) > 1
        and all(a.turn == 0 and a.verdict not in (None, Verdict.INFRA_ERROR) for a in attempts)
        and len({a.request.messages for a in attempts}) == 1
    )


def _mean_logprob(sample: Sample) -> float:
    return float(sample.logprobs[sample.mask].mean(dtype=np.float64))
