"""Asking an environment that anybody may have written: what raises in it says nothing of a text.

The contract of an environment is that it never raises on what a model wrote. One of another
package may break it; then the texts are asked about one by one, and those on which it fails are
lost to an infrastructure error: never a reward, never the end of a run. Errors with a sentence for
the user pass.
"""

import json
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from redqueen.environments.base import (
    Attempt,
    Draft,
    Environment,
    TaskSpace,
    Verification,
)
from redqueen.errors import RedQueenError
from redqueen.types import Rejection, Task, Verdict

log = logging.getLogger(__name__)
Item = TypeVar("Item")
Result = TypeVar("Result")
DETAIL_CHARS = 300


class _BrokenContractError(TypeError):
    """An environment returned something else than it has to."""


def verified(environment: Environment, attempts: Sequence[Attempt]) -> list[Verification]:
    """Return a verification for each attempt, `infra_error` where the environment fails."""

    def ask(some: Sequence[Attempt]) -> list[Verification]:
        return [_sound(item) for item in environment.verify(some)]

    def lost(error: BaseException) -> Verification:
        log.warning("the environment %s cannot verify an answer: %r", environment.name, error)
        return Verification(Verdict.INFRA_ERROR)

    return _one_by_one(ask, attempts, lost)


def validated(space: TaskSpace, drafts: Sequence[Draft]) -> list[Task | Rejection]:
    """Return a task or a rejection for each draft, `infra_error` where the space fails.

    A task has been put, measured, written as JSON and compared once: what comes after can do so.
    """

    def ask(some: Sequence[Draft]) -> list[Task | Rejection]:
        return [
            _usable(space, item) if isinstance(item, Task) else _said(item)
            for item in space.validate(some)
        ]

    def lost(error: BaseException) -> Rejection:
        detail = f"the environment failed: {error!r}"[:DETAIL_CHARS]
        log.warning("a proposal is lost: %s", detail)
        return Rejection("infra_error", malformed=False, infra=True, detail=detail)

    return _one_by_one(ask, drafts, lost)


def _one_by_one(
    ask: Callable[[Sequence[Item]], list[Result]],
    items: Sequence[Item],
    lost: Callable[[BaseException], Result],
) -> list[Result]:
    """Return what `ask` says of all items; each alone if it fails on them together."""
    try:
        results = ask(items)
        if len(results) != len(items):
            raise _BrokenContractError(f"{len(results)} results for {len(items)} texts")
    except RedQueenError:
        raise
    except (Exception, SystemExit) as error:  # anybody's environment
        if len(items) == 1:
            return [lost(error)]
        return [result for item in items for result in _one_by_one(ask, [item], lost)]
    return results


def _sound(item: Verification) -> Verification:
    """Return a verification as it is; one that no reward can be made of raises."""
    if not isinstance(item, Verification) or not isinstance(item.verdict, Verdict):
        raise _BrokenContractError(f"{item!r} is no verification")
    if item.answer is not None and not isinstance(item.answer, str):
        raise _BrokenContractError(f"the answer {item.answer!r} is no text")
    score = item.partial_score
    if score is None:
        return item
    if not isinstance(score, int | float) or not math.isfinite(score) or not 0 <= score <= 1:
        raise _BrokenContractError(f"the partial score {score!r} is not between 0 and 1")
    return item if type(score) is float else replace(item, partial_score=float(score))


def _said(item: object) -> Rejection:
    if not isinstance(item, Rejection):
        raise _BrokenContractError(f"{item!r} is neither a task nor a rejection")
    return item


def _usable(space: TaskSpace, task: Task) -> Task:
    """Return a task as it is; one that the run cannot go on with raises."""
    if not isinstance(space, Environment) or task.environment != space.name:
        raise _BrokenContractError(f"the task is of the environment {task.environment!r}")
    json.dumps(dict(task.payload), default=dict, allow_nan=False)
    if not all(math.isfinite(value) for value in task.features.values()):
        raise _BrokenContractError(f"the features {task.features} are not all numbers")
    space.prompt(task)
    space.fingerprint(task)
    return task
