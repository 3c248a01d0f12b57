"""Environments that lack what the code environment has."""

from collections.abc import Mapping, Sequence

import numpy as np

from redqueen.environments.base import (
    Attempt,
    Draft,
    EnvironmentConfig,
    Fingerprint,
    Measure,
    TaskSource,
    Verification,
)
from redqueen.types import Messages, Rejection, Task, Verdict, user


class Sums(EnvironmentConfig):
    """Two numbers to add: a prompt and a verdict, and nothing else."""

    @property
    def name(self) -> str:
        return "sums"

    def prompt(self, task: Task) -> Messages:
        return user(f"{task.payload['a']} + {task.payload['b']} =")

    def verify(self, attempts: Sequence[Attempt]) -> list[Verification]:
        return [self._verify(attempt.task, attempt.text.strip()) for attempt in attempts]

    @staticmethod
    def _verify(task: Task, answer: str) -> Verification:
        if not answer.isdecimal():
            return Verification(Verdict.MALFORMED)
        right = int(answer) == task.payload["a"] + task.payload["b"]
        return Verification(Verdict.CORRECT if right else Verdict.WRONG, answer)


def sum_task(a: int, b: int, environment: str = "sums") -> Task:
    return Task(f"{a}+{b}", environment, "sum", {"a": a, "b": b}, {"size": float(a + b)})


class Listed:
    """A source of the given tasks and no others."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.all = list(tasks)
        self.asked: list[int] = []

    def tasks(self, count: int, seed: int) -> list[Task]:
        self.asked.append(count)
        order = np.random.default_rng(seed).permutation(len(self.all))[:count]
        return [self.all[int(place)] for place in order]


class TenSums(Sums):
    """Ten tasks in all: the same ten in every source."""

    @property
    def sources(self) -> Mapping[str, TaskSource]:
        ten = [sum_task(n, 1) for n in range(10)]
        return {"seed": Listed(ten), "stream": Listed(ten), "held-out": Listed(ten[:4])}


class TaughtSums(TenSums):
    """Teachers may propose sums; a sum the other way round is the same."""

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("sum",)

    @property
    def measures(self) -> tuple[Measure, ...]:
        return (Measure("size", "Size of the sum", (5, 10)), Measure("odd", "Odd terms"))

    def references_for(self, kind: str, count: int) -> int:
        return count

    def ask(self, kind: str, references: Sequence[Task]) -> Messages:
        return user("Write a sum.")

    def validate(self, drafts: Sequence[Draft]) -> list[Task | Rejection]:
        return [Rejection("unparsable", malformed=True) for _ in drafts]

    def fingerprint(self, task: Task) -> Fingerprint:
        low, high = sorted((task.payload["a"], task.payload["b"]))
        return Fingerprint(f"{low}+{high}", family=str(low))
