"""Small bases on a CPU: processes of one thread each, which write and learn side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import Field

from redqueen.engines.auto import SMALL
from redqueen.engines.base import EngineConfig, OnFinished, Sampling, ignore
from redqueen.engines.cpu.model import accelerated
from redqueen.engines.cpu.rows import make_compiled_rows
from redqueen.engines.cpu.workers import Job, Send, Workers
from redqueen.engines.generation import Versions, WriteBatch, split_requests, write
from redqueen.engines.torch import TorchEngine
from redqueen.errors import ConfigError
from redqueen.models.adapters import AdapterStack
from redqueen.models.memory import peak_memory
from redqueen.models.population_model import PopulationModel
from redqueen.types import Completion, Request


def _write(model: PopulationModel, batch: WriteBatch, send: Send) -> None:
    """Do a worker's part of `CpuEngine.generate`."""
    write(model.base, model.router, batch, make_compiled_rows, send)


class CpuEngine:
    """Writes in worker processes, and scores there for the learner.

    The workers read the model's own adapters, in shared memory. The results of a call depend on how
    many workers there are, as they do on any change of batches: by rounding.
    """

    def __init__(
        self, model: PopulationModel, rows: int, workers: int, blocked: bool = True
    ) -> None:
        """Start the workers; all of them together write about `rows` texts side by side."""
        self.model = model
        self.rows = rows
        self.workers = Workers(model.config, model.adapters, workers, blocked)
        self._versions = Versions()
        self.score, self.base_score = model.score, model.base_score  # in this process

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, on_finished: OnFinished = ignore
    ) -> list[Completion]:
        """See `Engine`."""
        count = len(self.workers)
        rows = max(1, self.rows // count)
        batches = split_requests(self.model, requests, sampling, self._versions, rows, count)
        completions: dict[int, Completion] = {}

        def take(finished: Mapping[int, Completion]) -> None:
            completions.update(finished)
            on_finished(finished)

        self.workers.map(_write, batches, take)
        return [completions[number] for number in range(len(requests))]

    def sync(self, slots: Sequence[int], adapters: AdapterStack, version: int) -> None:
        """See `Engine`. The model's own stack is read as it is; another one is copied from."""
        self.model.adapters.take(slots, adapters)
        self._versions.sync(slots, version)

    @property
    def scorer(self) -> "CpuEngine":
        """What the learner scores with: this engine, in place of its model."""
        return self

    def micro_batches(
        self,
        slots: Sequence[int],
        prompt_ids: Sequence[Sequence[int]],
        token_ids: Sequence[Sequence[int]],
        parts: int = 1,
    ) -> list[list[int]]:
        """See `PopulationModel.micro_batches`; the workers share `learn_tokens`."""
        workers = len(self.workers)
        return self.model.micro_batches(slots, prompt_ids, token_ids, parts, workers=workers)

    def map_gradients(self, function: Job, jobs: Sequence[Any]) -> list[Any]:
        """See `Workers.map_gradients`."""
        return self.workers.map_gradients(function, jobs)

    def peak_memory(self) -> dict[str, float]:
        """See `redqueen.models.memory.peak_memory`; with the workers."""
        return peak_memory(self.workers.pids)

    def close(self) -> None:
        """Let the workers end."""
        self.workers.close()


class Cpu(EngineConfig):
    """Compiled kernels on a CPU; worker processes for a base that one process is too many for."""

    rows: int = Field(256, ge=1)
    """Texts written side by side, by all workers together; more is faster until memory runs out."""
    workers: int = Field(0, ge=0)
    """Processes that write and learn side by side, one core each; 0: as many as `threads` or cores,
    1: none but this one. A large base needs none."""
    blocked: bool = True
    """Keep the base's weights, in float32 the large ones, in a second layout, with which a handful
    of texts is written two to three times as fast; twice the base's memory."""

    def build(self, model: PopulationModel) -> CpuEngine | TorchEngine:
        """Return the engine for a loaded model; see `EngineConfig.build`."""
        if model.device.type != "cpu":
            raise ConfigError(
                f"engine.type = 'cpu', but the base lies on {model.device}; set policy.device = "
                "'cpu', or engine.type = 'torch'"
            )
        if model.config.quantization != "none":
            raise ConfigError(
                "engine.type = 'cpu' computes with whole weights; leave out policy.quantization, "
                "or set engine.type = 'torch'"
            )
        workers = self.workers or torch.get_num_threads()
        if workers > 1 and model.num_parameters <= SMALL:
            return CpuEngine(model, self.rows, workers, self.blocked)
        model.base = accelerated(model.base, self.blocked)
        return TorchEngine(model, self.rows, make_compiled_rows)
