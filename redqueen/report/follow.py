"""A reader that keeps what it has read of a run: each look reads the rows of new steps alone."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from redqueen.store import (
    FeatureTable,
    GroupCount,
    MatrixCell,
    OutcomeCount,
    PhaseTime,
    RatingPoint,
    RunStore,
    SolveCount,
)
from redqueen.types import MatchResult

Rows = TypeVar("Rows")


def _matrix(old: Sequence[MatrixCell], new: Sequence[MatrixCell]) -> list[MatrixCell]:
    """Add totals; a task posed in several looks counts in each."""
    cells = {(cell.teacher, cell.student): cell for cell in old}
    for cell in new:
        key = (cell.teacher, cell.student)
        if (before := cells.get(key)) is not None:
            cell = MatrixCell(
                *key,
                before.tasks + cell.tasks,
                before.attempts + cell.attempts,
                before.correct + cell.correct,
            )
        cells[key] = cell
    order = sorted(cells, key=lambda key: (key[0] is not None, key[0] or 0, key[1]))
    return [cells[key] for key in order]


def _columns(old: FeatureTable, new: FeatureTable) -> FeatureTable:
    return FeatureTable(
        np.concatenate([old.steps_n, new.steps_n]),
        [*old.kinds_n, *new.kinds_n],
        np.concatenate([old.values_nF, new.values_nF]),
    )


class FollowedRun(RunStore):
    """A run opened with `FollowedRun.open(directory, read_only=True)`.

    Between two `look`s nothing changes, whatever is written meanwhile. Loads that take `after` are
    kept whole and grown: what they are asked for `after` is always 0.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._tip: tuple[int, str] = (0, "")
        self._kept: dict[Hashable, tuple[int, Any]] = {}
        self._remembered: dict[Hashable, Any] = {}
        self._used: set[Hashable] = set()

    @contextmanager
    def look(self) -> Iterator[None]:
        """One moment of the run. Steps that are gone (it went back to a checkpoint) are forgotten.

        Raises:
            InfrastructureError: the database failed.
        """
        self.rows("BEGIN")
        try:
            step, written = self._tip
            now = self.rows("SELECT written_at FROM steps WHERE step = ?", (step,))
            if not now or (step and now[0]["written_at"] != written):
                self._kept.clear()
                self._remembered.clear()
            last = self.rows("SELECT step, written_at FROM steps ORDER BY step DESC LIMIT 1")
            self._tip = (last[0]["step"], last[0]["written_at"])
            self._used.clear()
            yield
            self._remembered = {key: self._remembered[key] for key in self._used}
        finally:
            self.rows("COMMIT")

    def state(self) -> tuple[Any, ...]:
        """Return what differs after anything that a page shows was written; takes no time."""
        written = self.rows("SELECT step, written_at FROM steps ORDER BY step DESC LIMIT 1")
        measured = self.rows("SELECT max(id), total(staged) FROM (SELECT id, staged "
                             "FROM evaluations ORDER BY id DESC LIMIT 1)")  # fmt: skip
        return (*map(tuple, written), *map(tuple, measured))

    def remember(self, key: Hashable, make: Callable[[], Rows]) -> Rows:
        """Return what `make` returns, made once for each key as long as every look asks for it."""
        self._used.add(key)
        if key not in self._remembered:
            self._remembered[key] = make()
        value: Rows = self._remembered[key]
        return value

    def _grown(
        self,
        key: Hashable,
        load: Callable[[int], Rows],
        join: Callable[[Any, Any], Any] = lambda old, new: [*old, *new],
    ) -> Rows:
        """Return the rows kept under `key` and those of the steps since."""
        tip = self._tip[0]
        if key not in self._kept:
            self._kept[key] = (tip, load(0))
        last, rows = self._kept[key]
        if last < tip:
            rows = join(rows, load(last))
            self._kept[key] = (tip, rows)
        kept: Rows = rows
        return kept

    def load_metrics(self, name: str, after: int = 0) -> list[tuple[int, float]]:
        """Return (step, value) of one metric in step order."""
        load = super().load_metrics
        return self._grown(("metric", name), lambda last: load(name, last))

    def load_phases(
        self, step: int | None = None, *, background: bool = False, after: int = 0
    ) -> list[PhaseTime]:
        """Return the seconds of every phase of every step (or of one)."""
        load = super().load_phases
        if step is not None:
            return load(step, background=background)
        key = ("phases", background)
        return self._grown(key, lambda last: load(background=background, after=last))

    def load_ratings(self, after: int = 0) -> list[RatingPoint]:
        """Return every member's rating after every step, each member's in step order."""
        return self._grown("ratings", super().load_ratings)

    def load_matches(self, after: int = 0) -> list[MatchResult]:
        """Return all matches in order."""
        return self._grown("matches", super().load_matches)

    def load_matrix(self, after: int = 0) -> list[MatrixCell]:
        """Return teacher x student totals over the whole run."""
        return self._grown("matrix", super().load_matrix, _matrix)

    def load_solve_counts(self, after: int = 0) -> list[SolveCount]:
        """Return correct and counted attempts by step and task kind."""
        return self._grown("solved", super().load_solve_counts)

    def load_turn_counts(self, after: int = 0) -> list[SolveCount]:
        """Return correct and counted answers by step and turn."""
        return self._grown("turns", super().load_turn_counts)

    def load_group_counts(self, after: int = 0) -> list[GroupCount]:
        """Return what answers and their groups looked like, by step."""
        return self._grown("groups", super().load_group_counts)

    def load_teacher_rewards(self, after: int = 0) -> list[tuple[int, float]]:
        """Return (step, mean reward of the proposals that have one)."""
        return self._grown("rewards", super().load_teacher_rewards)

    def load_outcomes(self, after: int = 0) -> list[OutcomeCount]:
        """Return proposals by step and outcome."""
        return self._grown("outcomes", super().load_outcomes)

    def load_examples(self, after: int = 0) -> dict[str, str]:
        """Return the latest rejected proposal's text by reason."""
        return self._grown("examples", super().load_examples, lambda old, new: old | new)

    def load_feature_table(self, names: Sequence[str], after: int = 0) -> FeatureTable:
        """Return the named features of every task posed, in step order."""
        load = super().load_feature_table
        return self._grown(("features", *names), lambda last: load(names, last), _columns)
