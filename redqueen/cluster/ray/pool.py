"""Replicas as Ray actors. Lost ones have their work done by others; nodes that join get one."""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from redqueen.cluster.ray.placement import Node, Seat, seats
from redqueen.cluster.replica import Facts, Failure, Floats, Handed, Job, Replica
from redqueen.config.policy import PolicyConfig
from redqueen.engines.base import EngineConfig
from redqueen.errors import ConfigError, InfrastructureError, RedQueenError

_log = logging.getLogger(__name__)

START_WITHIN = 900.0
"""Seconds for a replica to load its base."""
SHUNNED = 20.0
"""Seconds for which no replica is started where one was lost: Ray may not know yet that a node is
dead."""
MOST_LOST = 5
"""Replicas lost in a row, without a job done by any, that end the run."""
FILL_EVERY = 2.0
"""Seconds between looks at which nodes there are."""
_LOOK = 0.5
"""Seconds between looks at replicas that say nothing."""


def connect(address: str) -> bool:
    """Reach a cluster, or start one on this machine; False: this process was in one already.

    Raises:
        InfrastructureError: neither works.
    """
    if ray.is_initialized():
        return False
    more = {"include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **more)
    except Exception as error:  # of many kinds, and a bare one if a machine is too busy
        reason = str(error).strip().split("\n")[0]
        raise InfrastructureError(
            f"cluster.address = {address!r}: no Ray cluster can be reached or started: {reason}"
        ) from error
    return True


def nodes() -> list[Node]:
    """Return the nodes of the cluster that are alive."""
    return [
        Node(
            node["NodeID"],
            node["NodeManagerAddress"],
            int(node["Resources"].get("CPU", 0)),
            int(node["Resources"].get("GPU", 0)),
        )
        for node in ray.nodes()
        if node["Alive"]
    ]


def at_node(name: str) -> NodeAffinitySchedulingStrategy:
    """Return the strategy that starts an actor on the node of this id, or nowhere."""
    return NodeAffinitySchedulingStrategy(name, soft=False)


def _wait(items: Sequence[Any]) -> list[Any]:
    """Return all that are there, as soon as any is or `_LOOK` is over."""
    if not items:
        time.sleep(_LOOK)
        return []
    first, others = ray.wait(items, timeout=_LOOK)
    more, _ = ray.wait(others, num_returns=len(others), timeout=0) if first and others else ([], [])
    return [*first, *more]


@dataclass(frozen=True, slots=True)
class Staff:
    """Which replicas there are to be."""

    policy: PolicyConfig
    engine: EngineConfig
    slots: int
    most: int
    cpus: int

    def seats(self) -> list[Seat]:
        """Return the seats of the nodes that are alive now."""
        return seats(nodes(), self.most, self.cpus)

    def start(self, seat: Seat) -> Any:
        """Start a replica's process."""
        kind = ray.remote(concurrency_groups={"health": 1})(Replica).options(
            num_cpus=seat.cpus, num_gpus=seat.gpus, max_restarts=0,
            scheduling_strategy=at_node(seat.node.id),
        )  # fmt: skip
        threads = max(1, seat.cpus)
        return kind.remote(self.policy, self.engine, self.slots, threads, ray.get)


@dataclass(eq=False, slots=True)
class _Member:
    """A replica as it is seen from here."""

    seat: Seat
    actor: Any
    facts: Any
    """Of `Replica.prepare`, on the way; None: it is ready."""
    heard: float = field(default_factory=time.monotonic)
    asked: float = 0.0
    ping: Any = None
    workers: int = 1
    job: int = -1
    stream: Any = None
    """What its job sends; None: it has none."""
    part: Any = None
    """The next piece of that, if its transfer has begun."""

    @property
    def awaited(self) -> list[Any]:
        """What of it may come next."""
        return [x for x in (self.facts, self.ping, self.part or self.stream) if x is not None]


class _Unfit(Exception):
    """A replica that came later than the run began does not do; the run goes on without it."""


class RayPool:
    """See `redqueen.cluster.engine.Pool`; `start` it first."""

    def __init__(self, staff: Staff, digest: str, silence: float, leaves: bool) -> None:
        """`digest`: of the weights of the base that this process has; `silence`: seconds without
        an answer after which a replica is given up; `leaves`: the cluster is left at the end."""
        self._staff = staff
        self._digest = digest
        self._silence = silence
        self._leaves = leaves
        self._members: list[_Member] = []
        self._shunned: dict[str, float] = {}
        self._lost = 0
        self._looked = self._present = time.monotonic()
        self._filled = 0.0
        self._started = False

    def __len__(self) -> int:
        """Return how many replicas are ready."""
        return len(self._ready())

    def _ready(self) -> list[_Member]:
        return [member for member in self._members if member.facts is None]

    @property
    def workers(self) -> int:
        """See `Pool`; the most of any."""
        return max((member.workers for member in self._ready()), default=1)

    def put(self, weights: Floats) -> Any:
        """See `Pool`."""
        return ray.put(weights)

    def start(self) -> None:
        """Start all replicas, and wait until they are ready.

        Raises:
            ConfigError: one cannot load the base, or has another.
            InfrastructureError: there is no seat, or none is ready within `START_WITHIN`.
        """
        self._fill()
        if not self._members:
            raise InfrastructureError("the Ray cluster has no node with a core to spare")
        end = time.monotonic() + START_WITHIN
        while len(self) < len(self._members):
            if time.monotonic() > end:
                raise InfrastructureError(
                    f"no engine was ready on the Ray cluster within {START_WITHIN:.0f} s; is it "
                    "busy with other work?"
                )
            self._look(lambda number, part: None)
        if not self._members:
            raise InfrastructureError("all engines on the Ray cluster were lost as they started")
        self._started = True

    def map(
        self,
        jobs: Sequence[Callable[[], Job]],
        handed: Handed,
        on_part: Callable[[int, Any], None],
    ) -> None:
        """See `Pool`."""
        waiting = deque(range(len(jobs)))
        left = len(jobs)
        for member in self._members:  # of a call that was left early
            member.stream = member.part = None
        while left:
            self._fill()
            for member in self._ready():
                if waiting and member.stream is None:
                    member.job = waiting.popleft()
                    work = member.actor.work.options(num_returns="streaming")
                    member.stream = work.remote(handed, jobs[member.job]())
            done, again = self._look(on_part)
            left -= done
            waiting.extendleft(again)

    def _look(self, on_part: Callable[[int, Any], None]) -> tuple[int, list[int]]:
        """Wait a moment for whatever comes; return how many jobs are done, and those to do again.

        Raises: see `Pool.map`.
        """
        self._ping()
        awaited = {item: member for member in self._members for item in member.awaited}
        came = _wait([*awaited])
        done, again = 0, []
        for item in came:
            member = awaited[item]
            if member not in self._members:
                continue  # lost meanwhile
            try:
                if self._take(member, item, on_part):
                    done += 1
            except RayTaskError:
                raise
            except (RayError, _Unfit) as error:
                reason = str(error) if isinstance(error, _Unfit) else type(error).__name__
                again += self._lose(member, reason)
        for member in self._ready():
            if self._looked - member.heard > self._silence:
                again += self._lose(member, f"it said nothing for {self._silence:.0f} s")
        return done, again

    def _take(self, member: _Member, item: Any, on_part: Callable[[int, Any], None]) -> bool:
        """Take in what has come from a replica; return whether its job is done."""
        member.heard = time.monotonic()
        if item is member.ping:
            ray.get(item)
            member.ping = None
        elif item is member.facts:
            try:
                self._welcome(member, ray.get(item))
            except RedQueenError as error:
                if self._started:
                    raise _Unfit(str(error)) from error
                raise
        elif item is member.part:
            part = ray.get(item)
            member.part = None
            if isinstance(part, Failure):
                member.stream = None
                part.reraise()
            on_part(member.job, part)
        else:
            try:
                member.part = next(member.stream)
            except StopIteration:
                member.stream = None
                self._lost = 0
                return True
        return False

    def _welcome(self, member: _Member, facts: Facts | Failure) -> None:
        """A replica is ready, if it has the right base."""
        where = f"the engine on {member.seat.node.address}"
        if isinstance(facts, Failure):
            if isinstance(facts.error, RedQueenError):
                facts = Failure(type(facts.error)(f"{where}: {facts.error}"), facts.traceback)
            facts.reraise()
        if facts.digest != self._digest:
            raise ConfigError(
                f"{where} has another base than this process under the name of policy.base; put "
                "the same files on all nodes"
            )
        member.workers, member.facts = facts.workers, None

    def _ping(self) -> None:
        """Ask all replicas that are ready whether they are there, some times in `silence`."""
        now = time.monotonic()
        if now - self._looked > 2 * _LOOK:  # nobody listened meanwhile
            for member in self._members:
                member.heard += now - self._looked
        self._looked = now
        for member in self._ready():
            if member.ping is None and now - member.asked > self._silence / 6:
                ping = member.actor.ping.options(concurrency_group="health")
                member.ping, member.asked = ping.remote(), now

    def _lose(self, member: _Member, reason: str) -> list[int]:
        """Give a replica up; return the job that it had.

        Raises:
            InfrastructureError: too many in a row.
        """
        self._members.remove(member)
        with suppress(RayError):
            ray.kill(member.actor)
        self._shunned[member.seat.node.id] = time.monotonic()
        self._lost += 1
        where = member.seat.node.address
        _log.warning("the engine on %s is lost (%s); its work is done elsewhere", where, reason)
        if self._lost > MOST_LOST:
            raise InfrastructureError(
                f"{self._lost} engines on the Ray cluster were lost one after another, the last on "
                f"{where} ({reason}), perhaps for want of memory; the last checkpoint is intact"
            )
        return [] if member.stream is None else [member.job]

    def _fill(self) -> None:
        """Start replicas where there is a seat without one.

        Raises:
            InfrastructureError: for a while there has been none, and none that may become ready.
        """
        now = time.monotonic()
        if now - self._filled < FILL_EVERY:
            return
        self._filled = now
        taken = {(m.seat.node.id, m.seat.place) for m in self._members}
        for seat in self._staff.seats():
            shunned = now - self._shunned.get(seat.node.id, -SHUNNED) < SHUNNED
            if shunned or (seat.node.id, seat.place) in taken:
                continue
            actor = self._staff.start(seat)
            self._members.append(_Member(seat, actor, actor.prepare.remote()))
        if any(m.facts is None or now - m.heard < START_WITHIN for m in self._members):
            self._present = now
        elif now - self._present > SHUNNED + self._silence:
            raise InfrastructureError(
                "no node of the Ray cluster is left; the last checkpoint is intact: start the "
                "nodes again, then resume"
            )

    def close(self) -> None:
        """See `Pool`. Ends the cluster too, if it was started with the pool."""
        for member in self._members:
            with suppress(RayError):
                ray.kill(member.actor)
        self._members = []
        if self._leaves:
            ray.shutdown()
