"""The engine in plain torch: one process, any device, any base."""

import logging
from collections.abc import Mapping, Sequence

from pydantic import Field

from redqueen.engines.base import EngineConfig, OnFinished, Sampling, ignore
from redqueen.engines.decoding import MakeRows, make_rows
from redqueen.engines.generation import Versions, split_requests, write
from redqueen.engines.graphs import make_graphed_rows
from redqueen.engines.trial import try_base
from redqueen.errors import ConfigError
from redqueen.models.adapters import AdapterStack
from redqueen.models.fused import FusedModel
from redqueen.models.memory import FreedMemory, is_out_of_memory
from redqueen.models.population_model import PopulationModel
from redqueen.types import Completion, Request

_log = logging.getLogger(__name__)


class TorchEngine:
    """Writes in this process, with the very tensors of the model's adapters."""

    def __init__(self, model: PopulationModel, rows: int, make_rows: MakeRows = make_rows) -> None:
        """Write at most about `rows` texts side by side."""
        self.model = model
        self.rows = rows
        self._make_rows = make_rows
        self._versions = Versions()
        self._freed = FreedMemory()

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, on_finished: OnFinished = ignore
    ) -> list[Completion]:
        """See `Engine`."""
        completions: dict[int, Completion] = {}

        def take(finished: Mapping[int, Completion]) -> None:
            completions.update(finished)
            on_finished(finished)

        while True:
            left = [number for number in range(len(requests)) if number not in completions]
            try:
                self._write(requests, left, sampling, take)
                return [completions[number] for number in range(len(requests))]
            except RuntimeError as error:
                if not is_out_of_memory(error) or self.rows == 1:
                    raise
                self.rows = max(1, min(self.rows, len(left)) // 2)
                _log.warning(
                    "memory ran out: at most %d texts are written side by side from now on",
                    self.rows,
                )
            self._freed.trim()  # behind the block: the error held what the failed batch had

    def _write(
        self,
        requests: Sequence[Request],
        numbers: Sequence[int],
        sampling: Sampling,
        on_finished: OnFinished,
    ) -> None:
        """Complete those of the requests that have these numbers."""
        model = self.model

        def take(finished: Mapping[int, Completion]) -> None:
            on_finished({numbers[place]: item for place, item in finished.items()})

        chosen = [requests[number] for number in numbers]
        for batch in split_requests(model, chosen, sampling, self._versions, self.rows):
            write(model.base, model.router, batch, self._make_rows, take)
            self._freed.trim()

    def sync(self, slots: Sequence[int], adapters: AdapterStack, version: int) -> None:
        """See `Engine`. The model's own stack is read as it is; another one is copied from."""
        self.model.adapters.take(slots, adapters)
        self._versions.sync(slots, version)

    def peak_memory(self) -> dict[str, float]:
        """See `redqueen.models.memory.peak_memory`."""
        return self.model.peak_memory()

    def close(self) -> None:
        """See `Engine`. There is nothing to free."""


class Torch(EngineConfig):
    """Plain torch in one process, on a CPU or a GPU."""

    rows: int = Field(256, ge=1)
    """Texts written side by side; more is faster until memory runs out."""
    graphs: bool = True
    """On a GPU, start all kernels of a token at once (CUDA graphs), for the families of bases whose
    forward pass is our own, if a trial gives their logits."""

    def build(self, model: PopulationModel) -> TorchEngine:
        """Return the engine for a loaded model; see `EngineConfig.build`."""
        fused = isinstance(model.base.packed, FusedModel)
        if self.graphs and fused and model.device.type == "cuda":
            try:
                try_base(model, make_graphed_rows)
            except ConfigError as error:
                _log.warning("the engine writes without CUDA graphs, which is slower: %s", error)
            else:
                return TorchEngine(model, self.rows, make_graphed_rows)
        return TorchEngine(model, self.rows)
