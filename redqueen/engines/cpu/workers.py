"""Worker processes that share a model's adapters: how a CPU's cores are kept busy.

The tensors of a step are small, and one process spreads them over cores badly: most of its time
goes to operations that one core does as fast. Each worker has one thread and a base of its own. The
adapters lie in shared memory, so what the optimizer or evolution writes is what every worker reads:
no copy can be stale.
"""

import signal
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.util import Finalize
from typing import Any

import torch
from torch import Tensor, multiprocessing

from redqueen.config.policy import PolicyConfig
from redqueen.engines.cpu.model import accelerated
from redqueen.errors import InfrastructureError
from redqueen.models.adapters import AdapterStack
from redqueen.models.memory import FreedMemory
from redqueen.models.population_model import PopulationModel

Job = Callable[[PopulationModel, Any], Any]
"""(the worker's model, argument) to a result: a function of a module, which travels by name."""
Send = Callable[[Any], None]
"""Sends a part of a job's result to the parent, while the job goes on."""
SendingJob = Callable[[PopulationModel, Any, Send], None]
"""A job whose result is what it sends."""

END_WITHIN = 5.0
"""Seconds that a worker has to end before it is killed."""


@dataclass(frozen=True, slots=True)
class _Done:
    """A worker's last message of a job."""

    result: Any
    failure: tuple[Exception, str] | None


def _work(
    config: PolicyConfig,
    weights: Tensor,
    row_of: Tensor,
    rows: int,
    gradients: Tensor,
    blocked: bool,
    connection: Connection,
) -> None:
    """Be a worker: jobs in, results or errors out, until the other end is closed."""
    # Ctrl-C and a scheduler's SIGTERM go to the whole group; the parent decides what they mean.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)
    model = PopulationModel.load(config, len(row_of), 0, rows)
    model.base = accelerated(model.base, blocked)
    model.adapters.use_buffer(weights)
    model.adapters.row_of = row_of
    parts = model.adapters.split(gradients)
    for name, parameter in model.adapters.parameters().items():
        parameter.grad = parts[name]
    freed = FreedMemory()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            job, argument, sends = connection.recv()
            result, failure = None, None
            try:
                result = job(model, argument, connection.send) if sends else job(model, argument)
            except Exception as error:
                failure = error, traceback.format_exc()
            freed.trim()
            connection.send(_Done(result, failure))


def _end(connections: Sequence[Connection], processes: Sequence[Any]) -> None:
    """Close the pipes, which is what workers end on, and wait."""
    for connection in connections:
        connection.close()
    for process in processes:
        process.join(timeout=END_WITHIN)
        if process.is_alive():
            process.kill()
            process.join()


class Workers:
    """Processes that do jobs on one model's adapters."""

    def __init__(
        self, config: PolicyConfig, adapters: AdapterStack, count: int, blocked: bool = True
    ) -> None:
        """Start `count` workers, which load the base that `config` names while this goes on.
        `blocked`: see `accelerated`.

        All factors travel as one piece of shared memory, and so do the gradients of each worker:
        a process is handed few file descriptors, however many layers the base has.
        """
        methods = multiprocessing.get_all_start_methods()
        context: Any = multiprocessing.get_context(
            "forkserver" if "forkserver" in methods else "spawn"
        )
        if "forkserver" in methods:
            # The modules are read once, by the process that the workers are forked from.
            context.set_forkserver_preload(["redqueen.engines.cpu"])
        self._adapters = adapters
        weights = adapters.buffer.share_memory_()  # type: ignore[no-untyped-call]
        row_of = adapters.row_of.share_memory_()  # type: ignore[no-untyped-call]
        self._gradients = [
            torch.zeros_like(weights).share_memory_()  # type: ignore[no-untyped-call]
            for _ in range(count)
        ]
        self._connections: list[Connection] = []
        self._processes: list[Any] = []
        for gradients in self._gradients:
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_work,
                args=(config, weights, row_of, adapters.rows, gradients, blocked, theirs),
                daemon=True,
                name="engine worker",
            )
            process.start()
            theirs.close()
            self._connections.append(ours)
            self._processes.append(process)
        # At exit before daemons are sent the SIGTERM that they ignore, and then waited for.
        ends = (self._connections, self._processes)
        self._finalizer = Finalize(self, _end, ends, exitpriority=10)

    def __len__(self) -> int:
        return len(self._processes)

    @property
    def pids(self) -> list[int]:
        """Process numbers of the workers."""
        return [process.pid for process in self._processes]

    def map(
        self, job: SendingJob, arguments: Sequence[Any], on_part: Callable[[Any], None]
    ) -> None:
        """Do `job(model, argument, send)` for every argument; each goes to who is free.

        `on_part` receives what jobs send, as it comes.

        Raises:
            InfrastructureError: a worker has died.
            Exception: the first that a job or `on_part` raised, once all workers are idle again.
        """
        queues = [list(enumerate(arguments))] * len(self)
        self._run(job, queues, len(arguments), on_part)

    def map_gradients(self, job: Job, arguments: Sequence[Any]) -> list[Any]:
        """Return `job(model, argument)` for every argument, in their order.

        What they left in the workers' gradients is added to this process's. Argument i goes to
        worker i mod n, and sums are taken in one order, so the same arguments give the same bits.

        Raises: as `map` does.
        """
        for gradients in self._gradients:
            gradients.zero_()
        numbered = list(enumerate(arguments))
        queues = [numbered[worker :: len(self)] for worker in range(len(self))]
        results = self._run(job, queues, len(arguments))
        total = self._gradients[0].clone()
        for gradients in self._gradients[1:]:
            total += gradients
        parts = self._adapters.split(total)
        for name, parameter in self._adapters.parameters().items():
            parameter.grad = parts[name] if parameter.grad is None else parameter.grad + parts[name]
        return results

    def _run(
        self,
        job: Job | SendingJob,
        queues: Sequence[list[tuple[int, Any]]],
        count: int,
        on_part: Callable[[Any], None] | None = None,
    ) -> list[Any]:
        """Return the results of all arguments, each queue's by one worker (or one by all)."""
        results: list[Any] = [None] * count
        error: tuple[Exception, str] | None = None
        busy: dict[Connection, tuple[int, int]] = {}

        def feed(worker: int) -> None:
            queue = queues[worker]
            if queue and error is None:
                number, argument = queue.pop(0)
                self._connections[worker].send((job, argument, on_part is not None))
                busy[self._connections[worker]] = worker, number

        try:
            for worker in range(len(self)):
                feed(worker)
            while busy:
                for connection in wait(list(busy)):
                    assert isinstance(connection, Connection)
                    message = connection.recv()
                    if isinstance(message, _Done):
                        worker, number = busy.pop(connection)
                        error = error or message.failure
                        results[number] = message.result
                        feed(worker)
                    elif on_part is not None:
                        try:
                            on_part(message)
                        except Exception as problem:  # raised below, when all workers are idle
                            error = error or (problem, traceback.format_exc())
        except (EOFError, BrokenPipeError, ConnectionResetError):
            codes = [process.exitcode for process in self._processes if process.exitcode]
            self.close()
            raise InfrastructureError(
                f"a worker process of the engine has died (exit status {codes}), perhaps for want "
                "of memory; the last checkpoint is intact. engine.workers = 1 does without"
            ) from None
        if error is not None:
            raise error[0] from RuntimeError(error[1])
        return results

    def close(self) -> None:
        """Let the workers end."""
        self._finalizer()
