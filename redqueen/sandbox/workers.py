"""What the backends share: threads that serve workers, and calls that no worker can take."""

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from redqueen.sandbox.base import Call, Outcome, OutcomeKind, message_of
from redqueen.sandbox.literals import plain_problem

Item = TypeVar("Item")


class WorkerThreads:
    """One thread of ours for each of `count` workers."""

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._threads = ThreadPoolExecutor(count, thread_name_prefix=name)

    def spread(self, work: Callable[[Item], None], items: Sequence[Item]) -> None:
        """Do `work` on all items, on as many threads as there are workers."""
        indices = itertools.count()
        stop = threading.Event()

        def drain() -> None:
            # next() on a count is atomic, so each item is taken by one thread.
            while not stop.is_set() and (index := next(indices)) < len(items):
                work(items[index])

        futures = [self._threads.submit(drain) for _ in range(min(self._count, len(items)))]
        try:
            for future in futures:
                future.result()
        finally:
            stop.set()

    def close(self) -> None:
        """Wait for what has begun, and end the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)


def refused(calls: Sequence[Call]) -> dict[int, Outcome]:
    """Return the outcomes of calls that cannot be handed over at all, by number."""
    problems: dict[int, str | None] = {}  # by the id of arguments: several calls may have the same
    outcomes: dict[int, Outcome] = {}
    for number, call in enumerate(calls):
        if id(call.args) not in problems:
            problems[id(call.args)] = plain_problem(call.args)
        problem = problems[id(call.args)]
        if problem is not None:
            outcomes[number] = Outcome(OutcomeKind.UNSUPPORTED, message=f"argument: {problem}")
            continue
        try:
            f"{call.code}{call.function}".encode()
        except UnicodeEncodeError as error:
            message = message_of(str(error))
            outcomes[number] = Outcome(OutcomeKind.EXCEPTION, "", "UnicodeEncodeError", message)
    return outcomes
