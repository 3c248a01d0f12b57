"""Texts and their checks, side by side: what is finished is checked while others are written.

The one copy of this pattern; the loop's teachers and students and every evaluation use it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from redqueen.background import Background, Batches
from redqueen.engines.base import Engine, Sampling
from redqueen.environments.base import Attempt, Environment, Verification
from redqueen.environments.dispatch import dispatch
from redqueen.environments.guarded import verified
from redqueen.errors import InfrastructureError
from redqueen.rollouts.interactions.base import Interaction
from redqueen.types import Completion, Request, Rollout, Task, Verdict

CHECKED_TOGETHER = 16
"""Texts that are checked in one go while others are being written."""

Item = TypeVar("Item")
Result = TypeVar("Result")
OnTexts = Callable[[int, int], None]
"""Receives how many texts are finished, and of how many."""


class Verifier(Protocol):
    """Verifies attempts at tasks of any environment of the run."""

    def __call__(self, attempts: Sequence[Attempt]) -> list[Verification]:
        """Return a verification for each attempt."""
        ...


def verifier_of(environments: Mapping[str, Environment]) -> Verifier:
    """Return a function that sends each attempt to the environment of its task."""

    def verify(attempts: Sequence[Attempt]) -> list[Verification]:
        names = [attempt.task.environment for attempt in attempts]
        return dispatch(names, attempts, lambda name, some: verified(environments[name], some))

    return verify


def generate_and_check(
    engine: Engine,
    requests: Sequence[Request],
    sampling: Sampling,
    background: Background,
    check: Callable[[Sequence[Item]], Sequence[Result]],
    item: Callable[[int, Completion], Item],
    on_texts: OnTexts,
) -> tuple[list[Completion], Batches[Item, Result]]:
    """Return all completions, and the collector of their checks (`results()` waits for the rest).

    `item` makes of a request's number and its completion what `check` takes.
    """
    checks = background.batches(check, CHECKED_TOGETHER)
    finished = 0

    def take(texts: Mapping[int, Completion]) -> None:
        nonlocal finished
        checks.add({number: item(number, text) for number, text in texts.items()})
        finished += len(texts)
        on_texts(finished, len(requests))

    return engine.generate(requests, sampling, take), checks


def run_interaction(
    interaction: Interaction,
    engine: Engine,
    sampling: Sampling,
    background: Background,
    verify: Verifier,
    on_texts: OnTexts,
) -> tuple[list[Rollout], float]:
    """Return the rollouts of an interaction, and the seconds that verifying took beside it.

    Raises:
        InfrastructureError: the verifier failed on all attempts; nothing can be said of them.
    """
    seconds = 0.0
    while turns := interaction.ask():
        tasks = [turn.task for turn in turns]

        def check(attempts: Sequence[Attempt | None]) -> list[Verification | None]:
            verified = iter(verify([attempt for attempt in attempts if attempt is not None]))
            return [None if attempt is None else next(verified) for attempt in attempts]

        def attempt(
            number: int, completion: Completion, tasks: Sequence[Task | None] = tasks
        ) -> Attempt | None:
            task = tasks[number]
            return None if task is None else Attempt(task, completion.text)

        completions, checks = generate_and_check(
            engine, [turn.request for turn in turns], sampling, background, check, attempt, on_texts
        )
        interaction.tell(completions, checks.results())
        seconds += checks.busy_seconds
    rollouts = interaction.rollouts()
    verdicts = [rollout.verdict for rollout in rollouts if rollout.verdict is not None]
    broken = verdicts.count(Verdict.INFRA_ERROR)
    if verdicts and broken == len(verdicts):
        raise InfrastructureError(
            f"the sandbox failed on all {broken} attempts of the step, retries included; "
            "the last checkpoint is intact. Check `redqueen doctor`, then resume"
        )
    return rollouts, seconds
