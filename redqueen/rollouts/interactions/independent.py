"""G independent attempts of the matched student at each task."""

from collections.abc import Sequence

from redqueen.environments.base import Verification
from redqueen.rng import derive_seed
from redqueen.rollouts.interactions.base import InteractionConfig, Posing, Turn
from redqueen.types import Completion, Request, Rollout


class Independent(InteractionConfig):
    """Every attempt is written and judged on its own (AZR, arXiv 2505.03335, section 3)."""

    def begin(
        self, posings: Sequence[Posing], attempts: int, step: int, seed: int
    ) -> "IndependentAttempts":
        """Return the attempts of one step; see `InteractionConfig.begin`."""
        return IndependentAttempts(posings, attempts, step, seed)


class IndependentAttempts:
    """One round: all attempts at once."""

    def __init__(self, posings: Sequence[Posing], attempts: int, step: int, seed: int) -> None:
        self._plan = [(posing, number) for posing in posings for number in range(attempts)]
        self._step, self._seed = step, seed
        self._turns = [self._turn(posing, number) for posing, number in self._plan]
        self._asked = False
        self._rollouts: list[Rollout] = []

    def _turn(self, posing: Posing, number: int) -> Turn:
        seed = derive_seed(
            self._seed, self._step, "solve", posing.match.index, posing.task.id, number
        )
        student = posing.student
        return Turn(Request(student.slot, posing.prompt, seed, student.temperature), posing.task)

    def ask(self) -> list[Turn]:
        """Return all attempts at the first call, none at the second."""
        if self._asked:
            return []
        self._asked = True
        return self._turns

    def tell(
        self, completions: Sequence[Completion], verifications: Sequence[Verification | None]
    ) -> None:
        """Make a rollout of every attempt."""
        for (posing, number), turn, completion, verification in zip(
            self._plan, self._turns, completions, verifications, strict=True
        ):
            assert verification is not None  # every turn names its task
            match, task = posing.match, posing.task
            self._rollouts.append(
                Rollout(
                    step=self._step,
                    match=match.index,
                    student=match.student,
                    task_id=task.id,
                    kind=task.kind,
                    attempt=number,
                    group=f"solve/{self._step}/{match.index}/{match.student}/{task.id}",
                    request=turn.request,
                    completion=completion,
                    verdict=verification.verdict,
                    answer=verification.answer,
                    partial_score=verification.partial_score,
                )
            )

    def rollouts(self) -> list[Rollout]:
        """Return the rollouts in the order of tasks, then attempts."""
        return self._rollouts
