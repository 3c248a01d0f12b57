"""A model small enough to check by hand: bigram logits base[prev] + B A[:, prev] per slot."""

import numpy as np
import torch
from torch.nn import functional

from redqueen.config.learner import LearnerConfig
from redqueen.learner import Learner, StackedAdamW
from redqueen.types import Role, Sample


class Bigram:
    def __init__(self, slots: int, tokens: int = 40, vocab: int = 7, rank: int = 2) -> None:
        g = torch.Generator().manual_seed(0)
        self.base = torch.randn(vocab, vocab, generator=g)
        self.A = torch.randn(slots, rank, vocab, generator=g).requires_grad_()
        self.B = (0.3 * torch.randn(slots, vocab, rank, generator=g)).requires_grad_()
        self.vocab = vocab
        self.tokens = tokens

    def parameters(self) -> dict[str, torch.Tensor]:
        return {"table.A": self.A, "table.B": self.B}

    def logits(self, slot: int | None, previous: int) -> torch.Tensor:
        if slot is None:
            return self.base[previous]
        return self.base[previous] + self.B[slot] @ self.A[slot][:, previous]

    def table(self, slot: int | None) -> torch.Tensor:
        """The logits after each token, [previous, next]."""
        if slot is None:
            return self.base
        return self.base + (self.B[slot] @ self.A[slot]).T

    def _score(
        self, slots, prompt_ids, token_ids, temperature
    ) -> tuple[torch.Tensor, torch.Tensor]:
        rows = []
        width = max(map(len, token_ids))
        scalar = isinstance(temperature, float)
        each = [temperature] * len(slots) if scalar else temperature
        logprobs = {
            (slot, t): torch.log_softmax(self.table(slot) / t, -1)
            for slot, t in dict.fromkeys(zip(slots, each, strict=True))
        }
        for slot, prompt, tokens, t in zip(slots, prompt_ids, token_ids, each, strict=True):
            text = torch.tensor([*prompt, *tokens])[len(prompt) - 1 :]
            row = logprobs[slot, t][text[:-1], text[1:]]
            # Padding holds rubbish on purpose: nothing may read it.
            rows.append(functional.pad(row, (0, width - len(row)), value=float("nan")))
        mask = torch.tensor([[i < len(t) for i in range(width)] for t in token_ids])
        return torch.stack(rows), mask

    def score(
        self, slots, prompt_ids, token_ids, *, temperature, suppressions=None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return self._score(slots, prompt_ids, token_ids, temperature)

    def base_score(
        self, prompt_ids, token_ids, *, temperature, suppressions=None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return self._score([None] * len(prompt_ids), prompt_ids, token_ids, temperature)

    def map_gradients(self, function, jobs) -> list:
        return [function(self, job) for job in jobs]

    def micro_batches(self, slots, prompt_ids, token_ids, parts=1) -> list[list[int]]:
        """In the given order, as many as fit."""
        lengths = [len(p) + len(t) for p, t in zip(prompt_ids, token_ids, strict=True)]
        batches: list[list[int]] = [[]]
        for i in range(len(lengths)):
            grown = [*batches[-1], i]
            if batches[-1] and len(grown) * max(lengths[j] for j in grown) > self.tokens // parts:
                grown = [i]
                batches.append([])
            batches[-1] = grown
        return batches if batches[-1] else []

    @torch.no_grad()
    def sample(self, slot: int, length: int, rng: np.random.Generator, temperature: float = 1.0):
        tokens, logprobs = [0], []
        for _ in range(length):
            logs = torch.log_softmax(self.logits(slot, tokens[-1]) / temperature, -1)
            p = logs.double().exp().numpy()
            tokens.append(int(rng.choice(self.vocab, p=p / p.sum())))
            logprobs.append(float(logs[tokens[-1]]))
        return tuple(tokens[1:]), tuple(logprobs)


def make_sample(tokens, logprobs, **fields) -> Sample:
    """A sample after the prompt [0], all of whose other tokens are sampled."""
    return Sample(
        ids=np.array([0, *tokens], dtype=np.int32),
        mask=np.array([False, *[True] * len(tokens)]),
        logprobs=np.array([0.0, *logprobs], dtype=np.float32),
        **fields,
    )


def make_batch(
    policy: Bigram, slot: int, count: int, seed: int, temperature: float = 1.0, kinds: int = 2
) -> list[Sample]:
    """`count` samples of one slot; the reward is +1 for an even last token, else -0.5."""
    rng = np.random.default_rng([seed, slot])
    made = []
    for i in range(count):
        tokens, logprobs = policy.sample(slot, int(rng.integers(1, 6)), rng, temperature)
        made.append(
            make_sample(
                tokens,
                logprobs,
                slot=slot,
                member=100 + slot,
                role=Role.STUDENT,
                environment="toy",
                kind=f"kind{i % kinds}",
                group=f"task{i // 4}",
                version=0,
                reward=1.0 if tokens[-1] % 2 == 0 else -0.5,
            )
        )
    return made


VERSIONS = dict.fromkeys(range(8), 0)
"""Of the slots of toys, whose samples are all of version 0."""


def make_learner(
    policy: Bigram, temperature: float = 1.0, advantage: object = "reinforce++", **changes
) -> Learner:
    """A learner whose students and teachers have the same advantage scheme."""
    role = {"advantage": advantage}
    config = LearnerConfig(
        **({"student": role, "teacher": role, "learning_rate": 0.05, "warmup_steps": 0} | changes)
    )
    optimizer = StackedAdamW(
        policy.parameters(),
        betas=config.betas,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
    )
    return Learner(policy, optimizer, config, temperature=temperature, seed=0, steps=10**9)


def batch_of(policy: Bigram, slots: list[int], count: int = 24, seed: int = 0) -> list[Sample]:
    """Return `count` samples of every slot."""
    return [t for slot in slots for t in make_batch(policy, slot, count, seed)]
