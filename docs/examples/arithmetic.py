"""Sums and products: an environment with teachers, outside the package.

[environments.arithmetic]
type = "arithmetic:Arithmetic"        # this file lies on PYTHONPATH
"""

import hashlib
import math
import random
import re
from collections.abc import Mapping, Sequence

from pydantic import Field

from redqueen.environments import base
from redqueen.environments.base import Attempt, Draft, Fingerprint, Measure, Verification
from redqueen.types import Messages, Rejection, Task, Verdict, user

SIGNS = {"sum": "+", "product": "*"}


class Generator:
    """A source of tasks: kinds in turn, terms drawn from the seed."""

    def __init__(self, label: str, largest: int, author: "Arithmetic") -> None:
        self.label, self.largest, self.author = label, largest, author

    def tasks(self, count: int, seed: int) -> list[Task]:
        rng, tasks = random.Random(f"{self.label}/{seed}"), dict[str, Task]()
        for number in range(10 * count):  # so that few possible tasks end it too
            terms = [rng.randint(0, self.largest) for _ in range(rng.choice((2, 3)))]
            task = self.author.task(tuple(SIGNS)[number % 2], terms)
            tasks.setdefault(task.id, task)
            if len(tasks) == count:
                break
        return list(tasks.values())


class Arithmetic(base.EnvironmentConfig):
    """The fields are the keys in the config; no sandbox is needed, so `build` is inherited."""

    largest: int = Field(99, ge=1)
    """Largest term that a teacher may write."""

    name = property(lambda self: "arithmetic")
    kinds = property(lambda self: tuple(SIGNS))
    # ── for students: a prompt and a verdict ──

    def prompt(self, task: Task) -> Messages:
        return user(f"{_text(task)} = ?\nAnswer with the number alone.")

    def verify(self, attempts: Sequence[Attempt]) -> list[Verification]:
        return [self._verify(attempt.task, attempt.text) for attempt in attempts]

    def _verify(self, task: Task, text: str) -> Verification:
        numbers = re.findall(r"-?\d{1,18}", text)
        if not numbers:
            return Verification(Verdict.MALFORMED)
        right = int(numbers[-1]) == _value(task.kind, task.payload["terms"])
        return Verification(Verdict.CORRECT if right else Verdict.WRONG, numbers[-1])

    # ── for teachers: how to ask, what is valid, what is the same ──

    @property
    def measures(self) -> tuple[Measure, ...]:
        return (
            Measure("terms", "Terms", (3, 4)),
            Measure("digits", "Digits of the answer", (2, 3)),
        )

    def references_for(self, kind: str, count: int) -> int:
        return count

    def ask(self, kind: str, references: Sequence[Task]) -> Messages:
        shown = "\n".join(_text(task) for task in references)
        return user(f"Write one {kind} of two or more numbers, unlike these:\n{shown}")

    def validate(self, drafts: Sequence[Draft]) -> list[Task | Rejection]:
        return [self._validate(draft) for draft in drafts]

    def _validate(self, draft: Draft) -> Task | Rejection:
        sign = SIGNS[draft.kind]
        match = re.search(rf"\d{{1,9}}( *{re.escape(sign)} *\d{{1,9}})+", draft.text, re.ASCII)
        if match is None:
            return Rejection("unparsable", malformed=True)
        terms = [int(term) for term in match[0].split(sign)]
        if len(terms) > 6 or max(terms) > self.largest:
            return Rejection("too_large", malformed=False)
        return self.task(draft.kind, terms, draft.author, draft.step)

    def fingerprint(self, task: Task) -> Fingerprint:
        return Fingerprint(f"{task.kind} {sorted(task.payload['terms'])}")  # the order is no matter

    # ── tasks, their sources, and what a report says of them ──

    def task(self, kind: str, terms: list[int], author: int | None = None, step: int = 0) -> Task:
        name = hashlib.sha256(f"{kind} {terms}".encode()).hexdigest()[:20]
        features = {"terms": float(len(terms)), "digits": float(len(str(_value(kind, terms))))}
        return Task(name, self.name, kind, {"terms": terms}, features, author, step)

    @property
    def sources(self) -> Mapping[str, base.TaskSource]:
        sizes = {"seed": 9, "stream": 50, "held-out": 50}
        return {name: Generator(name, size, self) for name, size in sizes.items()}

    description = property(
        lambda self: base.Description(
            kinds={"sum": "add", "product": "multiply"},
            suites={"held-out": base.Suite("Held-out", "Terms up to 50, never trained on.")},
            reasons={"unparsable": "No sum or product.", "too_large": "Too many or large terms."},
        )
    )


def _text(task: Task) -> str:
    return f" {SIGNS[task.kind]} ".join(map(str, task.payload["terms"]))


def _value(kind: str, terms: Sequence[int]) -> int:
    return sum(terms) if kind == "sum" else math.prod(terms)
