"""The engine: requests of members to a vLLM server with their adapters, and its config."""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from pydantic import Field

from redqueen import registry
from redqueen.engines.base import EngineConfig, OnFinished, Sampling, ignore
from redqueen.engines.generation import Draws, Versions, split_requests
from redqueen.engines.trial import tried_adapter
from redqueen.engines.vllm.files import AdapterFile, AdapterFiles
from redqueen.errors import ConfigError
from redqueen.models.adapters import AdapterStack
from redqueen.models.population_model import PopulationModel
from redqueen.models.sources import is_gguf, resolve_base
from redqueen.types import Completion, Request, user

ENVIRONMENT = {
    # The learner's process is vLLM's, and draws are made in it, by the first model runner's rules.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_USE_V2_MODEL_RUNNER": "0",
}
QUIET = {"VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1"}
"""What a user may set otherwise."""
TOLERANCE = 0.1
"""Of the trial, in nats a token, mean over some tokens."""
_EFFECT = 0.5
"""Most nats a token by which the adapter that is tried changes the base. One that is left out is
noticed; with one that changes much more, rounding in bfloat16 alone moves a text by nats."""
_SCALES = tuple(0.1 / (1 << halvings) for halvings in range(8))
_TRIED = user("def f(a):\n    return")
_TRIED_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Job:
    """One text to write."""

    number: int
    """Its row in the call's draws."""
    prompt_ids: tuple[int, ...]
    limit: int
    """Most tokens."""
    adapter: AdapterFile | None
    """None: the base, in a batch without adapters."""


@dataclass(frozen=True, slots=True)
class Written:
    """One text that has ended."""

    number: int
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]


class Server(Protocol):
    """What the engine needs of vLLM."""

    device: torch.device
    """Where it computes logits."""

    def load(self, adapter: AdapterFile) -> None:
        """Read an adapter."""

    def drop(self, adapter: AdapterFile) -> None:
        """Forget an adapter."""

    def write(self, jobs: Sequence[Job], draws: Draws) -> Iterator[Written]:
        """Yield texts as they end."""

    def close(self) -> None:
        """Free memory."""


class VllmEngine:
    """Writes with a copy of the base in vLLM, and with the adapters that `sync` last gave it.

    Tokens are drawn as by the other engines: a completion depends on its request alone but for
    rounding, and its log-probabilities are those of the draw.
    """

    def __init__(self, model: PopulationModel, server: Server) -> None:
        """Give the server all of the model's adapters."""
        self.model = model
        self.server = server
        self._versions = Versions()
        self._files = AdapterFiles(model)
        self._loaded: dict[int, AdapterFile] = {}
        server.load(self._files.base)
        self.sync(range(model.adapters.slots), model.adapters, 0)

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, on_finished: OnFinished = ignore
    ) -> list[Completion]:
        """See `Engine`."""
        completions: dict[int, Completion] = {}
        # vLLM fills its batches itself.
        batches = split_requests(self.model, requests, sampling, self._versions, len(requests) or 1)
        # Where rows without an adapter stand beside others, vLLM may give them one of these.
        mixed = any(request.slot is not None for request in requests)
        base = self._files.base if mixed else None
        for batch in batches:
            jobs = [
                Job(row, prompt, limit, base if r.slot is None else self._loaded[r.slot])
                for row, (r, prompt, limit) in enumerate(
                    zip(batch.requests, batch.prompts, batch.limits, strict=True)
                )
            ]
            draws = Draws(self.model.base, batch.requests, sampling, self.server.device)
            for text in self.server.write(jobs, draws):
                number = batch.numbers[text.number]
                completions[number] = batch.completion(
                    self.model.base, text.number, text.token_ids, text.logprobs
                )
                on_finished({number: completions[number]})
        return [completions[number] for number in range(len(requests))]

    def sync(self, slots: Sequence[int], adapters: AdapterStack, version: int) -> None:
        """See `Engine`. Adapters that have not changed stay loaded."""
        self.model.adapters.take(slots, adapters)
        for slot in slots:
            file = self._files.update(slot, version)
            if file is not None:
                self._replace(slot, file)
        self._versions.sync(slots, version)

    def _replace(self, slot: int, file: AdapterFile) -> None:
        before = self._loaded.get(slot)
        if before is not None:
            self.server.drop(before)
            shutil.rmtree(before.path)
        self.server.load(file)
        self._loaded[slot] = file

    def close(self) -> None:
        """See `Engine`."""
        self.server.close()
        self._files.close()


