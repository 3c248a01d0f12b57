"""One copy of the base with an engine: what stands on each node or GPU, and the jobs that it does.

Nothing here knows how jobs come: over a cluster, or by a call in the same process.
"""

import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, NoReturn, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from redqueen.config.policy import PolicyConfig
from redqueen.engines.base import Engine, EngineConfig, Sampling
from redqueen.models.population_model import PopulationModel
from redqueen.types import Request

Floats = NDArray[np.float32]
Send = Callable[[Any], None]
"""Sends a part of a job's result while the job goes on."""


@dataclass(frozen=True, slots=True)
class Handed:
    """All members' adapters as they are handed to replicas."""

    number: int
    """Counts what has been handed over; a replica reads `weights` when it has another number."""
    weights: Any
    """What `fetch` of a replica turns into the values of an adapter stack's buffer."""
    versions: Mapping[int, int]
    """Slots to the versions of their adapters."""


class Job(Protocol):
    """Work for one replica. It travels, and is done again elsewhere if the replica is lost."""

    def run(self, engine: Engine, model: PopulationModel, send: Send) -> None:
        """Do it; the result is what is sent."""


@dataclass(frozen=True, slots=True)
class Write:
    """Complete requests; sends completions by the requests' numbers."""

    numbers: tuple[int, ...]
    requests: tuple[Request, ...]
    sampling: Sampling

    def run(self, engine: Engine, model: PopulationModel, send: Send) -> None:
        """See `Job`."""
        engine.generate(
            self.requests,
            self.sampling,
            lambda done: send({self.numbers[place]: text for place, text in done.items()}),
        )


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a `Learn` came to."""

    results: list[Any]
    slots: list[int]
    """Those that have a gradient."""
    gradients: dict[str, Floats]
    """Of each tensor of the adapter stack, the rows of `slots`."""


@dataclass(frozen=True, slots=True)
class Learn:
    """Passes over micro-batches; sends one `Learnt`, whose gradients are sums over them."""

    function: Callable[..., Any]
    """(scorer, argument) to a result: a function of a module, which travels by name."""
    arguments: tuple[Any, ...]

    def run(self, engine: Engine, model: PopulationModel, send: Send) -> None:
        """See `Job`."""
        parameters = model.adapters.parameters()
        for parameter in parameters.values():
            parameter.grad = None
        results = getattr(engine, "scorer", model).map_gradients(self.function, self.arguments)
        grads = {name: p.grad for name, p in parameters.items() if p.grad is not None}
        learnt_S = torch.zeros(model.adapters.slots, dtype=torch.bool)
        for grad in grads.values():
            learnt_S |= grad.flatten(1).ne(0).any(1).cpu()  # NaN too, which the optimizer reports
        slots = learnt_S.nonzero()[:, 0].tolist()
        send(Learnt(results, slots, {k: g[slots].cpu().numpy() for k, g in grads.items()}))


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception that a job raised."""

    error: Exception
    traceback: str

    @classmethod
    def of(cls, error: Exception) -> "Failure":
        """Return what travels of an exception that is being handled."""
        return cls(error, traceback.format_exc())

    def reraise(self) -> NoReturn:
        """Raise it here."""
        raise self.error from RuntimeError(self.traceback)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a replica says of itself when it is ready."""

    digest: str
    """Of its base's weights."""
    workers: int
    """Processes that it learns with."""


class Replica:
    """A base, its adapters and an engine; `prepare` before the first job. One job at a time."""

    def __init__(
        self,
        policy: PolicyConfig,
        engine: EngineConfig,
        slots: int,
        threads: int,
        fetch: Callable[[Any], Floats],
    ) -> None:
        """Keep what `prepare` needs; `fetch` reads the weights of a `Handed`."""
        self._policy = policy
        self._engine_config = engine
        self._slots = slots
        self._threads = threads
        self._fetch = fetch
        self._number = -1

    def prepare(self) -> Facts | Failure:
        """Load the base and start the engine."""
        torch.set_num_threads(self._threads)
        try:
            self._model = PopulationModel.load(self._policy, self._slots, 0)
            self._engine = self._engine_config.build(self._model)
        except Exception as error:
            return Failure.of(error)
        workers = getattr(self._engine, "workers", None)
        return Facts(self._model.base.digest, 1 if workers is None else len(workers))

    def ping(self) -> None:
        """Show that this process runs and is reached."""

    def work(self, handed: Handed, job: Job) -> Iterator[Any]:
        """Yield what a job sends, as it comes; in the end a `Failure`, if it raised something."""
        sent: SimpleQueue[Any] = SimpleQueue()
        over = object()

        def work() -> None:
            try:
                self._take(handed)
                job.run(self._engine, self._model, sent.put)
            except Exception as error:
                sent.put(Failure.of(error))
            finally:
                sent.put(over)

        thread = threading.Thread(target=work, name="job")
        thread.start()
        while (part := sent.get()) is not over:
            yield part
        thread.join()

    @torch.no_grad()
    def _take(self, handed: Handed) -> None:
        """Have the adapters that are handed over, and tell the engine of their versions."""
        if handed.number == self._number:
            return
        adapters = self._model.adapters
        adapters.buffer.copy_(torch.tensor(self._fetch(handed.weights)))
        for version in sorted(set(handed.versions.values())):
            slots = [slot for slot, of in handed.versions.items() if of == version]
            self._engine.sync(slots, adapters, version)
        self._number = handed.number

    def close(self) -> None:
        """End the engine's processes."""
        if hasattr(self, "_engine"):
            self._engine.close()


def micro_jobs(arguments: Sequence[Any], shares: int) -> list[tuple[Any, ...]]:
    """Return the arguments dealt to at most so many shares, none empty."""
    return [tuple(arguments[share::shares]) for share in range(min(shares, len(arguments)))]
