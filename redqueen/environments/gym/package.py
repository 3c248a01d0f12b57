"""reasoning-gym, which runs in worker processes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redqueen.closing import Closing
from redqueen.config.sandbox import SandboxConfig
from redqueen.environments.workers import NoReply, WorkerPool
from redqueen.errors import InfrastructureError

SECONDS = 20.0
"""Processor time for a task, or for an answer."""


@dataclass(frozen=True, slots=True)
class Generator:
    """One of the package's generators: its family there, and its parameters with their defaults."""

    category: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What makes a task, the same one at any time."""

    name: str
    parameters: Mapping[str, Any]
    seed: int


@dataclass(frozen=True, slots=True)
class Made:
    """What a recipe makes."""

    question: str
    answer: str
    verifies: bool
    """Whether the scorer accepts the answer, and not just anything."""


@dataclass(frozen=True, slots=True)
class Failed:
    """What the package said in place of a result."""

    error: str
    parameters: bool
    """True: the parameters are wrong; False: it failed on them."""


class GymPackage(Closing):
    """The package in `config.processes` processes that start when they are first needed."""

    def __init__(self, config: SandboxConfig, seconds: float = SECONDS) -> None:
        self._pool = WorkerPool("redqueen.environments.gym.worker", config.processes, seconds)

    def generators(self) -> dict[str, Generator]:
        """Return all generators by name.

        Raises:
            InfrastructureError: the package cannot be asked.
        """
        [reply] = self._pool.ask([{"do": "list"}])
        if isinstance(reply, NoReply):
            raise InfrastructureError("reasoning-gym gives no answer; see `redqueen doctor`")
        return {name: Generator(**item) for name, item in reply.items()}

    def make(self, recipes: Sequence[Recipe]) -> list[Made | Failed | NoReply]:
        """Return the task of each recipe."""
        replies = self._pool.ask([{"do": "make", **_fields(recipe)} for recipe in recipes])
        return [_failed(reply) or Made(**reply) for reply in replies]

    def score(self, answers: Sequence[tuple[Recipe, str]]) -> list[float | Failed | NoReply]:
        """Return the scores of answers, in [0, 1]."""
        replies = self._pool.ask(
            [{"do": "score", **_fields(recipe), "answer": answer} for recipe, answer in answers]
        )
        return [_failed(reply) or float(reply) for reply in replies]

    def close(self) -> None:
        """End all workers."""
        self._pool.close()


def _fields(recipe: Recipe) -> dict[str, Any]:
    return {"name": recipe.name, "parameters": dict(recipe.parameters), "seed": recipe.seed}


def _failed(reply: Any) -> Failed | NoReply | None:
    if isinstance(reply, NoReply):
        return reply
    return Failed(**reply) if isinstance(reply, dict) and "error" in reply else None
