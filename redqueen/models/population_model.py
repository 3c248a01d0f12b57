"""One frozen base with the adapters of all members: prompts, log-probabilities, PEFT files.

Writing texts is the engines' business; they work on the same base and adapters.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from redqueen.config.policy import PolicyConfig
from redqueen.errors import ConfigError
from redqueen.models import merging, peft_io, scoring
from redqueen.models.adapters import AdapterStack, Factors
from redqueen.models.batching import MOST_TOKENS, packed_batches, padded_batches
from redqueen.models.conversation import Conversations
from redqueen.models.loading import Base, load_base, resolve_device
from redqueen.models.memory import keep_freed_memory, peak_memory
from redqueen.models.precision import settle_dtype
from redqueen.models.routing import Router
from redqueen.models.scoring import Scores
from redqueen.models.sources import EMBEDDED, one_line
from redqueen.models.targets import find_targets, layer_shape, reached_by_text
from redqueen.types import Messages, Suppression

log = logging.getLogger(__name__)

PROMPTS_KEPT = 4096
"""Conversations whose tokens are kept: many requests share one."""


class PopulationModel:
    """Prompts and log-probabilities for a population of adapters on one frozen base."""

    def __init__(
        self, config: PolicyConfig, base: Base, slots: int, seed: int, rows: int | None = None
    ) -> None:
        """Hook the base's target layers and make `slots` fresh adapters; see `load`."""
        modules = find_targets(base.model, config.targets)
        try:
            modules = reached_by_text(base.model, modules)
        except Exception as error:  # a model is code of somebody else
            raise ConfigError(
                f"policy.base = {config.base!r} loads, but reads no text: {one_line(error)}"
            ) from error
        if not modules:
            raise ConfigError("policy.targets: reading text calls none of these layers")
        shapes = {name: layer_shape(module) for name, module in modules.items()}
        self.base = base
        self.conversations = Conversations(base.tokenizer, f"policy.base = {config.base!r}")
        self.configure(config)
        self.adapters = AdapterStack(
            {name: shape for name, shape in shapes.items() if shape is not None},
            slots,
            config.rank,
            config.alpha,
            base.device,
            rows,
        )
        self.adapters.initialize(seed, config.init_noise)
        self.router = Router(modules, self.adapters)
        self.encode = lru_cache(PROMPTS_KEPT)(self._encode)
        self._check_routing()

    @classmethod
    def load(
        cls, config: PolicyConfig, slots: int, seed: int, rows: int | None = None
    ) -> "PopulationModel":
        """Load the base that `config` names, with `slots` founders' adapters drawn from `seed`,
        of which `rows` (None: all) are in memory.

        Raises:
            ConfigError: the base, the device or the target layers are not usable.
        """
        config = settle_dtype(config, resolve_device(config.device))
        base = load_base(config)
        if base.device.type == "cpu":
            keep_freed_memory()
        return cls(config, base, slots, seed, rows)

    def configure(self, config: PolicyConfig) -> None:
        """Take up what `config` says of learning; the rest of it must be that of loading."""
        self.config = config
        self.base = replace(self.base, recompute=config.gradient_checkpointing is True)

    @property
    def tokenizer(self) -> Any:
        """The base's tokenizer."""
        return self.base.tokenizer

    @property
    def device(self) -> torch.device:
        """Where base and adapters lie."""
        return self.base.device

    @property
    def num_parameters(self) -> int:
        """Parameters of the base; quantised ones count as what they stand for."""
        return int(self.base.model.num_parameters())  # type: ignore[operator]

    def peak_memory(self) -> dict[str, float]:
        """See `redqueen.models.memory.peak_memory`; of this process."""
        return peak_memory()

    def _check_routing(self) -> None:
        """Raise unless all target layers keep the rows of a batch apart."""
        ids = torch.zeros(2, 2, dtype=torch.long, device=self.device)
        try:
            with torch.no_grad(), self.router.route([0, None]):
                self.base.model(input_ids=ids, attention_mask=torch.ones_like(ids))
        except ValueError as error:
            raise ConfigError(f"policy.targets: {one_line(error)}") from None

    def render(self, messages: Messages) -> str:
        """Return the text that a conversation is for the base, ready to be continued.

        Raises:
            ConfigError: the chat template does not take the conversation.
        """
        return self.conversations.render(messages)

    def _encode(self, messages: Messages) -> tuple[int, ...]:
        """Return the tokens of a conversation, ready to be continued; kept for the next request.

        Raises:
            ConfigError: as `render`, or the tokenizer gives a token that the base does not have.
        """
        return self.conversations.encode(messages, self.base.encode)

    def leaves_room(self, messages: Messages, new_tokens: int) -> bool:
        """Return whether the base's context holds a prompt and `new_tokens` more tokens, or as many
        more as half of the context."""
        context = self.base.context
        if context is None:
            return True
        return len(self.encode(messages)) + min(new_tokens, context // 2) <= context

    def score(
        self,
        slots: Sequence[int | None],
        prompt_ids: Sequence[Sequence[int]],
        token_ids: Sequence[Sequence[int]],
        *,
        temperature: float | Sequence[float] = 1.0,
        suppressions: Sequence[Suppression | None] | None = None,
    ) -> Scores:
        """Return `(logprobs_BT, mask_BT)` of completions; see `redqueen.models.scoring.score`."""
        return scoring.score(
            self.base, self.router, slots, prompt_ids, token_ids,
            temperature=temperature, suppressions=suppressions,
        )  # fmt: skip

    @torch.no_grad()
    def base_score(
        self,
        prompt_ids: Sequence[Sequence[int]],
        token_ids: Sequence[Sequence[int]],
        *,
        temperature: float | Sequence[float] = 1.0,
        suppressions: Sequence[Suppression | None] | None = None,
    ) -> Scores:
        """Return `(logprobs_BT, mask_BT)` under the base alone."""
        return scoring.score(
            self.base, self.router, None, prompt_ids, token_ids,
            temperature=temperature, suppressions=suppressions,
        )  # fmt: skip

    def micro_batches(
        self,
        slots: Sequence[int],
        prompt_ids: Sequence[Sequence[int]],
        token_ids: Sequence[Sequence[int]],
        parts: int = 1,
        *,
        workers: int = 1,
        replicas: int = 1,
    ) -> list[list[int]]:
        """Split sequences into batches for one pass each, of at most `learn_tokens` tokens.

        `workers` processes share that number, and `parts` divides it; each of `replicas` has the
        whole of it. If the base can share prompts, a prompt counts once for its sequences;
        otherwise padding counts as tokens.
        """
        tokens = self.config.learn_tokens
        # Until `redqueen.models.footprint.settle` has measured what fits.
        most = max(1, (MOST_TOKENS if tokens == "auto" else tokens) // (workers * parts))
        if self.base.packed is not None:
            return packed_batches(slots, prompt_ids, token_ids, most, workers * replicas)
        lengths = [len(p) + len(t) for p, t in zip(prompt_ids, token_ids, strict=True)]
        if replicas > 1:
            most = min(most, max(lengths, default=1) * -(-len(lengths) // replicas))
        return padded_batches(lengths, most)

    def map_gradients(
        self, function: Callable[["PopulationModel", Any], Any], jobs: Sequence[Any]
    ) -> list[Any]:
        """Return `function(model, job)` for all jobs; the gradients that they leave add up."""
        return [function(self, job) for job in jobs]

    @property
    def base_name(self) -> str:
        """The base's name for others: a hub id, or where it lies."""
        return f"redqueen/{self.config.base}" if self.config.base in EMBEDDED else self.config.base

    def export(self, slot: int, directory: Path | str) -> None:
        """Write one slot as a PEFT adapter directory that names the base.

        Raises:
            InfrastructureError: the files cannot be written.
        """
        factors, alpha = self.adapters.get(slot), self.adapters.alpha
        self.export_factors(factors, alpha, directory)

    def export_factors(
        self, factors: Mapping[str, Factors], alpha: float, directory: Path | str
    ) -> None:
        """Write any adapter on the base's target layers, of any rank, likewise."""
        peft_io.export_adapter(self.base.model, factors, alpha, Path(directory), self.base_name)

    def export_merged(
        self, factors: Mapping[str, Factors], alpha: float, directory: Path | str
    ) -> None:
        """Write base + adapter as a model that plain transformers load, in the base's type.

        Of a quantised base the whole weights are read again for it.

        Raises:
            InfrastructureError: the files cannot be written.
        """
        whole = self.config.model_copy(update={"quantization": "none"})
        base = self.base if whole == self.config else load_base(whole)
        merging.write_merged(base, factors, alpha, Path(directory))

    def import_adapter(self, slot: int, directory: Path | str) -> None:
        """Read a PEFT LoRA directory into one slot.

        Raises:
            ConfigError: not a plain LoRA, or of another rank or other layers.
        """
        made_for = peft_io.import_adapter(self.adapters, slot, Path(directory))
        if made_for and Path(made_for).name != Path(self.base_name).name:
            log.warning(
                "%s was made for the base %s; this one is %s, of the same shapes: if it is another "
                "model, the adapter does not do here what it did there",
                directory, made_for, self.base_name,
            )  # fmt: skip
