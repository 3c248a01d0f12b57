"""What writes text for members: one Protocol that our own engines and served ones fulfil."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from redqueen.config.component import Component
from redqueen.types import Completion, Request

if TYPE_CHECKING:
    from redqueen.models.adapters import AdapterStack
    from redqueen.models.population_model import PopulationModel

OnFinished = Callable[[Mapping[int, Completion]], None]
"""Receives completions by the numbers of their requests, as soon as they are finished."""


def ignore(texts: Mapping[int, Completion]) -> None:
    """An `OnFinished` that does nothing."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw: temperature 0 takes the likeliest token; top_p 1 keeps all of them.

    Raises:
        ValueError: a value is out of range.
    """

    max_new_tokens: int
    temperature: float
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, not {self.max_new_tokens}")
        if self.temperature < 0:
            raise ValueError(f"temperature must not be negative, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], not {self.top_p}")


class Engine(Protocol):
    """Writes completions for members. One `generate` at a time."""

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, on_finished: OnFinished = ignore
    ) -> list[Completion]:
        """Complete every request; answers in the order of requests.

        A completion ends at an end-of-sequence token, after `max_new_tokens`, or where the base's
        context ends. Recorded log-probabilities are those of log_softmax(logits / temperature)
        before top-p; temperature 0 is greedy and records those at temperature 1. A request may
        have a temperature of its own, and tokens that it is written without. Each completion
        carries the version of the last `sync`.

        Raises:
            ConfigError: a prompt leaves no room in the base's context.
            ValueError: a prompt has no tokens, or a request's own temperature is not positive or
                comes in a greedy call.
            InfrastructureError: the engine's processes have died.
        """
        ...

    def sync(self, slots: Sequence[int], adapters: "AdapterStack", version: int) -> None:
        """Take over the weights of `slots` from the stack; they are of `version` from now on."""
        ...

    def close(self) -> None:
        """Free what the engine holds. Safe to call twice."""
        ...


class EngineConfig(Component):
    """Base of what a config names as an engine: its keys, and how it is built from them."""

    @property
    def in_place(self) -> bool:
        """Whether it reads the model's own stack; else it copies the adapters of all members."""
        return True

    def build(self, model: "PopulationModel") -> Engine:
        """Return the engine for a loaded base with its adapters.

        Raises:
            ConfigError: something that the engine needs is missing on this machine.
        """
        raise NotImplementedError
