"""Interactions played without an engine: what is written for each text is a table or a function."""

from collections.abc import Callable, Sequence

from redqueen.config.learner import LearnerConfig
from redqueen.environments.base import Verification
from redqueen.learner.assign import assign_rewards
from redqueen.learner.samples import make_samples
from redqueen.rollouts.interactions.base import InteractionConfig, Key, Posing, everything_fits
from redqueen.types import Completion, Match, Member, Role, Rollout, Sample, Task, Verdict, user

LETTERS = {"c": Verdict.CORRECT, "w": Verdict.WRONG, "m": Verdict.MALFORMED,
           "x": Verdict.INFRA_ERROR}  # fmt: skip
TASK = Task("t", "sums", "sum", {})
Write = Callable[[Key], str]
"""Returns the text for a key. An answer begins with the letter of its verdict; a colon and a
partial score may follow."""


def posings(students: int = 1, task: Task = TASK, root: int = 0) -> list[Posing]:
    """One task put to students 0, 1, ..., each in a match of its own."""
    members = [Member(n, n, (Role.STUDENT,), 25.0, 8.0) for n in range(students)]
    matches = [Match(1, root + m.id, None, m.id, root if m.id else None, "sums") for m in members]
    return [
        Posing(match, task, user(f"solve {task.id}"), member)
        for match, member in zip(matches, members, strict=True)
    ]


def play(
    config: InteractionConfig,
    posed: Sequence[Posing],
    attempts: int,
    write: Write,
    fits: Callable[..., bool] = everything_fits,
) -> tuple[list[Rollout], list[int]]:
    """The rollouts, and how many texts were asked for in each round."""
    interaction, rounds = config.begin(posed, attempts, 1, 0, fits), []
    while turns := interaction.ask():
        rounds.append(len(turns))
        texts = [write(turn.key) for turn in turns]
        interaction.tell(
            [Completion(t.request.slot, (1,), (2,), (-0.5,), text, True)
             for t, text in zip(turns, texts, strict=True)],
            [None if turn.task is None else judged(text)
             for turn, text in zip(turns, texts, strict=True)],
        )  # fmt: skip
    return interaction.rollouts(), rounds


def judged(text: str) -> Verification:
    """The verification that a text's letter stands for."""
    score = float(text[2:]) if text[1:2] == ":" else None
    return Verification(LETTERS[text[0]], text, score)


def paid(
    config: InteractionConfig, posed: Sequence[Posing], rollouts: Sequence[Rollout]
) -> tuple[list[float | None], list[Sample]]:
    """The rewards by the learner's defaults, and the samples that come of them."""
    matches = [posing.match for posing in posed]
    rewards = assign_rewards(matches, [], rollouts, LearnerConfig(), credit=config.credit)
    members = [posing.student for posing in posed]
    return list(rewards.rollouts), list(make_samples(matches, [], rollouts, rewards, members))
