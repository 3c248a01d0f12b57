"""The environment `verifiers`: tasks and rewards of a taskset of the package verifiers.

A taskset is a Python package that anybody wrote; it runs in worker processes. Its tasks are a
source for students without teachers; its reward functions are the verifier. What raises in them
says nothing about an answer: it is `infra_error`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from pydantic import Field

from redqueen import registry
from redqueen.closing import Closing
from redqueen.config.sandbox import SandboxConfig
from redqueen.environments.base import (
    Attempt,
    Description,
    EnvironmentConfig,
    Services,
    Suite,
    TaskSource,
    Verification,
)
from redqueen.environments.workers import NoReply, WorkerPool
from redqueen.errors import ConfigError
from redqueen.rng import derive_seed
from redqueen.types import Message, Messages, Task, Verdict

SECONDS = 30.0
"""Processor time for the rewards of an answer."""
HELD_OUT_SHARE = 5
"""At most every fifth task of a taskset is held out."""


class Verifiers(EnvironmentConfig):
    """Keys of the environment `verifiers`."""

    taskset: str = Field(min_length=1)
    """Id of an installed taskset: the package that exports it."""
    config: dict[str, Any] = Field(default_factory=dict)
    """Keys of the taskset's own config."""
    most: int = Field(10_000, ge=2)
    """Tasks that are read, from the first on."""
    correct_from: float = Field(1.0, gt=0)
    """The sum of weighted rewards from which an answer is correct; its share of it is the partial
    score."""
    held_out_tasks: int = Field(200, ge=1)
    """Tasks in the suite `held-out`, a fifth of the taskset at most."""

    def build(self, services: Services) -> "VerifiersEnvironment":
        """Return the environment.

        Raises:
            ConfigError: verifiers is not installed, or cannot use the taskset.
        """
        registry.require("verifiers", "the environment verifiers")
        return VerifiersEnvironment(
            self, services.name or "verifiers", services.shared(VerifiersPackage)
        )


class VerifiersPackage(Closing):
    """The package in `config.workers` processes that start when they are first needed."""

    def __init__(self, config: SandboxConfig, seconds: float = SECONDS) -> None:
        self._pool = WorkerPool("redqueen.environments.verifiers.worker", config.workers, seconds)

    def ask(self, questions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any] | NoReply]:
        """Return the worker's answer to each question."""
        return self._pool.ask(questions)

    def close(self) -> None:
        """End all workers."""
        self._pool.close()


class VerifiersEnvironment:
    """Tasks of a taskset; an `Environment` without a task space."""

    version = 1

    def __init__(self, config: Verifiers, name: str, package: VerifiersPackage) -> None:
        """Raises ConfigError if the taskset cannot be loaded, or asks for more than a text."""
        self.config, self.name, self._package = config, name, package
        self._where = {
            "name": config.taskset,
            "config": json.dumps(config.config, sort_keys=True),
            "most": config.most,
        }
        [listed] = package.ask([{"do": "list", **self._where}])
        if isinstance(listed, NoReply) or "error" in listed:
            said = "it ran into its limits" if isinstance(listed, NoReply) else listed["error"]
            raise ConfigError(
                f"environments.{name}.taskset = {config.taskset!r} cannot be used: {said}"
            )
        tasks = {task.id: task for task in map(self._task, range(10**9), listed["tasks"])}
        if len(tasks) < 2:
            raise ConfigError(f"environments.{name}.taskset = {config.taskset!r} has too few tasks")
        held_out = min(config.held_out_tasks, max(1, len(tasks) // HELD_OUT_SHARE))
        self.description = Description(
            title=config.taskset,
            suites={"held-out": Suite("Held-out", "Tasks of the taskset that no run trains on.")},
        )
        self.sources: Mapping[str, TaskSource] = {
            "stream": Shuffled("stream", list(tasks.values()), len(tasks)),
            "held-out": Shuffled("held-out", list(tasks.values()), held_out),
        }

    def _task(self, index: int, listed: Mapping[str, Any]) -> Task:
        """Return a task; its id is of what it asks, so that those that ask the same are one."""
        messages = [
            (turn["role"], " ".join(turn["content"].split())) for turn in listed["messages"]
        ]
        name = hashlib.sha256(json.dumps(messages).encode()).hexdigest()[:20]
        payload = {"index": index, "key": listed["key"], "messages": listed["messages"]}
        return Task(name, self.name, self.config.taskset, payload)

    def prompt(self, task: Task) -> Messages:
        """Return the taskset's own conversation."""
        return tuple(Message(turn["role"], turn["content"]) for turn in task.payload["messages"])

    def verify(self, attempts: Sequence[Attempt]) -> list[Verification]:
        """Let the taskset reward each text; see `Verifiers.correct_from`."""
        replies = self._package.ask(
            [
                {
                    "do": "score",
                    **self._where,
                    "index": attempt.task.payload["index"],
                    "key": attempt.task.payload["key"],
                    "text": attempt.text,
                }
                for attempt in attempts
            ]
        )
        return [self._verification(reply) for reply in replies]

    def _verification(self, reply: dict[str, Any] | NoReply) -> Verification:
        if isinstance(reply, NoReply) or "error" in reply:
            return Verification(Verdict.INFRA_ERROR)
        share = reply["reward"] / self.config.correct_from
        verdict = Verdict.CORRECT if share >= 1 else Verdict.WRONG
        return Verification(verdict, partial_score=min(1.0, max(0.0, share)))


class Shuffled:
    """At most `most` tasks of a taskset, in a shuffled order."""

    def __init__(self, label: str, tasks: Sequence[Task], most: int) -> None:
        """`label` seeds the order, beside `seed`."""
        self._label, self._tasks, self._most = label, tasks, most

    def tasks(self, count: int, seed: int) -> list[Task]:
        """Return up to `count` distinct tasks; see `TaskSource`."""
        order = Random(derive_seed(self._label, seed)).sample(self._tasks, len(self._tasks))
        return order[: min(count, self._most)]
