"""Near copies: tasks that the archive has already, but for what does not matter."""

from collections import Counter
from collections.abc import Callable, Mapping

from redqueen.environments.base import Fingerprint
from redqueen.types import Task


class CopyIndex:
    """The fingerprints of the archive's tasks, and of those added since.

    It holds nothing that the archive does not: `follow` makes it again from there, so that a
    resumed run finds the same near copies.
    """

    def __init__(self, fingerprint: Callable[[Task], Fingerprint], repeats: int) -> None:
        """`repeats` is the number of tasks of one family after which the next one is a copy."""
        self.repeats = repeats
        self._fingerprint = fingerprint
        self._indexed: dict[str, Fingerprint] = {}
        self._tasks: Counter[str] = Counter()
        self._families: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._indexed)

    def follow(self, tasks: Mapping[str, Task]) -> None:
        """Hold exactly these tasks, by id: read those that are new, forget those that are gone."""
        for key in self._indexed.keys() - tasks.keys():
            self._count(self._indexed.pop(key), -1)
        for key, task in tasks.items():
            if key not in self._indexed:
                self.add(task)

    def add(self, task: Task) -> None:
        """Take up a task that is on its way into the archive; a second time changes nothing."""
        if task.id not in self._indexed:
            self._indexed[task.id] = fingerprint = self._fingerprint(task)
            self._count(fingerprint, 1)

    def _count(self, fingerprint: Fingerprint, change: int) -> None:
        self._tasks[fingerprint.task] += change
        if fingerprint.family is not None:
            self._families[fingerprint.family] += change

    def is_copy(self, task: Task) -> bool:
        """Return whether a task of this fingerprint is held, or `repeats` of its family are."""
        fingerprint = self._fingerprint(task)
        if self._tasks[fingerprint.task] > 0:
            return True
        return fingerprint.family is not None and self._families[fingerprint.family] >= self.repeats
