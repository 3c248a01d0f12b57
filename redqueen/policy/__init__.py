"""The policy: one frozen base, the adapters of all members, one forward pass for all of them."""

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

import torch

from redqueen.config import PolicyConfig
from redqueen.policy import generation, peft_io, scoring
from redqueen.policy.adapters import AdapterStack, Factors, LayerShape
from redqueen.policy.loading import SEEDLING, Base, absolute_base, load_base
from redqueen.policy.memory import keep_freed_memory
from redqueen.policy.routing import Router, find_targets, layer_shape
from redqueen.policy.scoring import Scores, bucket, bucket_groups
from redqueen.types import Completion, ConfigError, Request

__all__ = [
    "AdapterStack",
    "Factors",
    "LayerShape",
    "Policy",
    "Scores",
    "absolute_base",
    "bucket",
    "bucket_groups",
]


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
        on_progress: Callable[[int], None] | None = None,
    ) -> list[Completion]:
        """Complete every request; see `redqueen.policy.generation.generate`.

        Recorded log-probabilities are those of log_softmax(logits / temperature) before top-p;
        temperature 0 is greedy and records those at temperature 1. A request may have a
        temperature of its own.
        """
        sampling = generation.Sampling(max_new_tokens, temperature, top_p)
        rows = self.config.generation_rows
        return generation.generate(self.base, self.router, requests, sampling, rows, on_progress)

    def score(
        self,
        slots: Sequence[int | None],
        prompt_ids: Sequence[Sequence[int]],
        token_ids: Sequence[Sequence[int]],
        *,
        temperature: float | Sequence[float] = 1.0,
    ) -> Scores:
        """`(logprobs_BT, mask_BT)` of completions; see `redqueen.policy.scoring.score`."""
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

    def bucket(
        self, lengths: Sequence[int], groups: Sequence[Hashable] | None = None
    ) -> list[list[int]]:
        """Micro-batches of at most `learn_tokens` tokens, from lengths in tokens.

        Sequences of one group (those with the same slot and prompt) stay together if the base can
        share their prompts; otherwise padding counts as tokens.
        """
        if groups is None or self.base.packed is None:
            return bucket(lengths, self.config.learn_tokens)
        return bucket_groups(lengths, groups, self.config.learn_tokens)

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
