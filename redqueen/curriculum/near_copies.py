"""The guard `near_copy`: which tasks the archive has already, but for what does not matter."""

from collections import Counter
from collections.abc import Callable, Mapping

from redqueen.environments.base import Form
from redqueen.types import Task


class CopyIndex:
    """The normal forms of the archive's tasks, and of those added since.

    It holds nothing that the archive does not: `follow` makes it again from there, so that a
    resumed run finds the same near copies. `repeats` is how many tasks of one family there may be.
    """

    def __init__(self, form: Callable[[Task], Form], repeats: int):
        self.repeats = repeats
        self._form = form
        self._known: dict[str, Form] = {}
        self._tasks: Counter[str] = Counter()
        self._families: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._known)

    def follow(self, tasks: Mapping[str, Task]) -> None:
        """Hold exactly these tasks, by id: read those that are new, forget those that are gone."""
        for key in self._known.keys() - tasks.keys():
            form = self._known.pop(key)
            self._count(form, -1)
        for key, task in tasks.items():
            if key not in self._known:
                self.add(task)

    def add(self, task: Task) -> None:
        """Take up a task that is on its way into the archive; one that is known stays so."""
        if task.id not in self._known:
            self._known[task.id] = form = self._form(task)
            self._count(form, 1)

    def _count(self, form: Form, change: int) -> None:
        self._tasks[form.task] += change
        if form.family is not None:
            self._families[form.family] += change

    def is_copy(self, task: Task) -> bool:
        """Whether a task has the form of a known one, or one too many of its family are known."""
        form = self._form(task)
        if self._tasks[form.task] > 0:
            return True
        return form.family is not None and self._families[form.family] >= self.repeats
