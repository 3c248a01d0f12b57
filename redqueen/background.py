"""Work on one thread beside the loop: checks while texts are still being written, and the last
step's way to the disk while the next one is made.

Nothing depends on how far the thread has come: results are collected in the order in which the
items are numbered, before anybody needs them.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Background:
    """One thread for work that need not be waited for; `close` it at the end."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._last: Future[None] | None = None

    def begin(self, work: Callable[[], None]) -> None:
        """Begin `work` as soon as what was begun before is done; wait for that.

        Raises:
            Exception: what the work before raised.
        """
        self.finish()
        self._last = self._thread.submit(work)

    def finish(self) -> None:
        """Wait for what was begun; raises what it raised."""
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def batches(
        self, work: Callable[[Sequence[Item]], Sequence[Result]], size: int
    ) -> "Batches[Item, Result]":
        """Return a collector of items for `work`, which gets at least `size` at a time until the
        last."""
        return Batches(self._thread, work, size)

    def close(self) -> None:
        """Wait for what was begun, and end the thread."""
        self._thread.shutdown(wait=True)


class Batches(Generic[Item, Result]):
    """Numbered items on their way through a function; made by `Background.batches`."""

    def __init__(
        self,
        thread: ThreadPoolExecutor,
        work: Callable[[Sequence[Item]], Sequence[Result]],
        size: int,
    ) -> None:
        self._thread = thread
        self._work = work
        self._size = size
        self._waiting: dict[int, Item] = {}
        self._begun: list[tuple[list[int], Future[Sequence[Result]]]] = []
        self.busy_seconds = 0.0
        """Time that the thread has spent on the work so far."""

    def add(self, items: Mapping[int, Item]) -> None:
        """Hand over items by number; the work begins when there are enough of them."""
        self._waiting.update(items)
        if len(self._waiting) >= self._size:
            self._begin()

    def _timed(self, items: Sequence[Item]) -> Sequence[Result]:
        begun = time.perf_counter()
        try:
            return self._work(items)
        finally:
            self.busy_seconds += time.perf_counter() - begun

    def _begin(self) -> None:
        # By number, so that neighbours, such as attempts at one task, stay neighbours.
        numbers = sorted(self._waiting)
        items = [self._waiting[number] for number in numbers]
        self._begun.append((numbers, self._thread.submit(self._timed, items)))
        self._waiting = {}

    def results(self) -> list[Result]:
        """Wait for all results; return them in the order of the items' numbers, which begin at 0
        and leave none out.

        Raises:
            Exception: what the work raised first.
        """
        if self._waiting:
            self._begin()
        by_number = {
            number: result
            for numbers, future in self._begun
            for number, result in zip(numbers, future.result(), strict=True)
        }
        return [by_number[number] for number in range(len(by_number))]
