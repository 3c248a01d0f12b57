"""The policy: one frozen base, the adapters of all members, one forward pass for all of them."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from redqueen.config import PolicyConfig
from redqueen.engines import generation
from redqueen.engines.cpu.workers import Crew, Report, Work
from redqueen.engines.generation import OnWritten
from redqueen.errors import ConfigError
from redqueen.models import peft_io, scoring
from redqueen.models.adapters import AdapterStack, Factors, LayerShape
from redqueen.models.batching import packed_batches, padded_batches
from redqueen.models.loading import SEEDLING, Base, absolute_base, load_base
from redqueen.models.memory import FreedMemory, keep_freed_memory, peak_memory
from redqueen.models.routing import Router, find_targets, layer_shape
from redqueen.models.scoring import Scores
from redqueen.types import Completion, Request

__all__ = [
    "AdapterStack",
    "Factors",
    "LayerShape",
    "Policy",
    "Scores",
    "absolute_base",
]


LARGE = 1_000_000_000
"""Bases of more parameters keep all cores busy in one process."""


def _write(policy: "Policy", chunk: generation.Chunk, report: Report) -> None:
    """A worker's part of `Policy.generate`."""
    generation.write_chunk(policy.base, policy.router, chunk, report)


class Policy:
    """Generation and log-probabilities for a population of adapters on one frozen base."""

    def __init__(self, config: PolicyConfig, base: Base, slots: int, seed: int) -> None:
        """Hook the base's target layers and make `slots` fresh adapters; see `load`."""
        modules = find_targets(base.model, config.targets)
        shapes = {name: layer_shape(module) for name, module in modules.items()}
        self.config = config
        self.base = base
        self.tokenizer = base.tokenizer
        self.device = base.device
        self.adapters = AdapterStack(
            {name: shape for name, shape in shapes.items() if shape is not None},
            slots,
            config.rank,
            config.alpha,
            base.device,
        )
        self.adapters.initialize(seed, config.init_noise)
        self.router = Router(modules, self.adapters)
        self._probe()
        self.crew: Crew | None = None
        self.freed = FreedMemory()

    @classmethod
    def load(cls, config: PolicyConfig, slots: int, seed: int) -> "Policy":
        """Load the base that `config` names, with `slots` founders' adapters drawn from `seed`.

        Raises:
            ConfigError: the base, the device or the target layers are not usable.
        """
        base = load_base(config)
        if base.device.type == "cpu":
            keep_freed_memory()
        return cls(config, base, slots, seed)

    def start_workers(self) -> None:
        """Use several processes from now on, if `policy.workers` and the machine ask for them.

        On a CPU, for a base that does not keep all cores busy by itself. The results of a call
        then depend on how many there are, as they do on any change of batches: by rounding.
        """
        workers = self.config.workers or torch.get_num_threads()
        if self.device.type == "cpu" and workers > 1 and self.num_parameters <= LARGE:
            self.crew = Crew(self.config, self.adapters, workers)

    def close(self) -> None:
        """Let the workers end; the policy goes on in this process alone."""
        if self.crew is not None:
            self.crew.close()
            self.crew = None

    @property
    def _size(self) -> int:
        """Processes that work side by side."""
        return 1 if self.crew is None else len(self.crew)

    def peak_memory(self) -> dict[str, float]:
        """See `redqueen.models.memory.peak_memory`; with the workers."""
        return peak_memory([] if self.crew is None else self.crew.pids)

    def map_gradients(self, function: Work, jobs: Sequence[Any]) -> list[Any]:
        """`function(policy, job)` for all jobs; what they leave in gradients adds up here."""
        if self.crew is not None:
            return self.crew.map_gradients(function, jobs)
        return [function(self, job) for job in jobs]

    @property
    def num_parameters(self) -> int:
        """Parameters of the base."""
        return sum(parameter.numel() for parameter in self.base.model.parameters())

    def _probe(self) -> None:
        """Two short rows through the model: do all target layers keep rows apart?"""
        ids = torch.zeros(2, 2, dtype=torch.long, device=self.device)
        try:
            with torch.no_grad(), self.router.route([0, None]):
                self.base.model(input_ids=ids, attention_mask=torch.ones_like(ids))
        except ValueError as error:
            raise ConfigError(f"policy.targets: {error}") from None

    def generate(
        self,
        requests: Sequence[Request],
        *,
        max_new_tokens: int,
        temperature: float,
        top_p: float = 1.0,
        on_written: OnWritten = lambda texts: None,
    ) -> list[Completion]:
        """Complete every request; answers in the order of requests.

        A completion ends at an end-of-sequence token, after `max_new_tokens`, or where the base's
        context ends. Recorded log-probabilities are those of log_softmax(logits / temperature)
        before top-p; temperature 0 is greedy and records those at temperature 1. A request may have
        a temperature of its own. `on_written` receives completions by the numbers of their
        requests, as soon as they are finished and while others are still being written.

        Raises:
            ConfigError: a prompt leaves no room in the base's context.
            ValueError: a prompt has no tokens, or a request's own temperature is not positive or
                comes in a greedy call.
            InfrastructureError: a worker process has died.
        """
        if not requests:
            return []
        sampling = generation.Sampling(max_new_tokens, temperature, top_p)
        rows = max(1, self.config.generation_rows // self._size)
        chunks = generation.chunks_of(self.base, requests, sampling, rows, self._size)
        texts: dict[int, Completion] = {}

        def take(chunk: int, part: Mapping[int, Completion]) -> None:
            _, numbers = chunks[chunk]
            found = {numbers[place]: text for place, text in part.items()}
            texts.update(found)
            on_written(found)

        if self.crew:
            self.crew.map(_write, [chunk for chunk, _ in chunks], take)
        else:
            for number, (chunk, _) in enumerate(chunks):
                generation.write_chunk(self.base, self.router, chunk, partial(take, number))
                self.freed.trim()
        return [texts[number] for number in range(len(requests))]

    def score(
        self,
        slots: Sequence[int | None],
        prompt_ids: Sequence[Sequence[int]],
        token_ids: Sequence[Sequence[int]],
        *,
        temperature: float | Sequence[float] = 1.0,
    ) -> Scores:
        """`(logprobs_BT, mask_BT)` of completions; see `redqueen.models.scoring.score`."""
        return scoring.score(
            self.base, self.router, slots, prompt_ids, token_ids, temperature=temperature
        )

    @torch.no_grad()
    def base_score(
        self,
        prompt_ids: Sequence[Sequence[int]],
        token_ids: Sequence[Sequence[int]],
        *,
        temperature: float | Sequence[float] = 1.0,
    ) -> Scores:
        """`(logprobs_BT, mask_BT)` under the base alone, routing off."""
        return scoring.score(
            self.base, self.router, None, prompt_ids, token_ids, temperature=temperature
        )

    def micro_batches(
        self,
        slots: Sequence[int],
        prompt_ids: Sequence[Sequence[int]],
        token_ids: Sequence[Sequence[int]],
    ) -> list[list[int]]:
        """Split sequences into batches for one pass each, of at most `learn_tokens` tokens.

        The workers share that number. If the base can share prompts, a prompt counts once for its
        sequences; otherwise padding counts as tokens.
        """
        most = max(1, self.config.learn_tokens // self._size)
        if self.base.packed is not None:
            return packed_batches(slots, prompt_ids, token_ids, most, self._size)
        lengths = [len(p) + len(t) for p, t in zip(prompt_ids, token_ids, strict=True)]
        return padded_batches(lengths, most)

    def export(self, slot: int, directory: Path | str) -> None:
        """Write one slot as a PEFT adapter directory that names the base.

        Raises:
            InfrastructureError: the files cannot be written.
        """
        name = f"redqueen/{SEEDLING}" if self.config.base == SEEDLING else self.config.base
        peft_io.export_adapter(self.base.model, self.adapters, slot, Path(directory), name)

    def import_adapter(self, slot: int, directory: Path | str) -> None:
        """Read a PEFT LoRA directory into one slot.

        Raises:
            ConfigError: not a plain LoRA, or of another rank or other layers.
        """
        peft_io.import_adapter(self.adapters, slot, Path(directory))
