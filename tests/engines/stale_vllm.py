"""An engine that is told of changed adapters, says so, and goes on with those it has."""

from collections.abc import Sequence
from dataclasses import replace

from redqueen.engines.base import OnFinished, Sampling, ignore
from redqueen.engines.vllm import Vllm, VllmEngine
from redqueen.models.adapters import AdapterStack
from redqueen.models.population_model import PopulationModel
from redqueen.types import Completion, Request


class StaleEngine:
    """Passes on the adapters of version 0 alone, and names the newest one."""

    def __init__(self, engine: VllmEngine) -> None:
        self.engine = engine
        self.version = 0
        self.close = engine.close

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, on_finished: OnFinished = ignore
    ) -> list[Completion]:
        texts = self.engine.generate(requests, sampling)
        named = [replace(text, version=self.version) for text in texts]
        on_finished(dict(enumerate(named)))
        return named

    def sync(self, slots: Sequence[int], adapters: AdapterStack, version: int) -> None:
        self.version = version
        if version == 0:
            self.engine.sync(slots, adapters, version)


class Stale(Vllm):
    """See `StaleEngine`."""

    def build(self, model: PopulationModel) -> StaleEngine:  # type: ignore[override]
        return StaleEngine(super().build(model))
