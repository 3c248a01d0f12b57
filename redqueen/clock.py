"""The wall clock of a step, by phase, and who hears of what goes on in it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

OnTexts = Callable[[str, int, int], None]
"""Hears of the phase, how many of its texts are written, and of how many."""


def silent(*_: object) -> None:
    """Hear of a phase, or of texts, and do nothing."""


@dataclass(slots=True)
class Clock:
    """Wall clock of a step by phase, in seconds."""

    announce: Callable[[str], None] = silent
    """Is told of each phase as it begins."""
    on_texts: OnTexts = silent
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Announce `phase`, and add the time of the block to it."""
        self.announce(phase)
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.add(phase, time.perf_counter() - begun)

    def add(self, name: str, seconds: float) -> None:
        """Add time that was measured elsewhere."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
