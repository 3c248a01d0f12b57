"""A pool whose replicas live in this process, and can be lost at will."""

from collections.abc import Callable, Sequence
from typing import Any

from redqueen.cluster.replica import Facts, Failure, Floats, Handed, Job, Replica
from redqueen.config.policy import PolicyConfig
from redqueen.engines.base import EngineConfig

Loss = tuple[int, int]
"""A job, and how many parts of it come at most before its replica is lost."""


class HerePool:
    """Does jobs one after another, on its replicas in turns, the last job first."""

    def __init__(self, count: int, policy: PolicyConfig, engine: EngineConfig, slots: int) -> None:
        self.puts: list[Floats] = []
        self.losses: list[Loss] = []
        self.sent: list[tuple[int, Job]] = []
        self._replicas = [
            Replica(policy, engine, slots, 1, self.puts.__getitem__) for _ in range(count)
        ]
        self.facts = [replica.prepare() for replica in self._replicas]

    @property
    def workers(self) -> int:
        assert isinstance(self.facts[0], Facts)
        return self.facts[0].workers

    def __len__(self) -> int:
        return len(self._replicas)

    def put(self, weights: Floats) -> Any:
        self.puts.append(weights.copy())
        return len(self.puts) - 1

    def map(
        self,
        jobs: Sequence[Callable[[], Job]],
        handed: Handed,
        on_part: Callable[[int, Any], None],
    ) -> None:
        waiting = list(range(len(jobs)))
        while waiting:
            number = waiting.pop()
            self.sent.append((number, jobs[number]()))
            replica = self._replicas[len(self.sent) % len(self)]
            loss = next((loss for loss in self.losses if loss[0] == number), None)
            for parts, part in enumerate(replica.work(handed, self.sent[-1][1])):
                if loss is not None and parts == loss[1]:
                    break
                if isinstance(part, Failure):
                    part.reraise()
                on_part(number, part)
            if loss is not None:
                self.losses.remove(loss)
                waiting.insert(0, number)

    def close(self) -> None:
        for replica in self._replicas:
            replica.close()
