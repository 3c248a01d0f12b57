"""The environment `verifiers` with its package in this process: it is imported once."""

from collections.abc import Mapping, Sequence
from typing import Any

from redqueen.environments.base import Services
from redqueen.environments.verifiers import Verifiers, VerifiersEnvironment


class Package:
    """Answers what a worker would."""

    def ask(self, questions: Sequence[Mapping[str, Any]]) -> list[Any]:
        from redqueen.environments.verifiers.worker import answer

        return [answer(question) for question in questions]


class InProcess(Verifiers):
    """Keys of the environment."""

    def build(self, services: Services) -> VerifiersEnvironment:
        return VerifiersEnvironment(self, services.name, Package())  # type: ignore[arg-type]
