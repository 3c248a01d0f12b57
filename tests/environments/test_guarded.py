"""An environment of somebody else that raises, or says nonsense, ends no run and pays nobody."""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from redqueen.environments.base import Attempt, Draft, Fingerprint, Measure, Verification
from redqueen.environments.guarded import validated, verified
from redqueen.errors import ConfigError, InfrastructureError
from redqueen.rollouts.collect import verifier_of
from redqueen.types import Messages, Rejection, Task, Verdict, user

RIGHT = Verification(Verdict.CORRECT, "7", 1.0)
TASK = Task("t", "theirs", "any", {"question": "3 + 4"}, {"size": 1.0})


class Theirs:
    """An environment that does for each text what a table says."""

    name = "theirs"
    kinds = ("any",)
    measures = (Measure("size", "Size"),)

    def __init__(self, **says: Callable[[], Any]) -> None:
        self.says, self.asked = says, list[int]()

    def _say(self, texts: Sequence[str]) -> list[Any]:
        self.asked.append(len(texts))
        return [self.says[text]() for text in texts]

    def verify(self, attempts: Sequence[Attempt]) -> list[Verification]:
        return self._say([attempt.text for attempt in attempts])

    def validate(self, drafts: Sequence[Draft]) -> list[Task | Rejection]:
        return self._say([draft.text for draft in drafts])

    def prompt(self, task: Task) -> Messages:
        return user(task.payload["question"])

    def fingerprint(self, task: Task) -> Fingerprint:
        return Fingerprint(task.payload["question"].casefold())

    def references_for(self, kind: str, count: int) -> int:
        return count

    def ask(self, kind: str, references: Sequence[Task]) -> Messages:
        return user(kind)


def raises(error: BaseException) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


def attempts(*texts: str) -> list[Attempt]:
    return [Attempt(TASK, text) for text in texts]


def drafts(*texts: str) -> list[Draft]:
    return [Draft("any", text, (), None, 1) for text in texts]


BROKEN: dict[str, Callable[[], Any]] = {
    "raises": raises(ZeroDivisionError("no")),
    "leaves": raises(SystemExit(3)),
    "recurses": raises(RecursionError()),
    "nothing": lambda: None,
    "bool": lambda: True,
    "text": lambda: "correct",
    "verdict_as_text": lambda: Verification("right"),  # type: ignore[arg-type]
    "nan": lambda: Verification(Verdict.WRONG, "7", math.nan),
    "more": lambda: Verification(Verdict.WRONG, "7", 7.0),
    "less": lambda: Verification(Verdict.WRONG, "7", -0.5),
    "score_as_text": lambda: Verification(Verdict.WRONG, "7", "1"),  # type: ignore[arg-type]
    "answer_is_no_text": lambda: Verification(Verdict.CORRECT, 7),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_answer_on_which_it_fails_has_no_verdict(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = Theirs(fine=lambda: RIGHT, **BROKEN)
    verify = verifier_of({"theirs": theirs})
    with caplog.at_level(logging.WARNING):
        made = verify(attempts("fine", name, "fine"))
    assert made == [RIGHT, Verification(Verdict.INFRA_ERROR), RIGHT]
    assert theirs.asked == [3, 1, 1, 1]
    assert "theirs" in caplog.text


UNUSABLE: dict[str, Callable[[], Any]] = {
    "raises": raises(KeyError("no")),
    "leaves": raises(SystemExit()),
    "nothing": lambda: None,
    "other_environment": lambda: Task("t", "mine", "any", {"question": "?"}),
    "cannot_be_put": lambda: Task("t", "theirs", "any", {}),
    "cannot_be_compared": lambda: Task("t", "theirs", "any", {"question": 7}),
    "is_no_json": lambda: Task("t", "theirs", "any", {"question": "?", "key": object()}),
    "holds_nan": lambda: Task("t", "theirs", "any", {"question": "?", "key": math.nan}),
    "odd_feature": lambda: Task("t", "theirs", "any", {"question": "?"}, {"size": math.nan}),
    "feature_as_text": lambda: Task(
        "t", "theirs", "any", {"question": "?"}, {"size": "3"}  # type: ignore[dict-item]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_proposal_on_which_it_fails_is_lost(name: str) -> None:
    rejection = Rejection("dull", malformed=False)
    theirs = Theirs(fine=lambda: TASK, dull=lambda: rejection, **UNUSABLE)
    fine, lost, dull = validated(theirs, drafts("fine", name, "dull"))
    assert (fine, dull) == (TASK, rejection)
    assert isinstance(lost, Rejection)
    assert (lost.reason, lost.infra) == ("infra_error", True)
    assert lost.detail.startswith("the environment failed: ")


def test_a_result_too_few_is_asked_for_again() -> None:
    class Forgetful(Theirs):
        def verify(self, attempts: Sequence[Attempt]) -> list[Verification]:
            return super().verify(attempts)[:1]

    theirs = Forgetful(fine=lambda: RIGHT)
    assert verified(theirs, attempts("fine", "fine")) == [RIGHT, RIGHT]
    assert verified(theirs, []) == []


@pytest.mark.parametrize("error", [ConfigError("no"), InfrastructureError("no")])
def test_sentences_for_the_user_pass(error: Exception) -> None:
    theirs = Theirs(fails=raises(error), stops=raises(KeyboardInterrupt()))
    with pytest.raises(type(error)):
        verified(theirs, attempts("fails"))
    with pytest.raises(KeyboardInterrupt):
        validated(theirs, drafts("stops"))
