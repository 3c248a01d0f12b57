"""Worker processes that hold the policy together: how a CPU's cores are kept busy.

The tensors of a step are small, and one process spreads them over cores badly: most of its time
goes to operations that one core does as fast. A crew's workers have one thread each and a base of
their own; the adapters lie in shared memory, so that what the optimizer or evolution writes is what
every worker reads: there is no copy that could be stale.
"""

import signal
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, multiprocessing

from redqueen.config import PolicyConfig
from redqueen.errors import InfrastructureError
from redqueen.models.adapters import AdapterStack

if TYPE_CHECKING:
    from redqueen.engines.policy import Policy

Work = Callable[["Policy", Any], Any]
"""What a worker does with its policy and a job: a function of a module, found there by name."""
Report = Callable[[Any], None]
"""Sends a part of a job's result to the parent, while the job goes on."""
ReportingWork = Callable[["Policy", Any, Report], None]
"""Work whose result is what it reports."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """A worker's last message of a job."""

    result: Any
    failure: tuple[Exception, str] | None


def _report(connection: Connection, number: int, part: Any) -> None:
    connection.send((number, part))


def _serve(
    config: PolicyConfig,
    tensors: dict[str, Tensor],
    gradients: dict[str, Tensor],
    connection: Connection,
) -> None:
    """A worker's life: jobs in, results or errors out, until the other end is closed."""
    from redqueen.engines.policy import Policy

    # Ctrl-C goes to the whole group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    slots = len(next(iter(tensors.values())))
    policy = Policy.load(config, slots, 0)
    policy.adapters.adopt(tensors)
    for name, parameter in policy.adapters.parameters().items():
        parameter.grad = gradients[name]
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            function, number, job, reports = connection.recv()
            extra = (partial(_report, connection, number),) if reports else ()
            result, failure = None, None
            try:
                result = function(policy, job, *extra)
            except Exception as error:
                failure = error, traceback.format_exc()
            policy.freed.trim()
            connection.send((number, _Ended(result, failure)))


class Crew:
    """Workers that do jobs on one policy's adapters."""

    def __init__(self, config: PolicyConfig, adapters: AdapterStack, size: int) -> None:
        """Start `size` workers, which load the base that `config` names while this goes on."""
        methods = multiprocessing.get_all_start_methods()
        context: Any = multiprocessing.get_context(
            "forkserver" if "forkserver" in methods else "spawn"
        )
        if "forkserver" in methods:
            # The modules are read once, by the process that the workers are forked from.
            context.set_forkserver_preload(["redqueen.engines.policy"])
        adapters.share_memory()
        self._adapters = adapters
        tensors = adapters.state_dict()
        self._gradients = [
            {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}
            for _ in range(size)
        ]
        self._connections: list[Connection] = []
        self._processes = []
        for gradients in self._gradients:
            for gradient in gradients.values():
                gradient.share_memory_()  # type: ignore[no-untyped-call]
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_serve,
                args=(config, tensors, gradients, theirs),
                daemon=True,
                name="policy worker",
            )
            process.start()
            theirs.close()
            self._connections.append(ours)
            self._processes.append(process)

    def __len__(self) -> int:
        return len(self._processes)

    @property
    def pids(self) -> list[int]:
        """Process numbers of the workers."""
        return [process.pid for process in self._processes]

    def map(
        self, function: ReportingWork, jobs: Sequence[Any], on_part: Callable[[int, Any], None]
    ) -> None:
        """`function(policy, job, report)` for every job; each goes to who is free.

        What a job reports is handed to `on_part` with the job's number, as it comes.

        Raises:
            InfrastructureError: a worker has died.
            Exception: the first that a job or `on_part` raised, once all workers are idle again.
        """
        queues = [list(enumerate(jobs))] * len(self)
        self._run(function, queues, len(jobs), on_part)

    def map_gradients(self, function: Work, jobs: Sequence[Any]) -> list[Any]:
        """`function(policy, job)` for every job, results in the order of jobs.

        What they left in the workers' gradients is added to this process's. Job i goes to worker i
        mod n, and sums are taken in one order, so that the same jobs give the same bits.

        Raises: as `map` does.
        """
        for gradients in self._gradients:
            for gradient in gradients.values():
                gradient.zero_()
        numbered = list(enumerate(jobs))
        queues = [numbered[worker :: len(self)] for worker in range(len(self))]
        results = self._run(function, queues, len(jobs))
        for name, parameter in self._adapters.parameters().items():
            total = sum(gradients[name] for gradients in self._gradients)
            assert isinstance(total, Tensor)
            parameter.grad = total if parameter.grad is None else parameter.grad + total
        return results

    def _run(
        self,
        function: Work | ReportingWork,
        queues: Sequence[list[tuple[int, Any]]],
        count: int,
        on_part: Callable[[int, Any], None] | None = None,
    ) -> list[Any]:
        results: list[Any] = [None] * count
        error: tuple[Exception, str] | None = None
        busy: dict[Connection, int] = {}

        def feed(worker: int) -> None:
            queue = queues[worker]
            if queue and error is None:
                number, job = queue.pop(0)
                self._connections[worker].send((function, number, job, on_part is not None))
                busy[self._connections[worker]] = worker

        try:
            for worker in range(len(self)):
                feed(worker)
            while busy:
                for connection in wait(list(busy)):
                    assert isinstance(connection, Connection)
                    number, message = connection.recv()
                    if not isinstance(message, _Ended):
                        assert on_part is not None
                        try:
                            on_part(number, message)
                        except Exception as problem:  # raised below, when all workers are idle
                            error = error or (problem, traceback.format_exc())
                        continue
                    worker = busy.pop(connection)
                    error = error or message.failure
                    results[number] = message.result
                    feed(worker)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            codes = [process.exitcode for process in self._processes if process.exitcode]
            self.close()
            raise InfrastructureError(
                f"a worker process of the policy has died (exit status {codes}), perhaps for want "
                "of memory; the last checkpoint is intact. policy.workers = 1 does without"
            ) from None
        if error is not None:
            raise error[0] from RuntimeError(error[1])
        return results

    def close(self) -> None:
        """Let the workers end."""
        for connection in self._connections:
            connection.close()
        for process in self._processes:
            process.join(timeout=5)
            if process.is_alive():
                process.kill()
                process.join()