def _scores(model: PopulationModel, text: Completion, slot: int | None) -> torch.Tensor:
    """Return the model's log-probabilities [T] of a text under a slot's adapter."""
    with torch.no_grad():
        return model.score([slot], [text.prompt_ids], [text.token_ids]).logprobs_BT[0].float().cpu()


def _tried_scale(model: PopulationModel, text: Completion) -> float:
    """Return the largest scale with which the tried adapter changes a text by at most `_EFFECT`."""
    before = _scores(model, text, None)
    for scale in _SCALES[:-1]:
        with tried_adapter(model, scale):
            if float((_scores(model, text, 0) - before).abs().mean()) <= _EFFECT:
                return scale
    return _SCALES[-1]


def try_engine(engine: VllmEngine) -> None:
    """Write a few tokens with and without an adapter, and compare with the model's scores.

    Raises:
        ConfigError: log-probabilities differ: vLLM computes another model.
    """
    model, sampling = engine.model, Sampling(_TRIED_TOKENS, 1.0)
    [alone] = engine.generate([Request(None, _TRIED, 0)], sampling)
    with tried_adapter(model, _tried_scale(model, alone)):
        engine.sync([0], model.adapters, 0)
        texts = engine.generate([Request(slot, _TRIED, i) for i, slot in enumerate([0, None])],
                                sampling)  # fmt: skip
        scores = [_scores(model, text, text.slot) for text in texts]
    engine.sync([0], model.adapters, 0)
    for text, now in zip(texts, scores, strict=True):
        mismatch = float((now - torch.tensor(text.logprobs)).abs().mean())
        if not mismatch <= TOLERANCE:
            who = "the base" if text.slot is None else "an adapter"
            raise ConfigError(
                f"engine.type = 'vllm': log-probabilities of {who} differ by {mismatch:.3g} nats a "
                "token from those of transformers; vLLM does not compute this base as the learner "
                "does. Set engine.type = 'torch'"
            )


class Vllm(EngineConfig):
    """vLLM in the run's own process, on a GPU or a CPU. It loads the base a second time."""

    rows: int = Field(256, ge=1)
    """Texts written side by side."""
    memory: float = Field(4.0, gt=0)
    """GiB for keys and values. It must hold one text as long as the base's context."""
    max_loras: int = Field(0, ge=0)
    """Adapters in one batch; texts of more members wait. 0: all members'. One more is for the base,
    and each takes memory beside the base's weights."""
    eager: bool = False
    """Neither compile nor capture graphs on a GPU: ready sooner, slower then."""

    @property
    def in_place(self) -> bool:
        """Whether it reads the model's own stack: no."""
        return False

    def build(self, model: PopulationModel) -> VllmEngine:
        """Return the engine for a loaded model; see `EngineConfig.build`."""
        base = resolve_base(model.config.base)
        if model.config.quantization != "none" or is_gguf(base):
            raise ConfigError(
                "engine.type = 'vllm' reads whole weights from safetensors; leave out "
                "policy.quantization and GGUF files, or set engine.type = 'torch'"
            )
        registry.require("vllm", "engine.type = 'vllm'")
        os.environ |= ENVIRONMENT | {k: os.environ.get(k, v) for k, v in QUIET.items()}
        # Imported only where it is used, and after its settings.
        from redqueen.engines.vllm.server import start

        slots = model.adapters.slots
        in_batch = 1 + (min(self.max_loras, slots) or slots)
        server = start(model, base, self.rows, self.memory, in_batch, self.eager)
        engine = VllmEngine(model, server)
        try:
            try_engine(engine)
        except BaseException:
            engine.close()
            raise
        return engine
