"""An interaction as a script: a generator for each task that asks, is told, and asks again."""

from abc import abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from redqueen.environments.base import Verification
from redqueen.rng import derive_seed
from redqueen.rollouts.interactions.base import (
    Fits,
    InteractionConfig,
    Posing,
    Turn,
    everything_fits,
)
from redqueen.types import Completion, Message, Messages, Request, Rollout, Verdict


@dataclass(frozen=True, slots=True)
class Question:
    """One text that a script asks a student for."""

    posing: Posing
    messages: Messages
    attempt: int
    turn: int = 0
    answers: bool = True
    """Whether the text is an answer, which is verified."""
    parent: int | None = None
    """The text of the turn before that this one goes on from; the learner compares the texts of
    equal match, task, turn and parent."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a student wrote, and what the verifier says of it."""

    text: str
    verification: Verification | None

    @property
    def verdict(self) -> Verdict | None:
        """The verdict; None: the text is no answer."""
        return None if self.verification is None else self.verification.verdict


Script = Generator[list[Question], list[Reply], None]
"""Yields what is asked for together, and is sent the replies in the same order."""


def answered(messages: Messages, text: str, then: str) -> Messages:
    """Return a conversation with its next two turns: the student's text, and what is said to it."""
    return (*messages, Message("assistant", text), Message("user", then))


class ScriptedInteraction(InteractionConfig):
    """Base of the interactions that are written as a script."""

    @abstractmethod
    def script(self, posings: Sequence[Posing], attempts: int, fits: Fits) -> Script:
        """Play one task, put to one or several students, `attempts` times."""

    def begin(
        self,
        posings: Sequence[Posing],
        attempts: int,
        step: int,
        seed: int,
        fits: Fits = everything_fits,
    ) -> "Play":
        """Return all tasks of one step, played side by side; see `InteractionConfig.begin`."""
        tasks: dict[tuple[int, str], list[Posing]] = {}
        for posing in posings:
            tasks.setdefault((posing.match.root, posing.task.id), []).append(posing)
        return Play([self.script(some, attempts, fits) for some in tasks.values()], step, seed)


def _stored(text: str) -> str:
    """Return a text as the run's database keeps it, so that it is quoted alike when it is played
    again: lone surrogates become escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class _Told:
    question: Question
    turn: Turn
    completion: Completion
    verification: Verification | None


class Play:
    """Scripts in lockstep, so that each round is one large batch."""

    def __init__(self, scripts: Sequence[Script], step: int, seed: int) -> None:
        self._scripts = scripts
        self._step, self._seed = step, seed
        self._asked = [next(script, []) for script in scripts]
        self._told: list[list[_Told]] = [[] for _ in scripts]

    def _turn(self, question: Question) -> Turn:
        posing, student = question.posing, question.posing.student
        key = (posing.match.index, posing.task.id, question.attempt, question.turn)
        # First answers have the seeds of independent attempts.
        seed = derive_seed(self._seed, self._step, "solve", *(key if key[3] else key[:3]))
        request = Request(student.slot, question.messages, seed, student.temperature)
        return Turn(request, posing.task if question.answers else None, key)

    def ask(self) -> list[Turn]:
        """Return what all scripts ask for now; none: all are over."""
        return [self._turn(question) for questions in self._asked for question in questions]

    def tell(
        self, completions: Sequence[Completion], verifications: Sequence[Verification | None]
    ) -> None:
        """Let every script go on with its replies."""
        replies = iter(list(zip(self.ask(), completions, verifications, strict=True)))
        for number, (script, questions) in enumerate(zip(self._scripts, self._asked, strict=True)):
            told = [_Told(question, *next(replies)) for question in questions]
            self._told[number] += told
            if told:
                sent = [Reply(_stored(item.completion.text), item.verification) for item in told]
                try:
                    self._asked[number] = script.send(sent)
                except StopIteration:
                    self._asked[number] = []

    def rollouts(self) -> list[Rollout]:
        """Return the rollouts in the order of tasks, then as they were asked for."""
        every = [item for told in self._told for item in told]
        last = {i.turn.key[:3]: i.turn.key for i in every if i.question.answers}
        final = set(last.values())
        return [self._rollout(item, item.turn.key in final) for item in every]

    def _rollout(self, told: _Told, final: bool) -> Rollout:
        posing, question, said = told.question.posing, told.question, told.verification
        match, task = posing.match, posing.task
        group = f"solve/{self._step}/{match.index}/{match.student}/{task.id}"
        if question.turn:
            group += f"/{question.turn}"
        if question.parent is not None:
            group += f"/{question.parent}"
        return Rollout(
            step=self._step,
            match=match.index,
            student=match.student,
            task_id=task.id,
            kind=task.kind,
            attempt=question.attempt,
            group=group,
            request=told.turn.request,
            completion=told.completion,
            verdict=None if said is None else said.verdict,
            answer=None if said is None else said.answer,
            partial_score=None if said is None else said.partial_score,
            turn=question.turn,
            final=final,
        )
