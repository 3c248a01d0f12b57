"""Whether puzzles have solutions: questions to Z3 in worker processes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from redqueen.closing import Closing
from redqueen.config.sandbox import SandboxConfig
from redqueen.environments.logic.language import BOOL, Puzzle
from redqueen.environments.workers import NoReply, WorkerPool

SECONDS = 10.0
"""Processor time for a puzzle, should Z3's own limit not end it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What Z3 says of a puzzle."""

    solution: Mapping[str, int] | None
    """One of them, as numbers by name; None: there is none."""
    unique: bool
    always: bool
    """Whether every assignment is a solution."""
    idle: bool
    """Whether every assignment satisfies one of the constraints."""


class PuzzleSolver(Closing):
    """Z3 in `config.processes` processes that start when they are first needed."""

    def __init__(self, config: SandboxConfig, seconds: float = SECONDS) -> None:
        self._pool = WorkerPool("redqueen.environments.logic.worker", config.processes, seconds)

    def solve(self, puzzles: Sequence[Puzzle]) -> list[Answer | NoReply]:
        """Return what Z3 says of each; `RAN_AWAY` too if it gave up."""
        replies = self._pool.ask([_question(puzzle) for puzzle in puzzles])
        return [
            reply
            if isinstance(reply, NoReply)
            else NoReply.RAN_AWAY
            if "undecided" in reply
            else Answer(**reply)
            for reply in replies
        ]

    def close(self) -> None:
        """End all workers."""
        self._pool.close()


def _question(puzzle: Puzzle) -> dict[str, object]:
    domains = puzzle.domains.items()
    return {
        "variables": [[name, d.low, d.high, d.type == BOOL] for name, d in domains],
        "constraints": puzzle.constraints,
    }
