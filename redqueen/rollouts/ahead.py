"""Overlap: the next step's texts are written while a step is learnt from (`rollout.overlap`).

The texts are then of the adapters before the update: one step off-policy, which truncated
importance weights correct (`learner.importance_cap`). A checkpoint ends what overlaps, and so does
a generation: the step after it is written by the adapters as they are, so that a run goes on from
any checkpoint as if it had never ended.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

from redqueen.closing import Closing
from redqueen.config import Config
from redqueen.errors import ConfigError
from redqueen.formatting import BACKGROUND
from redqueen.rollouts.plan import Round


@dataclass(frozen=True, slots=True)
class Played:
    """What the matches of a step came to, and what that took."""

    version: int
    """Of the adapters that wrote the texts."""
    round: Round
    """All rounds as one."""
    metrics: Mapping[str, float]
    seconds: Mapping[str, float]
    """Wall clock by phase; with `beside/` in front what went on beside the step before."""


class Ahead(Closing):
    """Holds the next step's texts; `close` it when the run ends.

    Args:
        concurrent: write them on a thread of their own. For an engine that has copies of the
            adapters and does not learn: one that reads them in place would see them change.
    """

    def __init__(self, concurrent: bool) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ahead") if concurrent else None
        self._next: Future[Played] | None = None

    @property
    def pending(self) -> bool:
        """Whether there is a step that nobody has taken yet."""
        return self._next is not None

    def begin(self, play: Callable[[], Played]) -> None:
        """Begin to write, or do it now if that cannot go on beside something else."""
        if self._thread is not None:
            self._next = self._thread.submit(play)
            return
        self._next = Future()
        self._next.set_result(play())

    def wait(self) -> None:
        """Wait for what was begun: then the engine may be told of new adapters."""
        if self._next is not None:
            wait([self._next])

    def take(self) -> Played:
        """Return the step that is `pending`; wait for it.

        Raises:
            Exception: what the writing raised.
        """
        assert self._next is not None
        future, self._next = self._next, None
        played = future.result()
        if self._thread is None:
            return played
        phases = {f"{BACKGROUND}{name.removeprefix(BACKGROUND)}": value
                  for name, value in played.seconds.items()}  # fmt: skip
        return replace(played, seconds=phases)

    def close(self) -> None:
        """Wait for what was begun, and end the thread."""
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)


def check_overlap(config: Config) -> None:
    """Refuse `rollout.overlap` where it cannot work.

    Raises:
        ConfigError: says what to change.
    """
    if not config.rollout.overlap:
        return
    problem = None
    if config.learner.importance_cap == 0.0:
        problem = "texts are one step old when they are learnt from: set learner.importance_cap = 2"
    elif config.checkpoint_every == 1:
        problem = "a checkpoint ends what overlaps: raise checkpoint_every, for instance to 10"
    elif config.population.slots:
        problem = "members on disk would be fetched while others learn: set population.slots = 0"
    elif config.population.hall_of_fame.share > 0:
        problem = "past members take slots step by step: set population.hall_of_fame.share = 0"
    if problem:
        raise ConfigError(f"rollout.overlap: {problem}")
