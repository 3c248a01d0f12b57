"""One sandbox made of many: this machine's, helped by those of other machines."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from threading import Lock
from time import perf_counter
from typing import Protocol, Self

from redqueen.sandbox import Call, Outcome, OutcomeKind, Sandbox

CHUNK = 32
"""Calls that travel together; fewer stay here."""
LEAST_PATIENCE = 0.2
"""Seconds that a helper's last chunk is waited for, at least, before it is run here too."""


class Helper(Protocol):
    """A sandbox somewhere else."""

    def run(self, calls: Sequence[Call]) -> "Future[list[Outcome]]":
        """Begin to run calls; the future raises if the helper is lost."""


class Helpers(Protocol):
    """The helpers of a cluster, which come and go."""

    def present(self) -> Sequence[Helper]:
        """Return those that there are now."""

    def close(self) -> None:
        """Let them end."""


def _failed(outcome: Outcome) -> bool:
    return outcome.kind is OutcomeKind.INFRA_ERROR


class SharedSandbox:
    """See `Sandbox`. Outcomes do not depend on who runs a call.

    Calls go in chunks to whoever is free. When all have gone out, what helpers still have is run
    here too, and the first outcome counts: nobody who is slow, dead or cut off is waited for.
    """

    def __init__(self, own: Sandbox, helpers: Helpers) -> None:
        """Both are closed with it."""
        self._own = own
        self._helpers = helpers
        self._lock = Lock()
        self._busy: dict[Helper, Future[list[Outcome]]] = {}
        self.helped = 0
        """Calls whose outcome came from helpers."""

    def run(self, calls: Sequence[Call]) -> list[Outcome]:
        """See `Sandbox`."""
        if len(calls) <= CHUNK:
            return self._own.run(calls)
        chunks = [calls[first : first + CHUNK] for first in range(0, len(calls), CHUNK)]
        done: dict[int, list[Outcome]] = {}
        waiting = deque(range(len(chunks)))
        sent: dict[Future[list[Outcome]], int] = {}
        patience = LEAST_PATIENCE
        while len(done) < len(chunks):
            self._send(chunks, waiting, sent)
            self._collect(done, waiting, sent)
            if waiting:
                number = waiting.popleft()
            elif len(done) == len(chunks) or wait(sent, patience, FIRST_COMPLETED).done:
                continue
            else:
                number = next(iter(sent.values()))
            begun = perf_counter()
            done.setdefault(number, self._own.run(chunks[number]))
            patience = max(patience, perf_counter() - begun)
            for future in [future for future, of in sent.items() if of == number]:
                del sent[future]  # its helper stays busy with it
        return [outcome for number in range(len(chunks)) for outcome in done[number]]

    def _send(
        self,
        chunks: Sequence[Sequence[Call]],
        waiting: "deque[int]",
        sent: "dict[Future[list[Outcome]], int]",
    ) -> None:
        """Give every free helper a chunk."""
        with self._lock:
            for helper in self._helpers.present() if waiting else ():
                before = self._busy.get(helper)
                if waiting and (before is None or before.done()):
                    number = waiting.popleft()
                    future = helper.run(chunks[number])
                    self._busy[helper] = future
                    sent[future] = number

    def _collect(
        self,
        done: dict[int, list[Outcome]],
        waiting: "deque[int]",
        sent: "dict[Future[list[Outcome]], int]",
    ) -> None:
        """Take what helpers have finished; what one had that is lost, or failed at, waits again."""
        for future in [future for future in sent if future.done()]:
            number = sent.pop(future)
            if future.exception() is not None or any(map(_failed, future.result())):
                waiting.append(number)  # and is run here next, at the latest
            else:
                done[number] = future.result()
                with self._lock:
                    self.helped += len(done[number])

    def close(self) -> None:
        """See `Sandbox`."""
        self._helpers.close()
        self._own.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
