"""How tasks become rollouts: an interaction asks for texts and is told them, round by round."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from redqueen.config.component import Component
from redqueen.environments.base import Verification
from redqueen.types import Completion, Match, Member, Messages, Request, Rollout, Task


@dataclass(frozen=True, slots=True)
class Posing:
    """One task put to one student in one match."""

    match: Match
    task: Task
    prompt: Messages
    student: Member


@dataclass(frozen=True, slots=True)
class Turn:
    """One text that an interaction asks for, and the task that it is verified against."""

    request: Request
    task: Task | None
    """None: this text is not an answer and has no verdict."""


class Interaction(Protocol):
    """All posings of a step on their way to rollouts. Batches stay large: no asyncio."""

    def ask(self) -> list[Turn]:
        """Return the texts that are wanted next; none: the interaction is over."""
        ...

    def tell(
        self, completions: Sequence[Completion], verifications: Sequence[Verification | None]
    ) -> None:
        """Take the texts last asked for, in their order, with the verdicts of those that answer."""
        ...

    def rollouts(self) -> list[Rollout]:
        """Return all rollouts, once `ask` has returned none."""
        ...


class InteractionConfig(Component):
    """Base of what a config names as an interaction: its keys, and how a step begins one."""

    def begin(self, posings: Sequence[Posing], attempts: int, step: int, seed: int) -> Interaction:
        """Return the interaction for one step; `attempts` is G, and draws derive from `seed`."""
        raise NotImplementedError
