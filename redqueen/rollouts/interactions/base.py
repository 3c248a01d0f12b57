"""How tasks become rollouts: an interaction asks for texts and is told them, round by round."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from redqueen.config.component import Component
from redqueen.environments.base import Verification
from redqueen.types import Completion, Match, Member, Messages, Request, Rollout, Task

Key = tuple[int, str, int, int]
"""What tells a text of a step from all others: match, task id, attempt, turn."""
Fits = Callable[[Messages], bool]
"""Whether a prompt leaves room for an answer."""


def everything_fits(messages: Messages) -> bool:
    """A `Fits` that refuses nothing."""
    return True


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
    key: Key
    """Of the rollout that comes of it."""


class Interaction(Protocol):
    """All posings of a step on their way to rollouts. Batches stay large: no asyncio.

    What it asks for follows from what `begin` was given and from what it was told:
    `redqueen verify` plays it again with the stored texts, and compares the prompts.
    """

    def ask(self) -> list[Turn]:
        """Return the texts that are wanted next; none: the interaction is over."""
        ...

    def tell(
        self, completions: Sequence[Completion], verifications: Sequence[Verification | None]
    ) -> None:
        """Take the texts last asked for, in their order, with the verdicts of those that answer."""
        ...

    def rollouts(self) -> list[Rollout]:
        """Return a rollout for each text, once `ask` has returned none."""
        ...


class InteractionConfig(Component):
    """Base of what a config names as an interaction: its keys, and how a step begins one."""

    least_students: ClassVar[int] = 1
    """Students that a task must go to, at least."""
    student_advantage: ClassVar[str | None] = None
    """The only `learner.student.advantage` that its rewards are made for; None: any."""

    def begin(
        self,
        posings: Sequence[Posing],
        attempts: int,
        step: int,
        seed: int,
        fits: Fits = everything_fits,
    ) -> Interaction:
        """Return the interaction for one step; `attempts` is G, and draws derive from `seed`.

        All posings of a task in a match and those that share it follow each other.
        """
        raise NotImplementedError

    def texts(self, students: int, attempts: int) -> int:
        """Return how many texts a task becomes that goes to so many students, at most."""
        return students * attempts

    def evaluation_votes(self) -> int:
        """Return how many sampled attempts an evaluation puts to the vote; 0: no vote."""
        return 0

    def texts_to_compare(self) -> int:
        """Return how many first answers of each student the others are to score in a step."""
        return 0

    def credit(
        self,
        matches: Sequence[Match],
        rollouts: Sequence[Rollout],
        values: Sequence[float | None],
    ) -> list[float | None]:
        """Return the reward of each rollout of a step; None: it is not trained on.

        `values` are what the verdicts alone are worth; None: no verdict, or an infrastructure
        error.
        """
        return list(values)
